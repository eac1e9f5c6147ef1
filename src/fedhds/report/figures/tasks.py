"""What each unseen task gained or lost by the tuning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fedhds.report.figures._figure import (
    Cell,
    Figure,
    Panel,
    Plain,
    mean,
    number,
    several,
    tooltip,
    view,
)
from fedhds.report.runs import Group

NAME = "tasks"
TITLE = "Gains and losses of each unseen task"
MISSING = (
    "No finished run has scores of single unseen tasks (data.eval or data.holdout gives them)."
)

MEASURES = {
    "rouge_l": ("Rouge-L", "change in Rouge-L (higher is better)", 1),
    "loss": ("Loss", "change in loss (lower is better)", -1),
}
SHOWN = 60
"""Most tasks drawn."""


def figure(groups: Sequence[Group]) -> Figure | None:
    """Draw after less before, tasks by groups; bars where there is one group."""
    scored = [group for group in groups if _task_names(group)]
    if not scored:
        return None
    every = sorted({task for group in scored for task in _task_names(group)})
    tasks = sorted(every, key=lambda task: (-_largest(scored, task), task))[:SHOWN]
    draw = _bars if len(scored) == 1 else _heat_map
    names = {task: task or "(no name)" for task in every}
    return Figure(
        name=NAME,
        title=TITLE,
        caption=(
            "Scores after tuning less those before, means over seeds. Blue is better and orange "
            "worse in both panels, though a better loss is a lower one; a task has few samples, "
            "so a single cell says little."
        ),
        alt=_alt(scored, every),
        panels=tuple(Panel(draw(measure, scored, _ordered(scored, tasks))) for measure in MEASURES),
        header=(
            "Task",
            "Samples",
            *(f"{g.label}: {m[0]}" for g in scored for m in MEASURES.values()),
        ),
        rows=tuple(_row(scored, task, names[task]) for task in every),
        notes=tuple(_notes(groups, scored, every)),
        width=460,
    )


def _scores(group: Group) -> list[Plain]:
    return [(run.summary or {}).get("per_task") or {} for run in group.finished]


def _task_names(group: Group) -> set[str]:
    return {task for scores in _scores(group) for task in scores}


def _change(group: Group, task: str, measure: str) -> float | None:
    """Return what a task gained on average over seeds, None where it was not scored."""
    found = [scores[task] for scores in _scores(group) if task in scores]
    pairs = [(number(s[f"{measure}_before"]), number(s[f"{measure}_after"])) for s in found]
    return number(mean([after - before for before, after in pairs if None not in (before, after)]))  # type: ignore[operator]


def _largest(groups: Sequence[Group], task: str) -> float:
    return max(abs(_change(group, task, "loss") or 0.0) for group in groups)


def _ordered(groups: Sequence[Group], tasks: Sequence[str]) -> list[str]:
    """Order tasks by what they gained in loss, the most first."""
    return sorted(
        tasks, key=lambda task: (mean([_change(g, task, "loss") for g in groups]) or 0.0, task)
    )


def _alt(groups: Sequence[Group], tasks: Sequence[str]) -> str:
    better = {
        group.label: sum((_change(group, task, "loss") or 0.0) < 0 for task in tasks)
        for group in groups
    }
    said = "; ".join(f"{label}: {n} of {len(tasks)}" for label, n in better.items())
    return f"Changes of each unseen task. Tasks whose loss is lower after tuning, by group: {said}."


def _notes(groups: Sequence[Group], scored: Sequence[Group], tasks: Sequence[str]) -> list[str]:
    notes = []
    if left := max(0, len(tasks) - SHOWN):
        notes.append(
            f"Drawn are the {SHOWN} tasks whose loss changed most; the table has the other "
            f"{several(left, 'task')} too."
        )
    if without := [group.label for group in groups if group not in scored]:
        notes.append(f"Without scores of single tasks: {', '.join(without)}.")
    return notes


def _row(groups: Sequence[Group], task: str, name: str) -> tuple[Cell, ...]:
    samples = next(s[task]["n"] for g in groups for s in _scores(g) if task in s)
    changes = (_change(group, task, measure) for group in groups for measure in MEASURES)
    return (name, samples, *changes)


def _values(measure: str, groups: Sequence[Group], tasks: Sequence[str]) -> list[dict[str, Any]]:
    better = MEASURES[measure][2]
    return [
        {
            "label": group.label,
            "task": task or "(no name)",
            "change": change,
            "better": number(better * change),
        }
        for task in tasks
        for group in groups
        if (change := _change(group, task, measure)) is not None
    ]


def _tasks_axis(tasks: Sequence[str]) -> dict[str, Any]:
    names = [task or "(no name)" for task in tasks]
    return {"field": "task", "type": "nominal", "title": None, "scale": {"domain": names}}


def _colour(rows: Sequence[Plain], title: str, better: int) -> dict[str, Any]:
    """Colour by how much better, on a scale that is the same to both sides of zero."""
    most = max([1e-9, *(abs(row["better"]) for row in rows)])
    colour: dict[str, Any] = {"field": "better", "type": "quantitative", "title": title}
    colour["scale"] = {"domain": [-most, most], "range": "diverging", "domainMid": 0}
    colour["legend"] = {
        "gradientLength": 200,
        "labelExpr": f"format({better} * datum.value, '+.2~f')",
        "titleLimit": 320,
    }
    return colour


def _heat_map(measure: str, groups: Sequence[Group], tasks: Sequence[str]) -> dict[str, Any]:
    name, title, better = MEASURES[measure]
    rows = _values(measure, groups, tasks)
    across = {"field": "label", "type": "nominal", "title": None}
    across |= {"scale": {"domain": [group.label for group in groups]}}
    across |= {"axis": {"labelAngle": -45, "labelLimit": 110, "orient": "top"}}
    return view(
        name,
        "",
        16 * max(len(tasks), 4),
        data={"values": rows},
        mark={"type": "rect", "style": "gap"},
        encoding={
            "x": across,
            "y": _tasks_axis(tasks),
            "color": _colour(rows, title, better),
            "tooltip": tooltip(label="group", task="task", change="change"),
        },
    )


def _bars(measure: str, groups: Sequence[Group], tasks: Sequence[str]) -> dict[str, Any]:
    name, title, better = MEASURES[measure]
    rows = _values(measure, groups, tasks)
    ordered = [row["task"] for row in sorted(rows, key=lambda row: -row["better"])]
    colour = _colour(rows, title, better) | {"legend": None}
    return view(
        name,
        "",
        16 * max(len(tasks), 4),
        data={"values": rows},
        mark={"type": "bar"},
        encoding={
            "x": {"field": "change", "type": "quantitative", "title": title},
            "y": _tasks_axis(ordered),
            "color": colour,
            "tooltip": tooltip(task="task", change="change"),
        },
    )
