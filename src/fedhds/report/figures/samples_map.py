"""Where the samples lie, which of them each group of runs picked, and the groups they are in."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fedhds.report.figures._figure import (
    Cell,
    Figure,
    Panel,
    Plain,
    amount,
    number,
    several,
    span,
    view,
)
from fedhds.report.runs import Group, Run
from fedhds.rng import generator

NAME = "samples_map"
TITLE = "Map: where the samples lie, and which were picked"
MISSING = (
    "No run keeps where its samples lie (samples.json): it is written by experiments on one "
    "machine with at most 20,000 training samples."
)

SHOWN = 2000
"""Most samples in one panel."""
PICKED = 1500
"""Most picked samples among them."""
LARGE = 30
"""Samples of a group that is drawn large, so that small ones are drawn small."""
MANY = 200
"""Circles from which on they are drawn paler the more there are."""
LETTERS = 160
"""Most letters of a sample's text."""


def figure(groups: Sequence[Group]) -> Figure | None:
    """Draw a map of each group's first run that has one; panels of the same data share it."""
    runs = [(group, run) for group in groups if (run := _first(group))]
    if not runs:
        return None
    shown = [_draw(run) for _, run in runs]
    needed: dict[str, set[int]] = defaultdict(set)
    for (_, run), positions in zip(runs, shown, strict=True):
        needed[_data(run)] |= set(positions)
    holders = {_data(run): run for _, run in reversed(runs)}
    keys = list(dict.fromkeys(_data(run) for _, run in runs))
    datasets = {_shared(keys, key): _places(holders[key], sorted(needed[key])) for key in keys}
    panels = []
    for i, ((group, run), positions) in enumerate(zip(runs, shown, strict=True)):
        datasets[f"{NAME}-{i}"] = _states(run, positions)
        panels.append(Panel(_panel(group, run, i, _shared(keys, _data(run)))))
    rows = tuple(_row(group, run, len(at)) for (group, run), at in zip(runs, shown, strict=True))
    return Figure(
        name=NAME,
        title=TITLE,
        caption=(
            "Each dot is a training sample; samples with similar words lie close together. "
            "Diamonds were picked for training. A circle is a group that a client formed of its "
            "own samples, at the one picked from it or else at its middle one; the larger, the "
            "more are in it. Point at a sample to read about it."
        ),
        alt="Maps of the samples with those that were picked; the table has the counts.",
        panels=tuple(panels),
        header=("Group", "Seed", "Samples", "Picked", "Clients they are of", "Groups", "Drawn"),
        rows=rows,
        notes=tuple(_notes(groups, runs, shown)),
        datasets=datasets,
        width=330,
        canvas=True,
    )


def _first(group: Group) -> Run | None:
    return next((run for run in group.runs if run.samples and run.samples["x"]), None)


def _data(run: Run) -> str:
    """Name the data of a run; runs on the same data lie on the same map."""
    return str(run.record.get("data") or run.name)


def _shared(keys: Sequence[str], key: str) -> str:
    return f"{NAME}-of-data-{keys.index(key)}"


def _samples(run: Run) -> Plain:
    assert run.samples is not None
    return run.samples


def _draw(run: Run) -> list[int]:
    """Choose which samples are drawn: the picked first, others up to the most of a panel.

    The order in which they are taken depends on their number only, so that the panels of one
    map draw nearly the same and the page stays small.
    """
    chosen = _samples(run)["chosen"]
    order = generator(0, "samples-map").permutation(len(chosen)).tolist()
    picked = [i for i in order if chosen[i]][:PICKED]
    return sorted(picked + [i for i in order if not chosen[i]][: SHOWN - len(picked)])


def _places(run: Run, positions: Sequence[int]) -> list[Plain]:
    """Say of each sample what is the same in every run: where it lies, whose it is, its text."""
    samples = _samples(run)
    names = [str(client.get("name")) for client in run.record.get("clients") or ()]
    texts = samples.get("text")

    def place(i: int) -> Plain:
        client, task = int(samples["client"][i]), int(samples["task"][i])
        found = {
            "i": i,
            "x": number(samples["x"][i]),
            "y": number(samples["y"][i]),
            "client": names[client] if client < len(names) else str(client),
            "task": str(samples["tasks"][task]) if 0 <= task < len(samples["tasks"]) else "",
        }
        return found | ({"text": _cut(str(texts[i]))} if texts else {})

    return [place(i) for i in positions]


def _states(run: Run, positions: Sequence[int]) -> list[Plain]:
    """Say of each drawn sample what the run made of it."""
    sizes = _sizes(run)
    chosen, keys = _samples(run)["chosen"], _keys(run)
    return [
        {"i": i, "picked": int(bool(chosen[i])), "size": sizes[key] if (key := keys[i]) else 0}
        for i in positions
    ]


def _keys(run: Run) -> list[tuple[int, int] | None]:
    """Return each sample's client and group; None where it is in none."""
    samples = _samples(run)
    pairs = zip(samples["client"], samples["group"], strict=True)
    return [(client, group) if group >= 0 else None for client, group in pairs]


def _sizes(run: Run) -> Mapping[tuple[int, int], int]:
    return Counter(key for key in _keys(run) if key)


