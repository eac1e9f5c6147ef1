"""Ten thousand clients in one process: what starting takes, and whether memory stays flat.

    python benchmarks/many_clients.py --table benchmarks/results/many_clients.md

10,000 clients of four short samples each, one value of a column a client, of which 1 % take
part in each of 50 rounds, with the embedded model and no evaluation. Start-up is all until
the first checkpoint, without loading the model. ``--partition iid`` and ``dirichlet`` spread
the toy federation over as many clients instead.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from shared import Clock, machine

import fedhds
from fedhds import experiment, preparation, run_folder
from fedhds.data.partition.column import ColumnPartition
from fedhds.data.partition.dirichlet import DirichletPartition
from fedhds.data.partition.iid import IidPartition
from fedhds.federation import checkpoint
from fedhds.federation.clients import Clients
from fedhds.files import write_json, write_text
from fedhds.types import Silent

SAMPLES, MODEL = 4, "loading the model"
PARTS = (
    (preparation, "load_tokenizer", MODEL),
    (preparation, "load_base", MODEL),
    (preparation, "load_config", MODEL),
    (preparation, "add_adapter", MODEL),
    (preparation, "load_examples", "reading"),
    (ColumnPartition, "split", "partition"),
    (DirichletPartition, "split", "partition"),
    (IidPartition, "split", "partition"),
    (preparation, "encode_all", "tokens"),
    (preparation, "build_clients", "clients' samples"),
    (preparation.skew, "summarise", "skew"),
    (preparation, "check_models", "checking tokens"),
    (run_folder, "begin", "run folder and fingerprint"),
    (experiment, "build_sites", "sites"),
    (Clients, "greet", "greeting"),
    (checkpoint, "save", "checkpoint"),
)
"""What is timed: an owner's function, and the part of the start that it counts as."""


class Rounds(Silent):
    """Takes down the start's seconds by part, and each round's memory and seconds."""

    def __init__(self, clock: Clock) -> None:
        self.start: dict[str, float] = {}
        self.mb: list[float] = []
        self.seconds: list[float] = []
        self.ended = 0.0
        self._clock, self._since = clock, time.perf_counter()

    def track(self, items: Any, description: str, total: int) -> Any:
        """Close the start's account when the rounds begin."""
        if description == "rounds":
            parts = self._clock.take()
            parts["other"] = time.perf_counter() - self._since - sum(parts.values())
            self.start, self._since = parts, time.perf_counter()
        return iter(items)

    def say(self, event: str, text: str, **facts: Any) -> None:
        """Take down a round."""
        if event == "round":
            self.ended = time.perf_counter()
            self.mb.append(psutil.Process().memory_info().rss / 1e6)
            self.seconds.append(self.ended - self._since)
            self._since = time.perf_counter()


def configuration(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Describe the federation, and write its data where they are not the toy's."""
    if options.partition == "column":
        path = folder / "train.jsonl"
        draw = random.Random(0)
        rows = (
            {
                "instruction": f"Add {draw.randrange(100)} and {n}.",
                "output": str(draw.randrange(200)),
                "client": f"c{client:05d}",
            }
            for client in range(options.clients)
            for n in range(SAMPLES)
        )
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        data, partition = {"train": str(path)}, {"kind": "column", "by": "client"}
    else:
        data = {"toy_samples": -(-options.clients * SAMPLES // 80)}  # of 80 tasks
        partition = {"kind": options.partition, "clients": options.clients}
        if options.partition == "dirichlet":
            partition |= {"min_size": 0}
    samples = {"samples": max(1, options.clients // 50)} if options.method == "random" else {}
    return {
        "model": {"threads": 1},
        "data": data,
        "partition": partition,
        "selection": {"method": options.method, **samples},
        "federation": {"rounds": options.rounds, "fraction": 0.01},
        "evaluation": {"validation": 0.0, "per_task": 1, "max_new_tokens": 1},
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run once and return the figures."""
    clock = Clock()
    for owner, name, label in PARTS:
        clock.watch(owner, name, label)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        config = configuration(options, Path(folder))
        told = Rounds(clock)
        fedhds.run(config, Path(folder) / "run", progress=told)
        end = time.perf_counter() - told.ended
    first = min(5, len(told.mb) - 1)
    steady = told.mb[first - 1 :]
    return {
        "clients": options.clients,
        "partition": options.partition,
        "method": options.method,
        "start_s": sum(told.start.values()) - told.start.get(MODEL, 0.0),
        "start_parts_s": told.start,
        "rss_mb": told.mb,
        "growth_mb": steady[-1] - steady[0],
        "slope_mb": float(np.polyfit(range(len(steady)), steady, 1)[0]),
        "round_s": float(np.median(told.seconds)),
        "end_s": end,
        "counted_from": first,
    }


def table(found: dict[str, Any]) -> str:
    """Write the figures as Markdown."""
    rounds = len(found["rss_mb"])
    lines = [
        f"# {found['clients']:,} clients in one process, 1 % of them a round",
        "",
        f"Machine: {machine(1)}.",
        f"`{found['method']}`, partition `{found['partition']}`, {SAMPLES} samples a client, the "
        f"embedded model, {rounds} rounds, no evaluation but of one unseen sample at most.",
        "Command: `python benchmarks/many_clients.py --table benchmarks/results/many_clients.md`.",
        "",
        "| | |",
        "|---|---:|",
        f"| **start-up beside loading the model** | {found['start_s']:.2f} s |",
    ]
    parts = sorted(found["start_parts_s"].items(), key=lambda part: (part[0] == MODEL, -part[1]))
    for name, seconds in parts:
        of = "beside it" if name == MODEL else "of it"
        lines.append(f"| {of} {name} | {seconds:.2f} s |")
    first = found["counted_from"]
    lines += [
        f"| memory after round {first} | {found['rss_mb'][first - 1]:,.1f} MB |",
        f"| memory after round {rounds} | {found['rss_mb'][-1]:,.1f} MB |",
        f"| **growth** | {found['growth_mb']:+.1f} MB |",
        f"| slope | {1000 * found['slope_mb']:+.0f} kB a round |",
        f"| a round, median | {found['round_s']:.2f} s |",
        f"| after the last round | {found['end_s']:.2f} s |",
    ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=50, help="at least 3")
    parser.add_argument("--method", choices=("fedhds", "random"), default="fedhds")
    parser.add_argument("--partition", choices=("column", "iid", "dirichlet"), default="column")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--folder", type=Path, help="for data and run; else temporary")
    options = parser.parse_args(arguments)
    if options.rounds < 3:
        parser.error("--rounds must be at least 3")
    found = measure(options)
    if options.json:
        write_json(options.json, {"machine": machine(1), **found})
    if options.table:
        write_text(options.table, table(found))
    print(table(found))


if __name__ == "__main__":
    main()
