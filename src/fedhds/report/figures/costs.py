"""What each group cost: seconds by phase, bytes by kind, memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fedhds.report.figures._figure import (
    Cell,
    Figure,
    Panel,
    amount,
    listed,
    mean,
    named,
    number,
    short,
    tooltip,
    view,
)
from fedhds.report.runs import Group

NAME = "costs"
TITLE = "Cost: seconds, bytes and memory"
MISSING = "No run is finished, and only a finished run says what it cost."

PHASES = ("signals", "selection", "tuning", "aggregation", "evaluation")
KINDS = {
    "summaries_up": "summaries up",
    "plans_down": "plans down",
    "adapters_up": "adapters up",
    "adapters_down": "adapters down",
}
ROW = 28
"""Pixels of a group's row."""
ROOM = 1.4
"""Of the longest bar: what the axis leaves for the number beside it."""
BELOW = {"columns": 2, "orient": "bottom"}
NARROW = 160
"""Pixels of the narrowest bars, in which a word must fit that is written on one."""


def figure(groups: Sequence[Group]) -> Figure | None:
    """Draw means over the finished runs of each group."""
    finished = [group for group in groups if group.finished]
    if not finished:
        return None
    longest = max(finished, key=lambda group: sum(_seconds(group).values()))
    return Figure(
        name=NAME,
        title=TITLE,
        caption=(
            "Means over seeds. Seconds are those of all clients and the server together, phases "
            "in the order in which they happen. Bytes are on a logarithmic scale, each grid line "
            "ten times the one before; up is to the server, and what was not sent has no mark. "
            "Evaluations send adapters down, too. What a frozen model read of the samples is "
            "kept on the machine, so runs that read the same after others take no seconds for it."
        ),
        alt=f"Seconds, bytes and memory of each group; {longest.label} takes the most time.",
        panels=(
            Panel(_time(finished)),
            Panel(_traffic(finished)),
            Panel(_memory(finished)),
        ),
        header=(
            "Group",
            *(f"{phase} (s)" for phase in PHASES),
            *(f"{kind} (bytes)" for kind in KINDS.values()),
            "peak memory (MB)",
        ),
        rows=tuple(_row(group) for group in finished),
        notes=tuple(_notes(groups)),
        width=340,
    )


def _notes(groups: Sequence[Group]) -> list[str]:
    without = [group.label for group in groups if not group.finished]
    return [f"Without a finished run, so without costs: {listed(without)}."] if without else []


def _mean(group: Group, part: str, name: str) -> float:
    found = [((run.summary or {}).get(part) or {}).get(name) for run in group.finished]
    return number(mean(found)) or 0.0


def _seconds(group: Group) -> dict[str, float]:
    return {phase: _mean(group, "seconds", phase) for phase in PHASES}


def _bytes(group: Group) -> dict[str, float]:
    return {kind: _mean(group, "bytes", kind) for kind in KINDS}


def _memory_of(group: Group) -> float | None:
    return number(mean([(run.summary or {}).get("peak_rss_mb") for run in group.finished]))


def _row(group: Group) -> tuple[Cell, ...]:
    parts = (*_seconds(group).values(), *_bytes(group).values())
    return (group.label, *parts, _memory_of(group))


def _short(groups: Sequence[Group]) -> dict[str, str]:
    return short([group.label for group in groups])


def _down(groups: Sequence[Group]) -> dict[str, Any]:
    return named("short", _short(groups).values())


def _time(groups: Sequence[Group]) -> dict[str, Any]:
    """Stack the phases; a word stands on a bar that is long enough for it."""
    longest = max(sum(_seconds(group).values()) for group in groups) or 1.0
    names, rows, totals = _short(groups), [], []
    for group in groups:
        start = 0.0
        for phase, seconds in _seconds(group).items():
            fits = seconds / longest * NARROW > 6.5 * len(phase)
            rows.append(
                {
                    "label": group.label,
                    "short": names[group.label],
                    "phase": phase,
                    "from": number(start),
                    "to": number(start + seconds),
                    "middle": number(start + seconds / 2),
                    "seconds": seconds,
                    "word": phase if fits else "",
                }
            )
            start += seconds
        totals.append({"short": names[group.label], "to": number(start), "word": f"{start:,.0f} s"})
    return _time_view(_down(groups), rows, totals, longest)


def _time_view(
    y: dict[str, Any], rows: list[dict[str, Any]], totals: list[dict[str, Any]], longest: float
) -> dict[str, Any]:
    x = amount("", "seconds", [0, longest * ROOM], axis={"tickCount": 5})
    colour = named("phase", PHASES, legend=BELOW)
    hover = tooltip(label="group", phase="phase", seconds="seconds")
    layers: list[dict[str, Any]] = [
        {
            "mark": {"type": "bar", "style": "cell"},
            "encoding": {
                "y": y,
                "x": {**x, "field": "from"},
                "x2": {"field": "to"},
                "color": colour,
                "tooltip": hover,
            },
        },
        {
            "mark": {"type": "text", "style": "inside"},
            "encoding": {"y": y, "x": {**x, "field": "middle"}, "text": {"field": "word"}},
        },
        {
            "data": {"values": totals},
            "mark": {"type": "text", "style": "words", "align": "left", "dx": 4},
            "encoding": {"y": y, "x": {**x, "field": "to"}, "text": {"field": "word"}},
        },
    ]
    height = ROW * (len(totals) + 1)
    return view("Seconds by phase", "", height, data={"values": rows}, layer=layers)


def _traffic(groups: Sequence[Group]) -> dict[str, Any]:
    names = _short(groups)
    rows = [
        {"label": group.label, "short": names[group.label], "kind": KINDS[kind], "bytes": count}
        for group in groups
        for kind, count in _bytes(group).items()
        if count > 0
    ]
    kinds = named("kind", KINDS.values(), legend=BELOW)
    axis = {"format": "~s", "tickCount": 6}
    return view(
        "Bytes by kind",
        "",
        ROW * (len(groups) + 1),
        data={"values": rows},
        mark={"type": "point", "filled": True, "size": 60, "opacity": 1},
        encoding={
            "y": _down(groups) | {"axis": {"grid": True, "bandPosition": 0}},
            "yOffset": named("kind", KINDS.values()),
            "x": amount("bytes", "bytes", scale={"type": "log"}, axis=axis),
            "shape": kinds,
            "color": kinds,
            "tooltip": tooltip(label="group", kind="what", bytes="bytes"),
        },
    )


def _memory(groups: Sequence[Group]) -> dict[str, Any]:
    names = _short(groups)
    rows = [
        {
            "label": group.label,
            "short": names[group.label],
            "memory": memory,
            "word": f"{memory:,.0f} MB",
        }
        for group in groups
        if (memory := _memory_of(group)) is not None
    ]
    most = max((_memory_of(group) or 1.0) for group in groups)
    x = amount("memory", "MB of the largest process", [0, most * ROOM], axis={"tickCount": 5})
    y = _down(groups)
    return view(
        "Peak memory",
        "",
        ROW * (len(groups) + 1),
        data={"values": rows},
        encoding={"y": y, "x": x, "tooltip": tooltip(label="group", memory="MB")},
        layer=[
            {"mark": {"type": "bar", "style": "bar"}},
            {
                "mark": {"type": "text", "style": "words", "align": "left", "dx": 4},
                "encoding": {"text": {"field": "word"}},
            },
        ],
    )
