"""How far each group is from its reference, with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fedhds.report.figures._figure import (
    Figure,
    Panel,
    amount,
    listed,
    named,
    number,
    short,
    span,
    tooltip,
    view,
)
from fedhds.report.paired import Comparison, Measure

NAME = "differences"
TITLE = "Differences"
MISSING = (
    "There is no difference to show: it needs two or more groups with scores of unseen samples "
    "(unseen.json) for the same seeds and data."
)

MEASURES: dict[Measure, tuple[str, str]] = {
    "rouge_l": ("Rouge-L on unseen tasks", "difference in Rouge-L (right of zero is better)"),
    "loss": ("Loss on unseen tasks", "difference in loss (left of zero is better)"),
}


def figure(comparisons: Sequence[Comparison]) -> Figure | None:
    """Draw a forest plot, one panel a measure; what is not a number is in the table only."""
    drawn = [one for one in comparisons if math.isfinite(one.difference)]
    if not drawn:
        return None
    references = list(dict.fromkeys(one.reference for one in drawn))
    whom = listed(references)
    return Figure(
        name=NAME,
        title=f"{TITLE}: each group against {'its reference' if references[1:] else whom}",
        caption=(
            "Each mark is a difference, its line the 95 % interval. A filled mark is a real "
            "difference, corrected for the number of comparisons; a hollow one may be chance."
            + (f" Groups are compared with that of their size: {whom}." if references[1:] else "")
        ),
        alt=f"Forest plot of differences to {whom}; {_said([one for one in drawn if one.real])}.",
        panels=tuple(
            Panel(_panel(measure, found))
            for measure in MEASURES
            if (found := [one for one in drawn if one.measure == measure])
        ),
        header=("Group", "Reference", "Measure", "Difference", "Low", "High", "Seeds", "Real"),
        rows=tuple(
            (
                *(one.label, one.reference, MEASURES[one.measure][0]),
                *map(number, (one.difference, one.low, one.high)),
                one.seeds,
                "yes" if one.real else "no",
            )
            for one in comparisons
        ),
        notes=tuple(_notes(comparisons)),
        width=420,
    )


def _said(real: Sequence[Comparison]) -> str:
    if not real:
        return "no difference is real"
    return "real are those of " + listed([f"{one.label} ({one.measure})" for one in real])


def _notes(comparisons: Sequence[Comparison]) -> list[str]:
    kinds = {
        "Not a number in every run, so not drawn": [math.isnan(c.difference) for c in comparisons],
        "Without an interval, as one sample of one seed has none": [
            math.isfinite(c.difference) and not _has_interval(c) for c in comparisons
        ],
    }
    return [
        f"{what}: {listed([f'{c.label} ({c.measure})' for c in found])}."
        for what, holds in kinds.items()
        if (found := [c for c, it in zip(comparisons, holds, strict=True) if it])
    ]


def _has_interval(one: Comparison) -> bool:
    return math.isfinite(one.low) and math.isfinite(one.high)


def _panel(measure: Measure, found: Sequence[Comparison]) -> dict[str, Any]:
    title, axis = MEASURES[measure]
    names = short([one.label for one in found])
    rows = [
        {
            "label": one.label,
            "reference": one.reference,
            "short": names[one.label],
            "difference": number(one.difference),
            "low": number(one.low if _has_interval(one) else one.difference),
            "high": number(one.high if _has_interval(one) else one.difference),
            "seeds": one.seeds,
            "real": "yes" if one.real else "no",
        }
        for one in found
    ]
    ends = span([0.0, *(row[end] for row in rows for end in ("low", "high"))])
    x, y = amount("", axis, ends, axis={"tickCount": 7}), named("short", names.values())
    return view(title, "", 26 * len(rows) + 20, data={"values": rows}, layer=_layers(x, y))


def _layers(x: dict[str, Any], y: dict[str, Any]) -> list[dict[str, Any]]:
    hover = tooltip(
        label="group",
        reference="against",
        difference="difference",
        low="low",
        high="high",
        seeds="seeds",
        real="real",
    )
    layers: list[dict[str, Any]] = [
        {
            "data": {"values": [{"zero": 0}]},
            "mark": {"type": "rule", "style": "zero"},
            "encoding": {"x": {**x, "field": "zero"}},
        }
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
    return layers
