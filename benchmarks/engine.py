"""What the in-process engine costs a round, beside model work and selection arithmetic.

    python benchmarks/engine.py --json engine.json --table benchmarks/results/engine.md

Ten clients of a hundred samples of the toy federation, all in every round, `fedhds`, the
embedded model with LoRA of three ranks, so that the adapter has about 0.1, 1 and 12 MB.
The engine is what is left of a round's wall time without signals, `fedhds`'s own functions
and tuning: messages packed, checked and unpacked, Flower's objects, the clients' files,
adapters set and merged, the checkpoint and ``rounds.jsonl``. The first two rounds of each
run warm up and do not count.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from shared import Clock, machine

import fedhds
from fedhds import experiment
from fedhds.federation import checkpoint, client_app, clients, messages
from fedhds.federation.client_store import ClientStore, RoundAdapter
from fedhds.files import write_json, write_text
from fedhds.selection.fedhds import FedHDS
from fedhds.types import Silent

CLIENTS, SAMPLES, WARM_UP = 10, 100, 2
RANKS = {"0.1 MB": 3, "1 MB": 25, "12 MB": 293}
"""Every rank makes adapters of 41 kB on the embedded model's linear layers."""
NOT_ENGINE = "model work and selection"
PARTS = (
    (FedHDS, ("group", "choose", "pick"), NOT_ENGINE),
    (client_app, ("tune",), NOT_ENGINE),
    (client_app, ("pack",), "packing messages"),
    (messages, ("to_record",), "packing messages"),
    (client_app, ("unpack", "_schemas"), "checking messages"),
    (clients, ("unpack",), "checking messages"),
    (ClientStore, ("save", "before", "at"), "clients' files"),
    (RoundAdapter, ("keep", "of"), "clients' files"),
    (client_app, ("adapter_arrays",), "reading and setting adapters"),
    (client_app, ("set_adapter_arrays",), "reading and setting adapters"),
    (checkpoint, ("save",), "checkpoint"),
    (experiment, ("append_lines",), "rounds.jsonl"),
)
"""What is timed: an owner's functions, and the part of a round that they count as."""


class Rounds(Silent):
    """Takes down each round's seconds by part, the rest as ``other``."""

    def __init__(self, clock: Clock) -> None:
        self.rounds: list[dict[str, float]] = []
        self._clock, self._since = clock, time.perf_counter()

    def say(self, event: str, text: str, **facts: Any) -> None:
        """Close the account of a round when it is told of."""
        if event == "round":
            now, parts = time.perf_counter(), self._clock.take()
            # its functions wait for the clients too, so the engine's own count is taken
            parts["merging"] = facts["seconds"]["aggregation"]
            parts["other"] = now - self._since - sum(parts.values())
            self.rounds.append(parts)
            self._since = time.perf_counter()


def configuration(rank: int, rounds: int) -> dict[str, Any]:
    """Describe the federation; it is evaluated before the first round and after the last only."""
    return {
        "model": {"threads": 1},
        "adapter": {"rank": rank},
        "data": {"toy_samples": 13, "per_client": SAMPLES},
        "partition": {"kind": "iid", "clients": CLIENTS},
        "federation": {"rounds": rounds, "fraction": 1.0},
        "evaluation": {"validation": 0.0, "per_task": 1, "max_new_tokens": 1},
    }


def measure(clock: Clock, rank: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Run once; return the adapter's bytes and the median milliseconds of a round by part."""
    told = Rounds(clock)
    # one more, as the last round's time holds the last evaluation
    run = fedhds.run(configuration(rank, WARM_UP + rounds + 1), folder / str(rank), progress=told)
    counted = told.rounds[WARM_UP:-1]
    names = dict.fromkeys(name for parts in counted for name in parts)
    parts = {n: 1000 * median(p.get(n, 0.0) for p in counted) for n in names}
    engine = [1000 * (sum(p.values()) - p[NOT_ENGINE]) for p in counted]
    sent = run.summary["bytes"]["adapters_down"]
    return {
        "adapter_bytes": sent // (len(told.rounds) * CLIENTS),
        "rounds": len(counted),
        "engine_ms": median(engine),
        "fastest_ms": min(engine),
        "slowest_ms": max(engine),
        "parts_ms": parts,
    }


def table(found: dict[str, dict[str, Any]]) -> str:
    """Write the figures as Markdown, the dearest parts first."""
    sizes = [f"{figures['adapter_bytes'] / 1e6:.2f} MB adapter" for figures in found.values()]
    parts = max(found.values(), key=lambda figures: figures["engine_ms"])["parts_ms"]
    lines = [
        "# The in-process engine: milliseconds a round beside model work and selection",
        "",
        f"Machine: {machine(1)}.",
        f"{CLIENTS} clients of {SAMPLES} samples, all in every round, `fedhds`, the embedded "
        "model; medians over the rounds.",
        "Command: `python benchmarks/engine.py --table benchmarks/results/engine.md`.",
        "",
        f"| | {' | '.join(sizes)} |",
        "|---|" + "---:|" * len(found),
    ]
    rows = {
        "**engine**": [f["engine_ms"] for f in found.values()],
        "fastest round": [f["fastest_ms"] for f in found.values()],
        "slowest round": [f["slowest_ms"] for f in found.values()],
    }
    for part in sorted(parts, key=lambda name: (name == NOT_ENGINE, -parts[name])):
        name = f"beside it, {part}" if part == NOT_ENGINE else f"of it {part}"
        rows[name] = [figures["parts_ms"].get(part, 0.0) for figures in found.values()]
    for name, values in rows.items():
        lines.append(f"| {name} | " + " | ".join(f"{value:,.1f}" for value in values) + " |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every size and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--sizes", nargs="+", choices=RANKS, default=list(RANKS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--folder", type=Path, help="where the runs are written; else temporary")
    options = parser.parse_args(arguments)
    clock = Clock()
    for owner, names, label in PARTS:
        for name in names:
            clock.watch(owner, name, label)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        found = {s: measure(clock, RANKS[s], options.rounds, Path(folder)) for s in options.sizes}
    if options.json:
        write_json(options.json, {"machine": machine(1), "sizes": found})
    if options.table:
        write_text(options.table, table(found))
    print(table(found))


if __name__ == "__main__":
    main()
