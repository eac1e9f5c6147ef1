"""How much data each group used against how well it did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fedhds.report.figures._figure import (
    Figure,
    Panel,
    amount,
    mean,
    number,
    short,
    span,
    tooltip,
    view,
)
from fedhds.report.runs import Group

NAME = "samples_and_scores"
TITLE = "Samples and scores: how much data, and how good"
MISSING = "No finished run has scores on unseen tasks (see data.eval and data.holdout)."

MEASURES = {
    "rouge_l_after": ("Rouge-L on unseen tasks", "higher is better"),
    "loss_after": ("Loss on unseen tasks", "lower is better"),
}
DECADES = 10
"""Times the fewest samples from which on the axis is logarithmic."""
LINE = 15
"""Pixels that a label takes."""


def figure(groups: Sequence[Group]) -> Figure | None:
    """Draw distinct samples used against each score: every run, and each group's mean."""
    scored = [group for group in groups if _runs(group)]
    if not scored:
        return None
    best = max(scored, key=lambda group: _mean(group, "rouge_l_after") or 0.0)
    return Figure(
        name=NAME,
        title=TITLE,
        caption=(
            "Across: how many distinct samples a run trained on. Up: its score on unseen tasks. "
            "Small dots are single runs, the large one is the mean of its group."
        ),
        alt=f"Scores by samples used; the highest mean Rouge-L is that of {best.label}.",
        panels=tuple(Panel(_panel(measure, scored)) for measure in MEASURES),
        header=("Group", "Runs", "Samples used", "Rouge-L", "Loss"),
        rows=tuple(
            (
                group.label,
                len(_runs(group)),
                *(number(_mean(group, name)) for name in ("samples_used", *MEASURES)),
            )
            for group in scored
        ),
        width=420,
    )


def _runs(group: Group) -> list[dict[str, float | None]]:
    """Return what each run of a group used and reached, those with both."""
    names = ("samples_used", *MEASURES)
    found = [
        {name: number((run.summary or {}).get(name)) for name in names} for run in group.finished
    ]
    return [run for run in found if None not in run.values()]


def _mean(group: Group, name: str) -> float | None:
    return mean([run[name] for run in _runs(group)])


def _panel(measure: str, groups: Sequence[Group]) -> dict[str, Any]:
    title, direction = MEASURES[measure]
    height = max(300, (LINE + 1) * len(groups) + 40)
    runs: list[dict[str, Any]] = [
        {"label": group.label, "used": run["samples_used"], "score": run[measure]}
        for group in groups
        for run in _runs(group)
    ]
    names = short([group.label for group in groups], 20)
    means: list[dict[str, Any]] = [
        {
            "short": names[group.label],
            "label": group.label,
            "used": number(_mean(group, "samples_used")),
            "score": number(_mean(group, measure)),
        }
        for group in groups
    ]
    low, high = span(run["score"] for run in runs)
    domain = [max(low, 0.0), high]  # where all scores are zero, none is below
    _place_labels(means, domain, height)
    scale = _scale([run["used"] for run in runs])
    return view(title, direction, height, layer=_layers(runs, means, scale, domain))


def _scale(used: Sequence[float]) -> dict[str, Any]:
    low, high = min(used), max(used)
    if low > 0 and high / low >= DECADES:
        return {"type": "log", "domain": [low / 1.3, high * 1.3], "nice": False}
    return {"domain": span(used, 0.1), "nice": False, "zero": False}


def _place_labels(means: list[dict[str, Any]], domain: list[float], height: int) -> None:
    """Give each mean the height of its label at the right edge, so that none lies on another.

    Labels keep their order and move as little as can be: an isotonic regression of where they
    would like to be, a label's height apart.
    """
    low, high = domain
    per_pixel = (high - low) / height
    ordered = sorted(means, key=lambda row: -row["score"])
    blocks: list[list[float]] = []  # of labels that touch, each at where its first one would be
    for i, row in enumerate(ordered):
        blocks.append([(high - row["score"]) / per_pixel - i * LINE])
        while len(blocks) > 1 and _average(blocks[-2]) > _average(blocks[-1]):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    firsts = [_average(block) for block in blocks for _ in block]
    lowest = height - len(ordered) * LINE
    for i, (row, first) in enumerate(zip(ordered, firsts, strict=True)):
        pixel = min(max(first, 0), lowest) + i * LINE
        row["at"] = number(high - pixel * per_pixel)


def _average(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _layers(
    runs: list[dict[str, Any]],
    means: list[dict[str, Any]],
    across: dict[str, Any],
    domain: list[float],
) -> list[dict[str, Any]]:
    axis = {"tickCount": 5, "format": "~s" if across["domain"][1] >= 10_000 else ",d"}
    y = amount("score", None, domain, axis={"tickCount": 5})
    at = {"x": amount("used", "distinct samples used", scale=across, axis=axis), "y": y}
    hover = {"tooltip": tooltip(label="group", used="samples used", score="score")}
    return [
        {
            "data": {"values": means},
            "mark": {"type": "rule", "style": "leader"},
            "encoding": {**at, "x2": {"value": "width"}, "y2": {"field": "at"}},
        },
        {
            "data": {"values": runs},
            "mark": {"type": "point", "style": "dot", "size": 35},
            "encoding": {**at, **hover},
        },
        {
            "data": {"values": means},
            "mark": {"type": "point", "style": "filled", "size": 110},
            "encoding": {**at, **hover},
        },
        {
            "data": {"values": means},
            "mark": {"type": "text", "style": "words", "align": "left", "dx": 5, "limit": 140},
            "encoding": {
                "x": {"value": "width"},
                "y": {**y, "field": "at"},
                "text": {"field": "short"},
                "tooltip": hover["tooltip"],
            },
        },
    ]
