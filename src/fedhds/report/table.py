"""The table of groups: what each used, what it gained and what it cost, as means over seeds.

One list of columns serves every rendering: Markdown, CSV, LaTeX and the page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from fedhds.report.formatting import (
    NOTHING,
    kilobytes,
    megabytes,
    score,
    seconds,
    used,
    with_interval,
)
from fedhds.report.paired import Comparison, Measure
from fedhds.report.runs import Group, Plain

Value = float | int | str | bool | None
Part = Literal["scores", "time", "traffic"]
PHASES = ("signals", "selection", "tuning", "aggregation", "evaluation")
KINDS = {
    "summaries_up": "summaries sent up",
    "plans_down": "plans sent down",
    "adapters_up": "adapters sent up",
    "adapters_down": "adapters sent down",
}
MEASURES: dict[Measure, str] = {"rouge_l": "Rouge-L", "loss": "loss"}


@dataclass(frozen=True)
class Cell:
    """What stands in a table's cell.

    ``text`` is for people and not escaped; ``values`` are the raw numbers behind it, None where
    there is none, one for each of the column's ``names``. ``best`` marks the best mean of the
    column, which says nothing of whether it is told from another.
    """

    text: str
    values: tuple[Value, ...]
    best: bool = False

    @property
    def value(self) -> Value:
        """What to sort by."""
        return self.values[0]


@dataclass(frozen=True)
class Row:
    """A group with its comparisons; ``reference`` is whether others are compared with it."""

    group: Group
    comparisons: tuple[Comparison, ...]
    reference: bool


@dataclass(frozen=True)
class Column:
    """A column: what it is called for people, and what its raw numbers are called.

    ``part`` is the table it stands in where a page is too narrow for all, and ``text`` whether
    it holds words rather than numbers. ``best`` is which of its means is the best, if any.
    """

    header: str
    names: tuple[str, ...]
    part: Part
    cell: Callable[[Row], Cell]
    text: bool = False
    best: Literal["highest", "lowest"] | None = None


@dataclass(frozen=True)
class Table:
    """Rows of cells under their columns."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def part(self, part: Part) -> Table:
        """Return one part's columns beside the groups' labels; words that no row has left out."""
        kept = [
            place
            for place, column in enumerate(self.columns)
            if place == 0
            or (
                column.part == part
                and (not column.text or any(row[place].text for row in self.rows))
            )
        ]
        return Table(
            tuple(self.columns[place] for place in kept),
            tuple(tuple(row[place] for place in kept) for row in self.rows),
        )


def tabulate(groups: Sequence[Group], comparisons: Sequence[Comparison]) -> Table:
    """Lay out groups, one row each, in the order given."""
    references = {comparison.reference for comparison in comparisons}
    rows = []
    for group in groups:
        own = tuple(one for one in comparisons if one.label == group.label)
        row = Row(group, own, group.label in references)
        rows.append([column.cell(row) for column in COLUMNS])
    for place, column in enumerate(COLUMNS):
        values = [cells[place].value for cells in rows]
        best = _best([value for value in values if isinstance(value, float)], column)
        for cells in rows:
            cells[place] = replace(
                cells[place], best=best is not None and cells[place].value == best
            )
    return Table(COLUMNS, tuple(map(tuple, rows)))


def _best(values: Sequence[float], column: Column) -> float | None:
    if not values or column.best is None:
        return None
    return max(values) if column.best == "highest" else min(values)


def mean(group: Group, number: Callable[[Plain], float | None]) -> float | None:
    """Return the mean of a number of the summaries over a group's finished runs that have it."""
    found = [number(run.summary) for run in group.runs if run.summary is not None]
    known = [value for value in found if value is not None]
    return sum(known) / len(known) if known else None


def unseen(measure: Measure) -> Callable[[Plain], float | None]:
    """Return what reads a measure on the unseen tasks after tuning from a summary."""
    return lambda summary: summary.get(f"{measure}_after")


def unfinished(group: Group) -> tuple[str, ...]:
    """Say of each run that did not finish which it was, and why where it is known."""
    return tuple(
        f"seed {run.seed} {run.status}" + (f": {run.reason}" if run.reason else "")
        for run in group.runs
        if run.summary is None
    )


def _number(
    header: str,
    name: str,
    part: Part,
    number: Callable[[Plain], float | None],
    write: Callable[[float], str],
    best: Literal["highest", "lowest"] | None = None,
) -> Column:
    def cell(row: Row) -> Cell:
        value = mean(row.group, number)
        return Cell(NOTHING if value is None else write(value), (value,))

    return Column(header, (name,), part, cell, best=best)


def _difference(measure: Measure) -> Column:
    names = tuple(f"{measure}_{name}" for name in ("difference", "low", "high", "real"))

    def cell(row: Row) -> Cell:
        for one in row.comparisons:
            if one.measure == measure:
                text = with_interval(one.difference, one.low, one.high)
                text += ", real" if one.real else ""
                return Cell(text, (one.difference, one.low, one.high, one.real))
        return Cell("reference" if row.reference else NOTHING, (None,) * len(names))

    header = f"difference in {MEASURES[measure]} [95 % interval]"
    return Column(header, names, "scores", cell)


def _label(row: Row) -> Cell:
    return Cell(row.group.label, (row.group.label, row.group.method, row.group.size))


def _seeds(row: Row) -> Cell:
    finished, asked = len(row.group.finished), len(row.group.runs)
    return Cell(f"{finished} of {asked}", (finished, asked))


def _samples(row: Row) -> Cell:
    chosen, total = (
        mean(row.group, lambda summary, name=name: summary[name])  # type: ignore[misc]
        for name in ("samples_used", "samples_total")
    )
    if chosen is None or total is None:
        return Cell(NOTHING, (None, None, None))
    return Cell(used(chosen, total), (chosen, total, chosen / max(total, 1)))


def _unfinished(row: Row) -> Cell:
    text = "; ".join(unfinished(row.group))
    return Cell(text, (text,))


def _validation(summary: Plain) -> float | None:
    after = (summary.get("validation") or {}).get("after")
    return after["loss"] if after else None


def _within(part: str, name: str) -> Callable[[Plain], float | None]:
    return lambda summary: summary[part].get(name)


COLUMNS: tuple[Column, ...] = (
    Column("group", ("label", "method", "size"), "scores", _label, text=True),
    Column("seeds finished", ("seeds_finished", "seeds_asked"), "scores", _seeds),
    Column(
        "distinct samples used",
        ("samples_used", "samples_total", "samples_share"),
        "scores",
        _samples,
    ),
    _number("unseen Rouge-L", "rouge_l", "scores", unseen("rouge_l"), score, "highest"),
    _difference("rouge_l"),
    _number("unseen loss", "loss", "scores", unseen("loss"), score, "lowest"),
    _difference("loss"),
    _number("validation loss", "validation_loss", "scores", _validation, score, "lowest"),
    Column("not finished", ("not_finished",), "scores", _unfinished, text=True),
    *(
        _number(phase, f"seconds_{phase}", "time", _within("seconds", phase), seconds)
        for phase in PHASES
    ),
    *(
        _number(header, f"bytes_{kind}", "traffic", _within("bytes", kind), kilobytes)
        for kind, header in KINDS.items()
    ),
    _number("peak memory", "peak_rss_mb", "time", lambda s: s["peak_rss_mb"], megabytes),
)
"""The table's columns; the first names the group."""
