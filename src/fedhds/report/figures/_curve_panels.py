"""The views of learning curves: one panel a group, or one for all where only the ends are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fedhds.report.figures._curves import Curves, is_whole
from fedhds.report.figures._figure import Plain, amount, named, number, short, span, tooltip, view
from fedhds.report.runs import Group

MEAN = -1
"""Stands for a seed in the rows of means."""


def rows(groups: Sequence[Group], found: Mapping[int, Curves]) -> list[Plain]:
    """List every point of every line, by the number of its group."""
    return [
        {"g": i, "label": groups[i].label, "seed": seed, "round": n, "loss": number(loss)}
        for i, curves in found.items()
        for seed, curve in {MEAN: curves.mean, **curves.runs}.items()
        for n, loss in curve.items()
    ]


def panels(
    groups: Sequence[Group], found: Mapping[int, Curves], dataset: str, measure: str
) -> list[dict[str, Any]]:
    """Draw a panel a group, or one for all where there is nothing between the ends."""
    if not is_whole(list(found.values())):
        return [_ends(groups, found, measure)]
    lines = [line for curves in found.values() for line in (curves.mean, *curves.runs.values())]
    domain = span([loss for line in lines for loss in line.values()])
    last = max(n for line in lines for n in line)
    return [
        view(
            groups[i].label if len(found) > 1 else measure,
            _note(curves),
            150,
            data={"name": dataset},
            layer=_layers(i, curves, domain, last),
        )
        for i, curves in found.items()
    ]


def _layers(i: int, curves: Curves, domain: list[float], last: int) -> list[dict[str, Any]]:
    x = amount("round", "round", [0, max(last, 1)], axis={"tickMinStep": 1, "grid": False})
    at = {"x": x, "y": amount("loss", None, domain, axis={"tickCount": 4})}
    own, means = f"datum.g === {i}", f"datum.seed === {MEAN}"
    hover = tooltip(label="group", round="round", loss="mean loss")
    low = {"round": curves.lowest, "loss": number(curves.mean[curves.lowest])}
    seeds = {
        "transform": [{"filter": f"{own} && !({means})"}],
        "mark": {"type": "line", "style": "thin"},
        "encoding": {**at, "detail": {"field": "seed"}},
    }
    return [
        *([_band(curves, x)] if curves.rise else []),
        {
            "transform": [{"filter": f"!({own}) && {means}"}],
            "mark": {"type": "line", "style": "faint"},
            "encoding": {**at, "detail": {"field": "g"}, "tooltip": tooltip(label="group")},
        },
        *([seeds] if len(curves.runs) > 1 else []),
        {
            "transform": [{"filter": f"{own} && {means}"}],
            "mark": {"type": "line", "style": "strong", "point": len(curves.mean) <= 3},
            "encoding": at,
        },
        {
            "transform": [{"filter": f"{own} && {means}"}],
            "mark": {"type": "point", "opacity": 0, "size": 200, "filled": True},
            "encoding": {**at, "tooltip": hover},
        },
        {
            "data": {"values": [low]},
            "mark": {"type": "point", "shape": "diamond", "style": "mark", "size": 110},
            "encoding": {**at, "tooltip": tooltip(round="lowest at round", loss="mean loss")},
        },
    ]


def _band(curves: Curves, x: Plain) -> dict[str, Any]:
    rows = [{"from": curves.lowest, "to": max(curves.mean)}]
    ends = {"x": {**x, "field": "from"}, "x2": {"field": "to"}}
    return {
        "data": {"values": rows},
        "mark": {"type": "rect", "style": "band"},
        "encoding": ends,
    }


def _ends(groups: Sequence[Group], found: Mapping[int, Curves], measure: str) -> dict[str, Any]:
    """Draw the first and the last loss of each group."""
    names = short([groups[i].label for i in found])
    ends = [
        {
            "short": names[groups[i].label],
            "label": groups[i].label,
            "before": number(curves.mean[min(curves.mean)]),
            "after": number(curves.mean[max(curves.mean)]),
        }
        for i, curves in found.items()
    ]
    x = amount("", "loss", span(row[end] for row in ends for end in ("before", "after")))
    y = named("short", names.values())
    hover = tooltip(label="group", before="before", after="after")
    layers: list[dict[str, Any]] = [
        {
            "mark": {"type": "rule", "style": "uncertain"},
            "encoding": {"y": y, "x": {**x, "field": "before"}, "x2": {"field": "after"}},
        }
    ]
    for end, style in (("before", "hollow"), ("after", "filled")):
        mark = {"type": "point", "style": style, "size": 90}
        at = {"y": y, "x": {**x, "field": end}, "tooltip": hover}
        layers.append({"mark": mark, "encoding": at})
    note = "hollow: before training, filled: after"
    return view(measure, note, 24 * len(ends) + 20, data={"values": ends}, layer=layers)


def _note(curves: Curves) -> str:
    low = f"{curves.mean[curves.lowest]:.2f}"
    if curves.rise:
        return f"rises after round {curves.lowest}: {curves.rise:+.2f}"
    return f"lowest {low} at round {curves.lowest}"
