"""What a server keeps of a million clients: memory, sampling, checkpoints. No client is asked.

    python benchmarks/books.py --write

The books are the server's own objects as after the greeting: node, samples and validation
samples of each client, and how many different samples each has trained on. A round samples
1,000 and 10,000 of them, and keeps a checkpoint with an adapter of a megabyte. Each size has a
process of its own; times are medians of five (smallest to largest).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import psutil
from flwr.clientapp import ClientApp
from shared import machine

from fedhds.aggregation.fedavg import FedAvg
from fedhds.codecs.float32 import Float32
from fedhds.federation import checkpoint
from fedhds.federation.checkpoint import RunState
from fedhds.federation.clients import Clients
from fedhds.federation.in_process import FIRST_CLIENT_NODE, InProcessGrid
from fedhds.federation.rounds import Rounds, sample_clients
from fedhds.files import write_text
from fedhds.rng import generator
from fedhds.selection.full import Full
from fedhds.types import Schedule, Silent

SIZES, ASKED, REPEATS, SAMPLES = (10_000, 100_000, 1_000_000), (1_000, 10_000), 5, 20
RESULT = Path(__file__).parent / "results" / "books.md"


def timed(work: Callable[[], object]) -> str:
    """Return a median and the range, in seconds."""
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return f"{median(seconds):.3f} ({min(seconds):.3f} to {max(seconds):.3f})"


def measure(count: int) -> list[str]:
    """Keep the books of ``count`` clients and return a row of the table."""
    before = psutil.Process().memory_info().rss
    nodes = generator(0, "books").permutation(count) + FIRST_CLIENT_NODE
    clients = Clients(InProcessGrid(ClientApp(), 1), Silent())
    for number, node in enumerate(nodes.tolist()):
        clients.nodes[number] = 2**62 + node  # Flower's numbers are as large
        clients.samples[number] = clients.validation[number] = SAMPLES + number % SAMPLES
    adapter = {"w": np.zeros(250_000, np.float32)}
    distinct = {number: SAMPLES + number % 300 for number in range(count)}
    state = RunState(adapter, best_adapter=adapter, distinct=distinct)
    megabytes = (psutil.Process().memory_info().rss - before) / 1e6
    sampling = []
    for asked in ASKED:
        rounds = Rounds(Full(), FedAvg(), Float32(), 9, min(1.0, asked / count), seed=0)
        sampling.append(timed(lambda r=rounds: sample_clients(clients, r, Schedule(), 1)))
    with tempfile.TemporaryDirectory() as folder:
        saving = timed(lambda: checkpoint.save(Path(folder), state))
        (kept,) = Path(folder).iterdir()
        size = kept.stat().st_size / 1e6
    return [f"{count:,}", f"{megabytes:,.0f}", *sampling, saving, f"{size:,.1f}"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, help="measure this size alone, in this process")
    parser.add_argument("--write", action="store_true", help=f"keep {RESULT.name}")
    options = parser.parse_args(arguments)
    if options.clients:
        print(" | ".join(["", *measure(options.clients), ""]).strip())
        return
    head = ["clients", "memory, MB", *(f"sampling {asked:,}, s" for asked in ASKED)]
    head += ["checkpoint, s", "checkpoint, MB"]
    lines = [
        "# The books of a million clients",
        "",
        f"Machine: {machine(1)}, shared with other processes.",
        "Command: `python benchmarks/books.py --write`, which says what is counted.",
        "",
        f"| {' | '.join(head)} |",
        "|" + "---:|" * len(head),
    ]
    for size in SIZES:
        command = [sys.executable, __file__, "--clients", str(size)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        lines.append(done.stdout.splitlines()[-1])
    text = "\n".join(lines) + "\n"
    if options.write:
        write_text(RESULT, text)
    print(text)


if __name__ == "__main__":
    main()
