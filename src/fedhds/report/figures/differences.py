"""How far each group is from the reference, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from fedhds.report.figures._figure import Figure, Panel, listed, number, short, span, tooltip, view

NAME = "differences"
TITLE = "Differences"
MISSING = "There is no difference to show: it needs two or more groups with finished runs."

MEASURES = {
    "rouge_l": ("Rouge-L on unseen tasks", "difference in Rouge-L (right of zero is better)"),
    "loss": ("Loss on unseen tasks", "difference in loss (left of zero is better)"),
}


class Difference(Protocol):
    """One group's difference to the reference in one measure, with its interval."""

    @property
    def label(self) -> str:
        """The group."""

    @property
    def measure(self) -> str:
        """``rouge_l`` or ``loss``."""

    @property
    def difference(self) -> float:
        """The group less the reference."""

    @property
    def low(self) -> float:
        """The interval's lower end."""

    @property
    def high(self) -> float:
        """The interval's upper end."""

    @property
    def real(self) -> bool:
        """Whether the difference is real at 95 %, corrected for the number of comparisons."""


def figure(comparisons: Sequence[Difference], reference: str | None = None) -> Figure | None:
    """Draw a forest plot, one panel a measure.

    Parameters
    ----------
    reference : str or None
        The label of the group that all others are compared with, where it is known.
    """
    if not comparisons:
        return None
    whom = f"'{reference}'" if reference else "the reference"
    real = [entry for entry in comparisons if entry.real]
    return Figure(
        name=NAME,
        title=f"{TITLE}: each group against {whom}",
        caption=(
            "Each mark is a difference, its line the 95 % interval. A filled mark is a real "
            "difference, corrected for the number of comparisons; a hollow one may be chance."
        ),
        alt=f"Forest plot of differences to {whom}; {_said(real)}.",
        panels=tuple(
            Panel(_panel(measure, found))
            for measure in MEASURES
            if (found := [entry for entry in comparisons if entry.measure == measure])
        ),
        header=("Group", "Measure", "Difference", "Low", "High", "Real"),
        rows=tuple(
            (
                entry.label,
                MEASURES[entry.measure][0],
                *map(number, (entry.difference, entry.low, entry.high)),
                "yes" if entry.real else "no",
            )
            for entry in comparisons
        ),
        width=420,
    )


def _said(real: Sequence[Difference]) -> str:
    if not real:
        return "no difference is real"
    return "real are those of " + listed([f"{e.label} ({e.measure})" for e in real])


def _panel(measure: str, found: Sequence[Difference]) -> dict[str, Any]:
    title, axis = MEASURES[measure]
    names = short([entry.label for entry in found])
    rows = [
        {
            "label": entry.label,
            "short": names[entry.label],
            "difference": number(entry.difference),
            "low": number(entry.low),
            "high": number(entry.high),
            "real": "yes" if entry.real else "no",
        }
        for entry in found
    ]
    ends = span([0.0, *(row[end] for row in rows for end in ("low", "high"))])  # type: ignore[list-item]
    y = {"field": "short", "type": "nominal", "title": None}
    y |= {"scale": {"domain": list(names.values())}}
    x = {"type": "quantitative", "title": axis, "scale": {"domain": ends, "nice": False}}
    hover = tooltip(label="group", difference="difference", low="low", high="high", real="real")
    layers: list[dict[str, Any]] = [
        {"data": {"values": [{"zero": 0}]}, "mark": {"type": "rule", "style": "zero"}}
        | {"encoding": {"x": {**x, "field": "zero"}}}
    ]
    for answer, line, point in (("yes", "interval", "filled"), ("no", "uncertain", "hollow")):
        only = [{"filter": {"field": "real", "equal": answer}}]
        layers += [
            {
                "transform": only,
                "mark": {"type": "rule", "style": line},
                "encoding": {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"}},
            },
            {
                "transform": only,
                "mark": {"type": "point", "style": point, "size": 90},
                "encoding": {"y": y, "x": {**x, "field": "difference"}, "tooltip": hover},
            },
        ]
    return view(title, "", 26 * len(rows) + 20, data={"values": rows}, layer=layers)
