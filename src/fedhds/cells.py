"""What a comparison consists of: a run for each method, size and seed, and where each is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fedhds import config as configuration
from fedhds import registry, run_files
from fedhds.config import Config
from fedhds.config.options import fields_of
from fedhds.config.sections import SelectionConfig
from fedhds.files import read_json
from fedhds.types import UserError

REFERENCE = "random"
"""What methods are compared with where the user names nothing else, if it is among them."""


@dataclass(frozen=True)
class Cell:
    """One run of a comparison; ``size`` is its ``selection.samples``, None as in the config."""

    method: str
    size: int | None
    seed: int

    @property
    def name(self) -> str:
        """What its folder is called."""
        size = "" if self.size is None else f"-{self.size}"
        return f"{self.method}{size}-seed-{self.seed}"


@dataclass(frozen=True)
class Plan:
    """What is compared.

    Attributes
    ----------
    config : mapping
        What all runs have in common, as it was given.
    reference : str
        The method that the others are compared with.
    """

    config: Mapping[str, Any]
    methods: tuple[str, ...]
    sizes: tuple[int | None, ...]
    seeds: tuple[int, ...]
    reference: str

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """All runs, seed by seed; a method that takes all samples has one for all sizes."""
        cells = (
            Cell(method, None if _takes_all(method) else size, seed)
            for seed in self.seeds
            for size in self.sizes
            for method in self.methods
        )
        return tuple(dict.fromkeys(cells))

    @property
    def reference_name(self) -> str:
        """What a report calls the reference, which the config may put others before or inside."""
        first = next(cell for cell in self.cells if cell.method == self.reference)
        return self.config_of(first).selection_name

    def config_of(self, cell: Cell) -> Config:
        """Return the configuration of a cell: of the methods' options, those of its own.

        Raises
        ------
        UserError
            If the method cannot be run with what all have in common.
        """
        if cell not in self._configs:
            self._configs[cell] = self._build(cell)
        return self._configs[cell]

    @cached_property
    def _configs(self) -> dict[Cell, Config]:
        return {}

    def _build(self, cell: Cell) -> Config:
        given = self.config.get("selection") or {}
        own = (*SelectionConfig.model_fields, *fields_of(registry.load("selection", cell.method)))
        selection = {key: value for key, value in given.items() if key in own}
        if _takes_all(cell.method):
            selection = {k: v for k, v in selection.items() if k not in ("samples", "share")}
        elif cell.size is not None:
            selection = {k: v for k, v in selection.items() if k != "share"}
            selection["samples"] = cell.size
        chosen = {"selection": selection | {"method": cell.method}, "seed": cell.seed}
        try:
            return configuration.parse({**self.config, **chosen})
        except UserError as error:
            raise UserError(f"method '{cell.method}': {error}") from error


def plan(
    config: Mapping[str, Any] | str | Path | None,
    methods: Sequence[str],
    seeds: int,
    sizes: Sequence[int] | None = None,
    reference: str | None = None,
) -> Plan:
    """Say what is to be compared, and check all of it.

    Parameters
    ----------
    methods : sequence of str
        Selection methods.
    seeds : int
        How many: the configuration's, and those that follow it.
    sizes : sequence of int, optional
        Budgets, each a ``selection.samples``; the configuration's own by default.
    reference : str, optional
        One of the methods; `REFERENCE` by default, or else the first.

    Raises
    ------
    UserError
        For the first mistake.
    """
    base = configuration.load(config)
    plain = configuration.read(config)
    for what, values in (("methods", methods), ("sizes", sizes or ())):
        if twice := next((value for value in values if list(values).count(value) > 1), None):
            raise UserError(f"--{what} names '{twice}' twice")
    if not methods:
        raise UserError("--methods names no method")
    numbers = (seeds, *(sizes or ()))
    if not all(isinstance(number, int) and number > 0 for number in numbers):
        raise UserError("--seeds and --sizes are numbers from 1")
    if reference is not None and reference not in methods:
        raise UserError(f"--reference '{reference}' is none of --methods")
    default = REFERENCE if REFERENCE in methods else methods[0]
    following = tuple(range(base.seed, base.seed + seeds))
    found = Plan(plain, tuple(methods), tuple(sizes or (None,)), following, reference or default)
    for cell in found.cells:
        found.config_of(cell)
    return found


def is_comparison(out: Path) -> bool:
    """Tell whether a folder is a comparison's."""
    return (out / "comparison.json").is_file()


def read_plan(out: Path) -> Plan:
    """Read what a comparison's folder is of.

    Raises
    ------
    UserError
        If it is none, or its plan is broken.
    """
    try:
        kept = read_json(out / "comparison.json")
        lists = {name: tuple(kept[name]) for name in ("methods", "sizes", "seeds")}
        return Plan(config=kept["config"], reference=kept["reference"], **lists)
    except FileNotFoundError as error:
        raise UserError(f"'{out}' is not a comparison's folder: no comparison.json") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"'{out / 'comparison.json'}' is broken: say --overwrite") from error


def folder_of(out: Path, cell: Cell) -> Path:
    """Say where a cell's run folder is."""
    return out / "runs" / cell.name


def failure_of(out: Path, cell: Cell) -> str | None:
    """Return why a cell failed, if it did."""
    failure = run_files.read(failure_file(out, cell), run_files.Failure)
    return failure and str(failure["reason"])


def failure_file(out: Path, cell: Cell) -> Path:
    """Say where it is kept why a cell failed."""
    return out / "failed" / f"{cell.name}.json"


def _takes_all(method: str) -> bool:
    budget: str = registry.load("selection", method).budget
    return budget == "ignored"
