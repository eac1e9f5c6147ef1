"""What each unseen task gained or lost by the tuning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fedhds.report.figures._figure import (
    Figure,
    Panel,
    Plain,
    amount,
    listed,
    mean,
    named,
    number,
    several,
    short,
    tooltip,
    view,
)
from fedhds.report.runs import Group

NAME = "tasks"
TITLE = "Tasks: what each unseen task gained or lost"
MISSING = "No finished run has scores of single unseen tasks (see data.eval and data.holdout)."

MEASURES = {
    "rouge_l": ("Rouge-L", "change in Rouge-L (higher is better)", 1),
    "loss": ("Loss", "change in loss (lower is better)", -1),
}
SHOWN = 60
"""Most tasks drawn."""
MANY = 12
"""Groups whose names stand beside each other slanted; of more, upright."""
NAMELESS = "(no name)"

Changes = Mapping[str, Mapping[str, Mapping[str, float | None]]]
"""After less before, by task, group's label and measure."""


def figure(groups: Sequence[Group]) -> Figure | None:
    """Draw after less before, tasks by groups; bars where there is one group."""
    sizes = {t: s["n"] for g in groups for scores in _scores(g) for t, s in scores.items()}
    scored = [group for group in groups if any(_scores(group))]
    if not scored:
        return None
    changes = {
        task: {g.label: {m: _change(g, task, m) for m in MEASURES} for g in scored}
        for task in sorted(sizes)
    }
    largest = sorted(changes, key=lambda task: -max(abs(c) for c in _losses(changes, task)))
    drawn = sorted(largest[:SHOWN], key=lambda task: mean(_losses(changes, task)) or 0.0)
    draw = _bars if len(scored) == 1 else _heat_map
    labels = [group.label for group in scored]
    return Figure(
        name=NAME,
        title=TITLE,
        caption=(
            "Scores after tuning less those before, means over seeds. Blue is better and orange "
            "is worse for both scores. A task has few samples, so a single cell says little."
        ),
        alt=_alt(changes, labels),
        panels=tuple(Panel(draw(measure, labels, changes, drawn)) for measure in MEASURES),
        header=(
            *("Task", "Samples"),
            *(f"{label}: {name}" for label in labels for name, _, _ in MEASURES.values()),
        ),
        rows=tuple(
            (task or NAMELESS, sizes[task], *(c for own in of.values() for c in own.values()))
            for task, of in changes.items()
        ),
        notes=tuple(_notes(groups, scored, len(changes))),
        width=460 if len(scored) <= MANY else 800,
    )


def _scores(group: Group) -> list[Plain]:
    return [(run.summary or {}).get("per_task") or {} for run in group.finished]


def _change(group: Group, task: str, measure: str) -> float | None:
    """Return what a task gained on average over seeds, None where it was not scored."""
    found = [scores[task] for scores in _scores(group) if task in scores]
    ends = [(number(s[f"{measure}_before"]), number(s[f"{measure}_after"])) for s in found]
    known = [(was, now) for was, now in ends if was is not None and now is not None]
    return number(mean(now - was for was, now in known))


def _losses(changes: Changes, task: str) -> list[float]:
    """Return what each group's loss of a task changed by, 0 where that is not known."""
    return [own["loss"] or 0.0 for own in changes[task].values()]


def _alt(changes: Changes, labels: Sequence[str]) -> str:
    better = {
        label: sum((of[label]["loss"] or 0.0) < 0 for of in changes.values()) for label in labels
    }
    said = "; ".join(f"{label} {n} of {len(changes)}" for label, n in better.items())
    return f"Changes of each unseen task. Tasks whose loss is lower after tuning: {said}."


def _notes(groups: Sequence[Group], scored: Sequence[Group], tasks: int) -> list[str]:
    notes = []
    if tasks > SHOWN:
        notes.append(
            f"Drawn are the {SHOWN} tasks whose loss changed most; the table has the other "
            f"{several(tasks - SHOWN, 'task')} too."
        )
    if without := [group.label for group in groups if group not in scored]:
        notes.append(f"Without scores of single tasks: {listed(without)}.")
    return notes


def _values(measure: str, changes: Changes, tasks: Sequence[str]) -> list[dict[str, Any]]:
    """List cells; ``better`` is the change with the sign by which more is better."""
    cut = short([task or NAMELESS for task in tasks], 32)
    groups = short(list(changes[tasks[0]]))
    return [
        {
            "label": label,
            "group": groups[label],
            "task": task or NAMELESS,
            "short": cut[task or NAMELESS],
            "change": change,
            "better": MEASURES[measure][2] * change,
        }
        for task in tasks
        for label, own in changes[task].items()
        if (change := own[measure]) is not None
    ]


def _axis(rows: Sequence[Plain]) -> dict[str, Any]:
    return named("short", dict.fromkeys(row["short"] for row in rows))


def _colour(rows: Sequence[Plain], measure: str) -> dict[str, Any]:
    """Colour by how much better, on a scale that is the same to both sides of zero."""
    _, title, sign = MEASURES[measure]
    most = max((abs(row["better"]) for row in rows), default=0.0) or 1.0
    scale = {"domain": [-most, most], "range": "diverging", "interpolate": "rgb"}
    label = f"datum.value === 0 ? '0' : format({sign} * datum.value, '+.2~f')"
    legend = {"gradientLength": 200, "labelExpr": label, "titleLimit": 320}
    return amount("better", title, scale=scale, legend=legend)


def _heat_map(
    measure: str, labels: Sequence[str], changes: Changes, tasks: Sequence[str]
) -> dict[str, Any]:
    rows = _values(measure, changes, tasks)
    angle = -45 if len(labels) <= MANY else -90
    slanted = {"labelAngle": angle, "labelLimit": 150, "orient": "top"}
    return view(
        MEASURES[measure][0],
        "",
        16 * max(len(tasks), 4),
        data={"values": rows},
        mark={"type": "rect", "style": "cell"},
        encoding={
            "x": named("group", short(labels).values(), axis=slanted),
            "y": _axis(rows),
            "color": _colour(rows, measure),
            "tooltip": tooltip(label="group", task="task", change="change"),
        },
    )


def _bars(
    measure: str, labels: Sequence[str], changes: Changes, tasks: Sequence[str]
) -> dict[str, Any]:
    rows = sorted(_values(measure, changes, tasks), key=lambda row: -row["better"])
    name, title, _ = MEASURES[measure]
    return view(
        name,
        labels[0],
        16 * max(len(tasks), 4),
        data={"values": rows},
        mark={"type": "bar"},
        encoding={
            "x": amount("change", title, axis={"tickCount": 5}),
            "y": _axis(rows),
            "color": _colour(rows, measure) | {"legend": None},
            "tooltip": tooltip(task="task", change="change"),
        },
    )
