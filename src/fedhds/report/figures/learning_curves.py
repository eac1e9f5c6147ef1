"""The losses by round, a small panel a group, with the others behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fedhds.report.figures._curves import Curves, is_whole, read
from fedhds.report.figures._figure import (
    Cell,
    Figure,
    Panel,
    Plain,
    called,
    listed,
    number,
    span,
    tooltip,
    view,
)
from fedhds.report.runs import Group

NAME = "learning_curves"
TITLE = "How the losses go down, and up again"
MISSING = (
    "No run has a loss by round: neither validation samples (evaluation.validation) nor unseen "
    "tasks were evaluated, or no round was finished."
)

MEASURES = {"validation": "Validation loss", "unseen": "Loss on unseen tasks"}
MEAN = -1
"""Stands for a seed in the rows of means."""


def figure(groups: Sequence[Group]) -> Figure | None:
    """Draw the curves of both losses; a group without any has no panel."""
    found = {
        measure: {i: curves for i, g in enumerate(groups) if (curves := read(g, measure))}
        for measure in MEASURES
    }
    found = {measure: curves for measure, curves in found.items() if curves}
    if not found:
        return None
    return Figure(
        name=NAME,
        title=TITLE,
        caption=(
            "The strong line is the group's mean over its seeds, thin lines are single seeds, and "
            "the grey lines behind are the other groups. The diamond is the lowest point; where "
            "the loss rises again after it, the background is shaded: the model over-fits."
        ),
        alt="Loss by round. " + " ".join(_said(groups, found)),
        panels=tuple(
            Panel(spec, MEASURES[measure])
            for measure, curves in found.items()
            for spec in _panels(groups, measure, curves)
        ),
        header=("Group", "Loss", "Seeds", "Before", "Lowest", "At round", "Last", "Rise after it"),
        rows=tuple(
            _row(groups[i].label, measure, found[measure][i])
            for measure in found
            for i in found[measure]
        ),
        notes=(*_said(groups, found), *_notes(groups, found)),
        datasets={f"{NAME}-{measure}": _rows(groups, found[measure]) for measure in found},
        width=230,
    )


def _rows(groups: Sequence[Group], found: Mapping[int, Curves]) -> list[Plain]:
    """List every point of every line, by the number of its group."""
    return [
        {"g": i, "label": groups[i].label, "seed": seed, "round": n, "loss": number(loss)}
        for i, curves in found.items()
        for seed, curve in {MEAN: curves.mean, **curves.runs}.items()
        for n, loss in curve.items()
    ]


def _panels(
    groups: Sequence[Group], measure: str, found: Mapping[int, Curves]
) -> list[dict[str, Any]]:
    lines = [line for curves in found.values() for line in (curves.mean, *curves.runs.values())]
    domain = span([loss for line in lines for loss in line.values()])
    last = max(n for line in lines for n in line)
    whole = is_whole(list(found.values()))
    return [
        view(
            groups[i].label,
            _note(curves, whole),
            150,
            data={"name": f"{NAME}-{measure}"},
            layer=_layers(i, curves, domain, last),
        )
        for i, curves in found.items()
    ]


def _layers(i: int, curves: Curves, domain: list[float], last: int) -> list[dict[str, Any]]:
    x = {"type": "quantitative", "title": "round", "axis": {"tickMinStep": 1, "grid": False}}
    x |= {"scale": {"domain": [0, max(last, 1)], "nice": False}}
    y = {"type": "quantitative", "title": None, "axis": {"tickCount": 4}}
    y |= {"scale": {"domain": domain, "nice": False, "zero": False}}
    at = {"x": {**x, "field": "round"}, "y": {**y, "field": "loss"}}
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


def _note(curves: Curves, whole: bool) -> str:
    low = f"{curves.mean[curves.lowest]:.2f}"
    if curves.rise:
        return f"over-fits after round {curves.lowest}: {curves.rise:+.2f}"
    if not whole and len(curves.mean) == 2:
        return f"{next(iter(curves.mean.values())):.2f} before, {low} after"
    return f"lowest {low} at round {curves.lowest}"


def _said(groups: Sequence[Group], found: Mapping[str, Mapping[int, Curves]]) -> list[str]:
    """Say which groups over-fit, by each loss."""
    said = []
    for measure, curves in found.items():
        rising = [
            f"{groups[i].label} over-fits after round {own.lowest} ({own.rise:+.2f})"
            for i, own in curves.items()
            if own.rise
        ]
        if rising:
            said.append(f"By {MEASURES[measure].lower()}, {listed(rising)}.")
        elif is_whole(list(curves.values())):
            said.append(f"By {MEASURES[measure].lower()}, no group over-fits.")
    return said


def _notes(groups: Sequence[Group], found: Mapping[str, Mapping[int, Curves]]) -> list[str]:
    """Say what the curves lack: rounds between the ends, whole groups, the end of a run."""
    notes = []
    brief = {
        groups[i].label
        for curves in found.values()
        for i, own in curves.items()
        if not is_whole([own])
    }
    if brief and brief == {group.label for group in groups}:
        notes.append(
            "The models were evaluated before and after training only, so whether one over-fits "
            "cannot be seen; 'evaluation.every: 1' evaluates after every round."
        )
    elif brief:
        names = listed([group.label for group in groups if group.label in brief])
        notes.append(
            f"Evaluated before and after only: {names}; 'evaluation.every: 1' gives a curve."
        )
    for measure, curves in found.items():
        if none := [group.label for i, group in enumerate(groups) if i not in curves]:
            notes.append(f"Without {MEASURES[measure].lower()}: {listed(none)}.")
    short = [
        called(group, run)
        for group in groups
        for run in group.runs
        if run.status != "finished" and run.rounds
    ]
    if short:
        notes.append(f"Failed or unfinished, so drawn as far as they got: {'; '.join(short)}.")
    return notes


def _row(label: str, measure: str, curves: Curves) -> tuple[Cell, ...]:
    before, last = curves.mean.get(0), curves.mean[max(curves.mean)]
    low = curves.mean[curves.lowest]
    return (
        label,
        MEASURES[measure],
        len(curves.runs),
        *map(number, (before, low)),
        curves.lowest,
        *map(number, (last, curves.rise)),
    )
