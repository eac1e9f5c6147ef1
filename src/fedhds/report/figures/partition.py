"""How the samples are spread over the clients."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any

from fedhds.report.figures._figure import (
    Cell,
    Figure,
    Panel,
    Plain,
    amount,
    mean,
    named,
    number,
    several,
    short,
    tooltip,
    view,
)
from fedhds.report.runs import Group, Run

NAME = "partition"
TITLE = "Partition: how the samples are spread over the clients"
MISSING = "No run says what each client holds (run.json has no clients)."

CLIENTS, TASKS = 40, 60
"""Most clients and tasks whose names can be read along the edges of a heat map."""
SEPARATE = 60
"""Most clients whose bars are told apart by a gap."""
NAMED = 20
"""Most clients whose names stand below their bars."""
SLANTED = {"labelAngle": -60, "labelLimit": 80}
"""An axis of clients' names."""
HELD = "training samples"
WHOLE = {"tickMinStep": 1, "grid": False, "format": ",d"}
"""An axis of whole numbers."""
BARS = 20
"""About the most bars of a histogram."""


def figure(groups: Sequence[Group]) -> Figure | None:
    """Draw each distinct partition: clients by tasks where both are few, else sorted sizes."""
    found = _distinct(groups)
    if not found:
        return None
    panels = [panel for run in found for panel in _panels(run, len(found) > 1)]
    return Figure(
        name=NAME,
        title=TITLE,
        caption=(
            "Clients that hold unequal amounts or different tasks are what makes federated "
            "tuning hard. A stronger colour or a longer bar is more training samples."
        ),
        alt=" ".join(_words(run) for run in found),
        panels=tuple(panels),
        header=("Seed", "Client", "Training samples", "Validation samples", "Tasks"),
        rows=tuple(row for run in found for row in _rows(run)),
        notes=tuple(_words(run) for run in found),
        width=420,
    )


def _distinct(groups: Sequence[Group]) -> list[Run]:
    """Return one run of each partition, which is what the data's fingerprint tells apart."""
    found: dict[str, Run] = {}
    for group in groups:
        for run in group.runs:
            if run.record.get("clients"):
                found.setdefault(str(run.record.get("data") or run.name), run)
    return sorted(found.values(), key=lambda run: run.seed)


def _tasks(client: Plain) -> dict[str, int]:
    """Return the tasks of which a client holds samples, those with a name."""
    return {str(task): n for task, n in (client.get("tasks") or {}).items() if n and task}


def _rows(run: Run) -> list[tuple[Cell, ...]]:
    return [
        (
            run.seed,
            str(client["name"]),
            client["samples"],
            client.get("validation"),
            len(_tasks(client)) or None,
        )
        for client in run.record["clients"]
    ]


def _words(run: Run) -> str:
    """Say how skewed a partition is."""
    clients, skew = run.record["clients"], run.record.get("skew") or {}
    sizes = sorted(client["samples"] for client in clients)
    said = (
        f"Seed {run.seed}: {several(len(clients), 'client')} with {_between(sizes)} samples "
        f"(median {median(sizes):,g})"
    )
    if empty := sizes.count(0):
        said += f", {several(empty, 'client')} without any"
    tasks = mean([len(_tasks(client)) for client in clients if client["samples"]])
    if tasks:
        said += f"; {tasks:.1f} tasks per client on average"
    if (distance := number(skew.get("total_variation"))) is not None:
        said += (
            f"; a client's mix of tasks differs from that of all by {distance:.2f} on average "
            "(total variation: 0 is the same mix, 1 no task in common)"
        )
    return f"{said}."


def _between(sizes: Sequence[int]) -> str:
    low, high = sizes[0], sizes[-1]
    return f"{low:,} to {high:,}" if low < high else f"{low:,}"


def _panels(run: Run, named: bool) -> list[Panel]:
    clients = run.record["clients"]
    which = f", seed {run.seed}" if named else ""
    tasks = {task for client in clients for task in _tasks(client)}
    if tasks and len(clients) <= CLIENTS and len(tasks) <= TASKS:
        return [Panel(_heat_map(which, clients, sorted(tasks)))]
    panels = [Panel(_sorted_sizes(which, clients))]
    if tasks:
        panels.append(Panel(_tasks_per_client(which, clients)))
    return panels


def _heat_map(which: str, clients: Sequence[Plain], tasks: Sequence[str]) -> dict[str, Any]:
    cut = short(tasks, 32)
    rows = [
        {"client": str(client["name"]), "task": task, "short": cut[task], "samples": count}
        for client in clients
        for task, count in _tasks(client).items()
    ]
    names = list(dict.fromkeys(str(client["name"]) for client in clients))
    legend = {"gradientLength": 150}
    return view(
        f"Samples of each task at each client{which}",
        "an empty cell is no sample",
        18 * max(len(tasks), 3),
        data={"values": rows},
        mark={"type": "rect", "style": "cell"},
        encoding={
            "x": named("client", names, "client", axis=SLANTED),
            "y": named("short", cut.values()),
            "color": amount("samples", HELD, scale={"domainMin": 0}, legend=legend),
            "tooltip": tooltip(client="client", task="task", samples="samples"),
        },
    )


def _sorted_sizes(which: str, clients: Sequence[Plain]) -> dict[str, Any]:
    ordered = sorted(clients, key=lambda client: -client["samples"])
    gap = 0.08 if len(clients) <= SEPARATE else 0
    rows = [
        {
            "rank": rank + gap,
            "next": rank + 1 - gap,
            "client": str(c["name"]),
            "samples": c["samples"],
        }
        for rank, c in enumerate(ordered)
    ]
    title, names = "clients, the largest first", dict.fromkeys(row["client"] for row in rows)
    if len(rows) == len(names) <= NAMED:
        mark, across = "bar", {"x": named("client", names, title, axis=SLANTED)}
    else:
        mark = "rect"
        across = {"x": amount("rank", title, [0, len(rows)], axis=WHOLE), "x2": {"field": "next"}}
    return view(
        f"Samples of each client{which}",
        "",
        220,
        data={"values": rows},
        mark={"type": mark, "style": "bar" if gap else "solid"},
        encoding={
            **across,
            "y": amount("samples", HELD),
            "y2": {"datum": 0},
            "tooltip": tooltip(client="client", samples="samples"),
        },
    )


def _tasks_per_client(which: str, clients: Sequence[Plain]) -> dict[str, Any]:
    counts = [len(_tasks(client)) for client in clients]
    step = max(1, math.ceil((max(counts) - min(counts)) / BARS))
    bins = Counter((count - min(counts)) // step * step + min(counts) for count in counts)
    ends = [min(bins) - 0.5, max(bins) + step - 0.5]
    rows = [
        {
            "tasks": f"{low}" if step == 1 else f"{low} to {low + step - 1}",
            "from": low - 0.5,
            "to": low + step - 0.5,
            "clients": bins[low],
        }
        for low in sorted(bins)
    ]
    title = "tasks that a client holds"
    return view(
        f"Tasks of each client{which}",
        "",
        220,
        data={"values": rows},
        mark={"type": "rect", "style": "bar"},
        encoding={
            "x": amount("from", title, ends, axis=WHOLE),
            "x2": {"field": "to"},
            "y": amount("clients", "clients", axis=WHOLE | {"grid": True}),
            "y2": {"datum": 0},
            "tooltip": tooltip(tasks="tasks", clients="clients"),
        },
    )
