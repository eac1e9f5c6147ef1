"""Runs made up for pages: of any number of clients, samples and rounds, finished or not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fedhds.report.figures import Figure, Missing, draw
from fedhds.report.page import page
from fedhds.report.paired import differences
from fedhds.report.runs import Group, Run, Status
from fedhds.report.table import tabulate
from fedhds.report.words import verdict
from fedhds.rng import generator

PHASES = ("signals", "selection", "tuning", "aggregation", "evaluation")
KINDS = ("summaries_up", "plans_down", "adapters_up", "adapters_down")
HOSTILE = (
    "</script><img src=x onerror=alert(1)>",
    "\"'`{{7*7}}${1}",
    "<!--<script>",
    "🦙 = ünïcödé \u2028",
    "x" * 300,
)


def made(
    method: str = "fedhds",
    seed: int = 0,
    *,
    clients: int = 8,
    samples: int = 200,
    rounds: int = 6,
    every: int = 1,
    status: Status = "finished",
    unseen: bool = True,
    validation: bool = True,
    names: Sequence[str] = (),
    kept: bool = True,
) -> Run:
    """Make one run; ``names`` are taken for clients and tasks, ``kept`` is for samples.json."""
    draw = generator(seed, f"made-{method}")
    tasks = [names[i % len(names)] if names else f"task {i}" for i in range(6)]
    of = [(i * clients) // samples for i in range(samples)]
    where = [(i * 7 + i // 5) % 6 for i in range(samples)]
    done = rounds if status == "finished" else rounds // 2
    lines = [
        _line(n, draw, unseen and _asked(n, every, rounds), validation and _asked(n, every, rounds))
        for n in range(1, done + 1)
    ]
    chosen = (draw.random(samples) < (1 if method == "full" else 0.1)).astype(int).tolist()
    grouped = draw.integers(0, 3, samples) if method == "fedhds" else draw.integers(-1, 0, samples)
    summary = _summary(method, seed, lines, sum(chosen), unseen, validation, tasks)
    summary |= {"clients": clients, "samples_total": samples, "samples_validation": clients}
    return Run(
        name=f"{method}-{seed}",
        config=_config(method, seed, rounds, every),
        status=status,
        reason="every client failed twice: <b>no memory</b>" if status == "failed" else None,
        record={
            "verb": "run",
            "data": f"data-{seed}-{clients}-{samples}",
            "skew": {"clients": clients, "total_variation": 0.7},
            "clients": [_client(c, of, where, tasks, names) for c in range(clients)],
        },
        rounds=tuple(lines),
        summary=summary if status == "finished" else None,
        unseen=_unseen(draw, tasks) if unseen and status == "finished" else None,
        samples={
            "tasks": tasks,
            "client": of,
            "task": where,
            "x": [round(30 * math.cos(i) + where[i], 3) for i in range(samples)],
            "y": [round(30 * math.sin(i * 2.3) + where[i] ** 2, 3) for i in range(samples)],
            "group": grouped.tolist(),
            "chosen": chosen,
        }
        if kept
        else None,
    )


def without_task_names(run: Run) -> Run:
    """Take the names of tasks away."""
    clients = [{**client, "tasks": {}} for client in run.record["clients"]]
    summary = run.summary and {**run.summary, "per_task": {}}
    samples = run.samples and {**run.samples, "tasks": [""], "task": [0] * len(run.samples["task"])}
    return replace(run, record={**run.record, "clients": clients}, summary=summary, samples=samples)


def group(*runs: Run, label: str | None = None) -> Group:
    """Put seeds of one thing together."""
    method = runs[0].config["selection"]["method"]
    return Group(label or method, method, "15", runs)


def drawn(groups: Sequence[Group]) -> list[Figure | Missing]:
    """Draw all figures."""
    return draw(groups, differences(groups))


def written(groups: Sequence[Group], title: str = "A comparison") -> str:
    """Write the page as the command does."""
    comparisons = differences(groups)
    return page(
        groups,
        verdict(groups, comparisons),
        tabulate(groups, comparisons),
        draw(groups, comparisons),
        title,
    )


def _asked(n: int, every: int, rounds: int) -> bool:
    return n == rounds or (every > 0 and n % every == 0)


def _line(n: int, draw: Any, unseen: bool, validation: bool) -> dict[str, Any]:
    loss = 5 - 0.9 * n + 0.12 * n * n + float(draw.normal(0, 0.05))
    scores = {
        "unseen": {"rouge_l_mean": 0.02 * n, "loss_mean": loss + 0.8} if unseen else None,
        "validation": {"samples": 9, "rouge_l": 0.03 * n, "loss": loss} if validation else None,
    }
    # as from before there was such a key, but for the second round
    dropped = {"dropped_replies": {"evaluation": {"0": "no reply arrived within 5 s"}}}
    return (dropped if n == 2 else {}) | {
        "round": n,
        "clients": [0, 1],
        "samples": 4,
        "passes": 4,
        "skipped_steps": int(n == 2),
        "loss": loss,
        "failed": {"1": "ValueError"} if n == 1 else {},
        "remarks": [f"{n} client(s) formed no group"],
        "selection": {},
        "seconds": dict.fromkeys(PHASES, 1.5),
        "bytes": dict.fromkeys(KINDS, 10**n),
        "evaluation": scores if unseen or validation else None,
    }


def _summary(
    method: str,
    seed: int,
    lines: Sequence[dict[str, Any]],
    used: int,
    unseen: bool,
    validation: bool,
    tasks: Sequence[str],
) -> dict[str, Any]:
    last = lines[-1]["evaluation"] or {"unseen": None, "validation": None}
    scores = dict.fromkeys(("rouge_l_before", "rouge_l_after", "loss_before", "loss_after"))
    per_task = {}
    if unseen:
        after = last["unseen"]["loss_mean"]
        scores = {"rouge_l_before": 0.01, "rouge_l_after": 0.2 + 0.01 * seed}
        scores |= {"loss_before": 6.0, "loss_after": after}
        per_task = {
            task: {
                "n": 5,
                "rouge_l_before": 0.0,
                "rouge_l_after": 0.05 * i,
                "loss_before": 5.0,
                "loss_after": 4.5 + 0.3 * i,
            }
            for i, task in enumerate(tasks)
        }
    before = {"samples": 9, "rouge_l": 0.01, "loss": 5.2} if validation else None
    return {
        "method": method,
        "base_model": "tiny-llama",
        "seed": seed,
        "rounds": len(lines),
        "resumed_from": None,
        "samples_used": used,
        "sample_passes": used,
        "skipped_steps": 1,
        "best_round": 4,
        "validation": {"before": before, "after": last["validation"]},
        **scores,
        "rouge_l_ci": None,
        "per_task": per_task,
        "seconds": {phase: 10.0 * (i + 1) for i, phase in enumerate(PHASES)},
        "bytes": {kind: 300 * 1000**i for i, kind in enumerate(KINDS)},
        "peak_rss_mb": 712.2,
        "dropped": {"over_per_client": 286},
        "noted": {"duplicate": 3},
        "warnings": ["the data are <small>"],
        "failures": 1,
        "repeated_rounds": 0,
        "skew": {},
        "versions": {"python": "3.11.7", "fedhds": "0.1.0", "torch": "2.6.0"},
        "machine": {"device": "cpu", "threads": 1, "cpus": 2},
    }


def _unseen(draw: Any, tasks: Sequence[str]) -> dict[str, Any]:
    """Make the scores of five samples of each task."""

    def scores(rouge_l: float, loss: float) -> dict[str, Any]:
        count = 5 * len(tasks)
        return {
            "tasks": [task for task in tasks for _ in range(5)],
            "rouge_l": (rouge_l + draw.random(count) / 10).tolist(),
            "loss_sums": (8 * loss + draw.random(count)).tolist(),
            "token_counts": [8] * count,
        }

    return {"before": scores(0.0, 6.0), "after": scores(0.2, 5.0)}


def _client(
    c: int, of: Sequence[int], where: Sequence[int], tasks: Sequence[str], names: Sequence[str]
) -> dict[str, Any]:
    held = [task for client, task in zip(of, where, strict=True) if client == c]
    counts = {tasks[task]: held.count(task) for task in sorted(set(held))}
    name = f"{names[c % len(names)]}{c}" if names else f"client {c}"
    return {"name": name, "samples": len(held), "validation": 1, "tasks": counts}


def _config(method: str, seed: int, rounds: int, every: int) -> dict[str, Any]:
    return {
        "model": {"name": "tiny-llama"},
        "adapter": {"kind": "lora", "rank": 8},
        "data": {"train": "/home/somebody/secret/train.jsonl", "eval": None, "preset": "toy"},
        "partition": {"kind": "task"},
        "selection": {"method": method, "samples": 10},
        "federation": {"rounds": rounds, "fraction": 0.5},
        "tuning": {"lr": 0.003},
        "evaluation": {"every": every},
        "tracking": {"mlflow": {"uri": "https://name:password@example.org"}},
        "seed": seed,
    }
