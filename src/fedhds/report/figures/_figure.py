"""What a figure is, and the pieces that several figures are made of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fedhds.report.runs import Group, Run

Plain = Mapping[str, Any]
Channel = dict[str, Any]
Cell = str | int | float | None


@dataclass(frozen=True)
class Panel:
    """One view of a figure.

    Attributes
    ----------
    spec : mapping
        A single or layered Vega-Lite view as wide as its container, without a theme: its colours
        are the named styles and ranges of `fedhds.report.figures.theme`.
    heading : str
        Panels of one heading stand together; "" for none.
    """

    spec: Plain
    heading: str = ""


@dataclass(frozen=True)
class Figure:
    """A figure with everything that is needed to show, read and export it.

    Attributes
    ----------
    name : str
        The stem of exported files.
    title, caption, alt : str
        What is shown, how to read it, and what who cannot see it is told.
    panels : tuple of Panel
        What is drawn.
    header, rows : tuple
        The same as a table; None is a value that is not there.
    notes : tuple of str
        Sentences on what is missing or stands out.
    datasets : mapping
        Rows that several panels share, by the name under which their specs ask for them.
    width : int
        The least width of a panel in pixels.
    canvas : bool
        Whether there are too many marks for SVG.
    """

    name: str
    title: str
    caption: str
    alt: str
    panels: tuple[Panel, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    datasets: Mapping[str, Sequence[Plain]] = field(default_factory=dict)
    width: int = 280
    canvas: bool = False


@dataclass(frozen=True)
class Missing:
    """A figure that cannot be drawn of these runs, and why."""

    name: str
    title: str
    reason: str


def view(title: str, note: str, height: int, **parts: Any) -> dict[str, Any]:
    """Begin a view: its title, a line under it, its height in pixels; ``parts`` are its own."""
    head = {"text": title or " ", "subtitle": note, "limit": {"expr": "width"}}
    return {"width": "container", "height": height, "title": head, **parts}


def amount(
    field: str, title: str | None, domain: Sequence[float] | None = None, **parts: Any
) -> Channel:
    """Encode numbers, over exactly ``domain`` where it is given."""
    scale = {"scale": {"domain": list(domain), "nice": False}} if domain else {}
    return {"field": field, "type": "quantitative", "title": title, **scale, **parts}


def named(field: str, names: Iterable[str], title: str | None = None, **parts: Any) -> Channel:
    """Encode names, in the order given."""
    scale = {"domain": list(names)}
    return {"field": field, "type": "nominal", "title": title, "scale": scale, **parts}


def tooltip(**titles: str) -> list[dict[str, str]]:
    """Show fields on hover: ``field=title``; numbers as the table has them."""
    return [{"field": name, "title": title} for name, title in titles.items()]


def number(value: Any) -> float | None:
    """Round a number to five digits, enough to draw it; None where there is no finite one."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.5g}")


def mean(values: Iterable[Any]) -> float | None:
    """Average the numbers that are there and finite."""
    found = [value for value in values if value is not None and math.isfinite(value)]
    return sum(found) / len(found) if found else None


def span(values: Iterable[Any], margin: float = 0.06) -> list[float]:
    """Return the range to draw values in, a little wider than they are."""
    found = [value for value in values if value is not None]
    low, high = min(found), max(found)
    free = (high - low) * margin or abs(high) * margin or 1.0
    return [low - free, high + free]


def short(names: Sequence[str], letters: int = 24) -> dict[str, str]:
    """Cut long names in their middle, as they tend to differ at the end, and keep them apart."""
    found: dict[str, str] = {}
    for name in names:
        half = letters // 2
        whole = name if len(name) <= letters else f"{name[: half - 1]}…{name[-half:]}"
        cut, again = whole, 1
        while cut in found.values():
            again += 1
            cut = f"{whole} ({again})"
        found[name] = cut
    return found


def called(group: Group, run: Run) -> str:
    """Name a run by its group and seed, which is what a reader knows."""
    return f"{group.label}, seed {run.seed}"


def several(count: int, one: str, many: str | None = None) -> str:
    """Write a count with its noun: ``1 client``, ``1,000 clients``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(names: Sequence[str]) -> str:
    """Join names as a sentence does."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
