"""The report of runs, and of a comparison that is carried out first: page, tables and figures.

Needs no model and, but for the samples' texts, none of the data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedhds import cells, results
from fedhds.cells import Cell
from fedhds.files import write_text
from fedhds.report import requirements
from fedhds.report.export import export
from fedhds.report.figures import draw
from fedhds.report.figures._figure import several
from fedhds.report.page import page
from fedhds.report.paired import Comparison, differences
from fedhds.report.rendering import to_csv, to_latex, to_list, to_markdown
from fedhds.report.runs import Group
from fedhds.report.table import Table, tabulate
from fedhds.report.words import Verdict, verdict
from fedhds.types import Progress, Silent, UserError

PAGE = "report.html"
"""What a page is called where the user says nothing."""
UNWRITABLE = (
    *(FileExistsError, FileNotFoundError, IsADirectoryError),
    *(NotADirectoryError, PermissionError),
)
"""What a place that the user should not have named makes of writing there."""


@dataclass(frozen=True)
class Report:
    """What is told of groups of runs.

    Attributes
    ----------
    title : str
    groups : tuple of Group
    comparisons : tuple of Comparison
        Of each group with its reference.
    verdict : Verdict
        The same in words.
    table : Table
        What each group used, gained and cost.
    """

    title: str
    groups: tuple[Group, ...]
    comparisons: tuple[Comparison, ...]
    verdict: Verdict
    table: Table

    @property
    def words(self) -> tuple[str, ...]:
        """All sentences, the most important first."""
        said = self.verdict
        return (*said.summary, *said.best, *said.groups, *said.notes)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The table's raw numbers, by their names."""
        names = [name for column in self.table.columns for name in column.names]
        values = ([value for cell in row for value in cell.values] for row in self.table.rows)
        return [dict(zip(names, row, strict=True)) for row in values]


@dataclass(frozen=True)
class Compared:
    """A comparison that was carried out: its folder, its report, and how each run ended."""

    out: Path
    report: Report
    outcomes: Mapping[Cell, str]


def compare(
    config: Mapping[str, Any] | str | Path | None,
    methods: Sequence[str],
    out: str | Path | None = None,
    *,
    seeds: int = 3,
    sizes: Sequence[int] | None = None,
    reference: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Compared:
    """Run each method with each size and seed, and say which differences are real.

    Each run has a process of its own, so a script that calls this does so under
    ``if __name__ == "__main__":``. The folder holds ``report.html``, ``table.md``, ``table.csv``,
    ``table.tex`` and the run folders in ``runs/``.

    Parameters
    ----------
    config : mapping, path or None
        What all runs have in common; None is the embedded default.
    methods : sequence of str
        Selection methods.
    out : path, optional
        The folder; in ``runs/``, after the config, by default.
    seeds : int
        How many: the configuration's, and those that follow it. The methods share the
        partition of each.
    sizes : sequence of int, optional
        Budgets, each a ``selection.samples``; the configuration's own by default.
    reference : str, optional
        The method that the others are compared with; ``random`` by default, or else the first.
    resume : bool
        Run what is not finished yet in ``out``; methods, sizes and seeds may have been added.
    overwrite : bool
        Remove an earlier comparison's runs first.

    Raises
    ------
    UserError
        If configuration, data or folder are at fault, or the extra 'report' is missing.
    """
    from fedhds.comparing import carry_out  # brings torch along

    requirements.check()
    planned = cells.plan(config, methods, seeds, sizes, reference)
    name = Path(config).stem if isinstance(config, str | Path) else "default"
    folder = Path(out) if out is not None else Path("runs") / f"{name}-comparison"
    outcomes = carry_out(planned, folder, progress or Silent(), resume=resume, overwrite=overwrite)
    found = make([folder])
    write_page(found, folder / PAGE)
    write_tables(found, folder)
    return Compared(folder, found, outcomes)


def write_report(
    folders: Sequence[str | Path],
    out: str | Path | None = None,
    *,
    reference: str | None = None,
    with_text: bool = False,
    export_to: str | Path | None = None,
) -> Path:
    """Write the page of some runs, and return where it is.

    Parameters
    ----------
    folders : sequence of path
        Run folders and comparisons' folders.
    out : path, optional
        The page; ``report.html`` by default, in the folder if there is but one.
    reference : str, optional
        The group, or the method, that the others are compared with; what a single comparison
        was carried out with by default, or else ``random``, or else the first one's method.
    with_text : bool
        Show samples' texts on the map. They are read from the data again, so this works where
        the data are, and the page is private as they are.
    export_to : path, optional
        A folder for each figure as PNG and SVG, and the table as Markdown, CSV and LaTeX.

    Raises
    ------
    UserError
        If a folder is none of a run, a file in it is broken, the data changed, the page cannot
        be written there, or the extra 'report' is missing.
    """
    requirements.check()
    paths = [Path(folder) for folder in folders]
    found = make(paths, reference=reference, with_text=with_text)
    place = Path(out) if out is not None else (paths[0] if len(paths) == 1 else Path()) / PAGE
    with _writing(place):
        write_page(found, place)
    if export_to is not None:
        with _writing(Path(export_to)):
            export(draw(found.groups, found.comparisons), Path(export_to))
            write_tables(found, Path(export_to))
    return place


@contextmanager
def _writing(place: Path) -> Iterator[None]:
    """Tell in a sentence that a place named by the user cannot be written to."""
    try:
        yield
    except UNWRITABLE as error:
        raise UserError(f"'{place}' cannot be written: {error.strerror}") from error


def make(
    folders: Sequence[Path], *, reference: str | None = None, with_text: bool = False
) -> Report:
    """Read runs and compare them (parameters and errors as in `write_report`)."""
    runs = results.read_runs(folders)
    if with_text:
        runs = results.with_texts(runs)
    groups = tuple(results.grouped(runs))
    if reference is None and len(folders) == 1 and cells.is_comparison(folders[0]):
        reference = cells.read_plan(folders[0]).reference_name
    comparisons = differences(groups, reference)
    return Report(
        _title(groups),
        groups,
        comparisons,
        verdict(groups, comparisons, reference),
        tabulate(groups, comparisons),
    )


def write_page(found: Report, path: Path) -> None:
    """Write the page, whole in one file."""
    figures = draw(found.groups, found.comparisons)
    write_text(path, page(found.groups, found.verdict, found.table, figures, found.title))


def write_tables(found: Report, folder: Path) -> None:
    """Write the table as Markdown, CSV and LaTeX."""
    for kind, text in (
        ("md", f"{to_markdown(found.table)}\n{to_list(found.words)}"),
        ("csv", to_csv(found.table)),
        ("tex", to_latex(found.table, found.title, "tab:fedhds")),
    ):
        write_text(folder / f"table.{kind}", text)


def _title(groups: Sequence[Group]) -> str:
    methods = list(dict.fromkeys(group.method for group in groups))
    if len(methods) == 1:
        return f"{methods[0]}: {several(sum(len(group.runs) for group in groups), 'run')}"
    return f"{len(methods)} selection methods compared"
