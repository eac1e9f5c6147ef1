"""Run folders and comparisons' folders, read as the groups of runs that a report is of."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fedhds import cells, run_files
from fedhds import config as configuration
from fedhds.report.runs import Group, Plain, Run, Status
from fedhds.types import Silent, UserError

UNSHOWN = ("seed", "tracking")
"""Keys in which the runs of a group may differ."""


def read_runs(folders: Iterable[Path]) -> list[Run]:
    """Read run folders, and all runs of comparisons' folders, each folder once.

    Raises
    ------
    UserError
        If a folder is neither, or a file in it is broken.
    """
    found: dict[Path, Run] = {}
    for folder in folders:
        if cells.is_comparison(folder):
            found |= _cells(folder)
        else:
            found[folder.resolve()] = read_run(folder)
    return list(found.values())


def read_run(folder: Path) -> Run:
    """Read a run folder, finished or not (errors as in `read_runs`)."""
    if not (folder / "run.json").is_file() or not (folder / "config.yaml").is_file():
        raise UserError(
            f"'{folder}' is no run's folder (no run.json and config.yaml) and no comparison's "
            "(no comparison.json)"
        )
    summary = run_files.read(folder / "summary.json", run_files.Summary)
    failure = run_files.read(folder / "failure.json", run_files.Failure)
    status: Status = "finished" if summary else "failed" if failure else "unfinished"
    return Run(
        name=folder.resolve().name,
        config=configuration.load(folder / "config.yaml").resolved(),
        status=status,
        reason=None if summary or not failure else failure["reason"],
        record=run_files.read(folder / "run.json", run_files.Record),
        rounds=run_files.read_lines(folder / "rounds.jsonl", run_files.Round),
        summary=summary,
        unseen=run_files.read(folder / "unseen.json", run_files.Unseen),
        samples=run_files.read(folder / "samples.json", run_files.Samples),
    )


def with_texts(runs: Sequence[Run]) -> list[Run]:
    """Add to runs' maps what each sample says, read from the data that they were run on.

    Raises
    ------
    UserError
        If the data are not here, or are other ones.
    """
    known: dict[str, list[str]] = {}
    found = []
    for run in runs:
        if run.samples is not None:
            texts = known.get(run.record["data"]) or _texts(run)
            known[run.record["data"]] = texts
            run = replace(run, samples={**run.samples, "text": texts})
        found.append(run)
    return found


def _texts(run: Run) -> list[str]:
    from fedhds.data.texts import text_of
    from fedhds.preparation import read_inputs  # brings torch along

    data = read_inputs(configuration.parse(run.config), Silent(), selects=False).data
    if data.fingerprint != run.record["data"]:
        raise UserError(f"--with-text: the data changed since '{run.name}' was begun")
    return [text_of(sample.example) for client in data.clients for sample in client.train]


def grouped(runs: Sequence[Run]) -> list[Group]:
    """Put runs together that differ in nothing but their seed, and name the groups.

    A group is called by its method and, where there are several, its size; where that says
    too little, by the settings that differ too, or else by its first run's folder.
    """
    together: dict[tuple[str, int], list[Run]] = defaultdict(list)
    copies: Counter[tuple[str, int]] = Counter()
    for run in runs:
        settings = json.dumps([run.record.get("verb", "run"), _flat(run.config)], sort_keys=True)
        together[settings, copies[settings, run.seed]].append(run)
        copies[settings, run.seed] += 1
    members = [sorted(of, key=lambda run: run.seed) for of in together.values()]
    parts = [(_method(of[0]), _size(of[0].config)) for of in members]
    several = len({size for _, size in parts if size}) > 1
    short = [f"{method} {size}" if several and size else method for method, size in parts]
    labels = _told_apart(short, [of[0] for of in members])
    return [
        Group(label, method, size, tuple(of))
        for label, (method, size), of in zip(labels, parts, members, strict=True)
    ]


def _cells(out: Path) -> dict[Path, Run]:
    """Read all runs of a comparison, also those that never began."""
    planned = cells.read_plan(out)
    found = {}
    for cell in planned.cells:
        folder, reason = cells.folder_of(out, cell), cells.failure_of(out, cell)
        if (folder / "config.yaml").is_file():
            run = read_run(folder)
        else:
            config = planned.config_of(cell).resolved()
            run = Run(cell.name, config, "unfinished", None, {}, (), None, None, None)
        if reason is not None and run.status == "unfinished":
            run = replace(run, status="failed", reason=reason)
        found[folder.resolve()] = run
    return found


def _told_apart(labels: Sequence[str], runs: Sequence[Run]) -> list[str]:
    """Add to labels that stand several times what tells their runs apart."""
    told = []
    for label, run in zip(labels, runs, strict=True):
        alike = [other for name, other in zip(labels, runs, strict=True) if name == label]
        flat = [_flat(other.config) for other in alike]
        keys = [key for key in flat[0] if len({repr(of.get(key)) for of in flat}) > 1]
        own = _flat(run.config)
        settings = ", ".join(f"{key} {own.get(key)}" for key in keys)
        distinct = len({tuple(repr(of.get(key)) for key in keys) for of in flat}) == len(alike)
        if len(alike) == 1:
            told.append(label)
        elif distinct and 0 < len(keys) <= 2:
            told.append(f"{label} ({settings})")
        else:
            told.append(f"{label} ({run.name})")
    return [  # folders of several comparisons may have the same name
        label if told.count(label) == 1 else f"{label}, {told[:place].count(label) + 1}"
        for place, label in enumerate(told)
    ]


def _flat(config: Plain, above: str = "") -> dict[str, Any]:
    """Return nested keys as dotted ones, without those that do not tell groups apart."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        if not above and key in UNSHOWN:
            continue
        inside = isinstance(value, Mapping)
        found |= _flat(value, f"{above}{key}.") if inside else {f"{above}{key}": value}
    return found


def _method(run: Run) -> str:
    return (
        str(run.summary["method"])
        if run.summary
        else configuration.parse(run.config).selection_name
    )


def _size(config: Plain) -> str:
    selection = config["selection"]
    if selection["samples"] is not None:
        return str(selection["samples"])
    return "" if selection["share"] is None else f"{100 * selection['share']:.4g}%"
