"""The losses by round, a small panel a group, with the others behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fedhds.report.figures._curve_panels import panels, rows
from fedhds.report.figures._curves import Curves, is_whole, read
from fedhds.report.figures._figure import (
    Cell,
    Figure,
    Panel,
    called,
    listed,
    number,
)
from fedhds.report.runs import Group

NAME = "learning_curves"
TITLE = "Learning curves: loss after each round"
MISSING = (
    "No run has a loss by round: neither validation samples (evaluation.validation) nor unseen "
    "tasks were evaluated, or no round was finished."
)

MEASURES = {"validation": "Validation loss", "unseen": "Loss on unseen tasks"}
CURVES = (
    "The strong line is the group's mean over its seeds, thin lines are single seeds, and the grey "
    "lines behind are the other groups. The diamond is the lowest point; where the loss rises "
    "again after it, the background is shaded: a sign of over-fitting. Scores elsewhere on this "
    "page are of each run's best round by its validation loss."
)
ENDS = (
    "Each line leads from the loss before training to that after it, as means over seeds; further "
    "left is better."
)


def figure(groups: Sequence[Group]) -> Figure | None:
    """Draw the curves of both losses; a group without any has no panel."""
    found = {
        measure: {i: curves for i, g in enumerate(groups) if (curves := read(g, measure))}
        for measure in MEASURES
    }
    found = {measure: curves for measure, curves in found.items() if curves}
    if not found:
        return None
    whole = is_whole([own for curves in found.values() for own in curves.values()])
    return Figure(
        name=NAME,
        title=TITLE,
        caption=CURVES if whole else ENDS,
        alt="Loss by round. " + " ".join(_said(groups, found)),
        panels=tuple(
            Panel(spec, MEASURES[measure] if len(own) > 1 else "")
            for measure, curves in found.items()
            for own in [panels(groups, curves, f"{NAME}-{measure}", MEASURES[measure])]
            for spec in own
        ),
        header=("Group", "Loss", "Seeds", "Before", "Lowest", "At round", "Last", "Rise after it"),
        rows=tuple(
            _row(groups[i].label, measure, found[measure][i])
            for measure in found
            for i in found[measure]
        ),
        notes=(*_said(groups, found), *_notes(groups, found)),
        datasets={f"{NAME}-{measure}": rows(groups, found[measure]) for measure in found},
        width=230 if whole else 420,
    )


def _said(groups: Sequence[Group], found: Mapping[str, Mapping[int, Curves]]) -> list[str]:
    """Say whose loss rises again, which is a sign of over-fitting."""
    said = []
    for measure, curves in found.items():
        rising = [
            f"{groups[i].label} ({own.rise:+.2f} after round {own.lowest})"
            for i, own in curves.items()
            if own.rise
        ]
        if rising:
            said.append(f"{MEASURES[measure]} rises again: {listed(rising)}.")
        elif is_whole(list(curves.values())):
            said.append(f"{MEASURES[measure]} rises again in no group.")
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