def _circles(run: Run) -> list[Plain]:
    """Put each client's group at its picked sample, or at the one nearest to their mean."""
    members = defaultdict(list)
    for i, key in enumerate(_keys(run)):
        if key:
            members[key].append(i)
    samples = _samples(run)
    places = np.column_stack([samples["x"], samples["y"]]).astype(float)
    circles: list[Plain] = []
    for _, own in sorted(members.items()):
        candidates = [i for i in own if samples["chosen"][i]] or own
        away = places[candidates] - places[own].mean(axis=0)
        x, y = places[candidates[int(np.argmin((away**2).sum(axis=1)))]]
        circles.append({"x": number(x), "y": number(y), "size": len(own)})
    return circles


def _panel(group: Group, run: Run, i: int, shared: str) -> dict[str, Any]:
    samples = _samples(run)
    fields = ["x", "y", "client", "task", *(["text"] if samples.get("text") else [])]
    lookup = {"lookup": "i", "from": {"data": {"name": shared}, "key": "i", "fields": fields}}
    picked = sum(map(bool, samples["chosen"]))
    note = f"{picked:,} of {several(len(samples['x']), 'sample')} picked, seed {run.seed}"
    return view(
        group.label,
        note,
        300,
        data={"name": f"{NAME}-{i}"},
        transform=[lookup],
        layer=_layers(run, _circles(run), fields),
    )


def _layers(run: Run, circles: Sequence[Plain], fields: Sequence[str]) -> list[dict[str, Any]]:
    at = {}
    for name in ("x", "y"):
        ends = span([number(value) for value in _samples(run)[name]], 0.03)
        at[name] = amount(name, None, ends, axis=None)
    return [
        {
            "transform": [{"filter": "!datum.picked"}],
            "mark": {"type": "point", "style": "dot", "size": 12},
            "encoding": at,
        },
        *([_rings(circles, at)] if circles else []),
        {
            "transform": [{"filter": "datum.picked"}],
            "mark": {"type": "point", "shape": "diamond", "style": "picked", "size": 55},
            "encoding": at,
        },
        {
            "params": [
                {
                    "name": "near",
                    "select": {"type": "point", "on": "pointerover", "nearest": True},
                }
            ],
            "mark": {"type": "point", "style": "found", "size": 140},
            "encoding": {
                **at,
                "opacity": {
                    "condition": {"param": "near", "empty": False, "value": 1},
                    "value": 0,
                },
                "tooltip": {"value": {"expr": _hover("text" in fields)}},
            },
        },
    ]


def _rings(circles: Sequence[Plain], at: Plain) -> dict[str, Any]:
    largest = max(LARGE, *(circle["size"] for circle in circles))
    area = {"type": "linear", "domain": [0, largest], "range": [0, 900]}
    opacity = min(0.6, MANY / len(circles))
    return {
        "data": {"values": circles},
        "mark": {"type": "point", "shape": "circle", "style": "ring", "opacity": opacity},
        "encoding": {**at, "size": amount("size", None, scale=area, legend=None)},
    }


def _hover(text: bool) -> str:
    """Tell of the sample that is nearest to the pointer.

    An expression, as Vega-Lite's own list of fields reads those of the nearest mark and not those
    of its sample, which is the mark's ``datum``.
    """
    told = {
        "client": "client",
        "task": "task",
        "samples in its group": "size || 'none'",
        "picked": "picked ? 'yes' : 'no'",
        **({"text": "text"} if text else {}),
    }
    parts = [f"'{title}': (datum.datum || datum).{value}" for title, value in told.items()]
    return f"{{{', '.join(parts)}}}"


def _notes(
    groups: Sequence[Group], runs: Sequence[tuple[Group, Run]], shown: Sequence[Sequence[int]]
) -> list[str]:
    """Say what is left out: samples that are not drawn, cut texts, groups without a map."""
    notes = []
    left = [len(_samples(run)["x"]) - len(at) for (_, run), at in zip(runs, shown, strict=True)]
    if most := max(left):
        counts = f"{min(left):,} to {most:,}" if min(left) < most else f"{most:,}"
        notes.append(
            f"A map shows at most {SHOWN:,} samples, {PICKED:,} of them picked; {counts} others "
            "are left out by lot, as the table counts them."
        )
    if any(_samples(run).get("text") for _, run in runs):
        notes.append(f"Texts are cut after {LETTERS} letters.")
    drawn = {group.label for group, _ in runs}
    if without := [group.label for group in groups if group.label not in drawn]:
        notes.append(f"Without samples.json, so without a map: {', '.join(without)}.")
    return notes


def _cut(text: str) -> str:
    return text if len(text) <= LETTERS else f"{text[:LETTERS]}…"


def _row(group: Group, run: Run, drawn: int) -> tuple[Cell, ...]:
    samples = _samples(run)
    picked = [i for i, chosen in enumerate(samples["chosen"]) if chosen]
    clients = {samples["client"][i] for i in picked}
    counts = (len(samples["x"]), len(picked), len(clients), len(_sizes(run)), drawn)
    return (group.label, run.seed, *counts)
