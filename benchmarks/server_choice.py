"""How long FedHDS's server takes to choose among a thousand to a million client groups.

    python benchmarks/server_choice.py --write

One line of the first table is one call of `FedHDS.choose` in a process of its own, on one
thread. The centroids are drawn: n / 50 clients with 50 groups each, every group about one of
n / 1000 topics (20 at least) that are uniform in a cube and spread by log-normal amounts; each
client is a little off. The second table compares the approximate way, which is for more than
ten thousand centroids in more than two dimensions, with the exact one where both can be had.
``--most`` cuts the sizes short; without ``--write`` the tables are printed only.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import psutil
import scipy
import sklearn
from sklearn.metrics import adjusted_rand_score

from fedhds.files import write_json
from fedhds.rng import generator
from fedhds.selection import _spanning_tree
from fedhds.selection._grouping import NOISE
from fedhds.selection._hierarchy import densest_groups
from fedhds.selection.fedhds import FedHDS

RESULTS = Path(__file__).parent / "results" / "server_choice.md"
SIZES = (1_000, 10_000, 100_000, 1_000_000)
DIMENSIONS = (2, 32)
GROUPS = 50
"""Of a client."""
COMPARED = 10_000
"""Centroids that are grouped both ways."""


def topical(count: int, dimensions: int, rng: np.random.Generator) -> np.ndarray:
    """Draw centroids, shape (clients, GROUPS, dimensions)."""
    topics = rng.uniform(-50, 50, (max(20, count // 1000), dimensions))
    spreads = rng.lognormal(0, 0.5, len(topics))
    chosen = rng.integers(len(topics), size=(count // GROUPS, GROUPS))
    own = rng.normal(0, spreads[chosen][..., None], (*chosen.shape, dimensions))
    shifts = rng.normal(0, 0.3, (len(chosen), 1, dimensions))
    return (topics[chosen] + own + shifts).astype(np.float32)


def curved(count: int, dimensions: int, rng: np.random.Generator) -> np.ndarray:
    """Draw points about a bent sheet of four dimensions."""
    places = rng.normal(size=(count, 4)) @ rng.normal(size=(4, dimensions))
    return np.tanh(places) + rng.normal(0, 0.01, (count, dimensions))


def uniform(count: int, dimensions: int, rng: np.random.Generator) -> np.ndarray:
    """Draw points without any structure."""
    return rng.uniform(size=(count, dimensions))


def measure(count: int, dimensions: int, budget: int | None) -> dict:
    """Time one choice in this process, which must be a fresh one."""
    drawn = topical(count, dimensions, generator(0, "centroids"))
    facts = {"samples": np.array([4 * GROUPS]), "ungrouped": np.array([0])}
    summaries = {client: {"centroids": part} | facts for client, part in enumerate(drawn)}
    method, rng = FedHDS(dimensions=dimensions), generator(0, "choose")
    before = psutil.Process().memory_info().rss
    begun, begun_computing = perf_counter(), process_time()
    state, replies = method.choose({}, summaries, budget, rng)
    seconds, computing = perf_counter() - begun, process_time() - begun_computing
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "centroids": count,
        "dimensions": dimensions,
        "budget": budget,
        "seconds": seconds,
        "computing": computing,
        "growth": peak - before,
        "peak": peak,
        "groups": int(state["global_groups"][0]),
        "exact": not state["approximate"][0],
        "given": sum(int(reply["samples"].sum()) for reply in replies.values()),
    }


def apart(count: int, dimensions: int, budget: int | None) -> dict:
    """Let a fresh process measure."""
    call = [sys.executable, __file__, "--one", json.dumps([count, dimensions, budget])]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(call, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def agreement(name: str, points: np.ndarray) -> dict:
    """Group points exactly and approximately, and compare trees and groups."""
    trees, labels = [], []
    for exact in (len(points), 0):
        _spanning_tree.EXACT = exact
        trees.append(_spanning_tree.spanning_tree(points, generator(0, "choose")))
        labels.append(densest_groups(trees[-1].edges, trees[-1].lengths, 2)[0])
    return {
        "points": name,
        "length": float(trees[1].lengths.sum() / trees[0].lengths.sum()),
        "agreement": float(adjusted_rand_score(*labels)),
        "groups": [int(found.max()) + 1 for found in labels],
        "noise": [float((found == NOISE).mean()) for found in labels],
    }


def processor() -> str:
    """Return the processor's name, where the system tells it."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def tables(choices: list[dict], agreements: list[dict]) -> str:
    """Write what was measured as Markdown."""
    versions = f"NumPy {np.__version__}, SciPy {scipy.__version__}, "
    versions += f"scikit-learn {sklearn.__version__}"
    lines = [
        "# FedHDS's server choice by the number of client groups",
        "",
        f"Machine: {processor()}, {os.cpu_count()} cores, of which one thread was used; Python "
        f"{platform.python_version()}, {versions}.",
        "Command: `python benchmarks/server_choice.py --write`, which says how the centroids "
        "are drawn. One call of `FedHDS.choose` a line, each in a process of its own. Other "
        "processes ran side by side, so that the processor's time, which the next column "
        "divides, says more than the clock's. Memory is what the process's peak grew by, its "
        "inputs not counted.",
        "",
        "| dimensions | centroids | budget | seconds | of the processor | ns / (n log2 n) "
        "| memory, MB | peak, MB | global groups | samples chosen | tree |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for made in choices:
        n = made["centroids"]
        cells = [
            f"{made['dimensions']}",
            f"{n:,}",
            "none" if made["budget"] is None else f"{made['budget']:,}",
            f"{made['seconds']:.2f}",
            f"{made['computing']:.2f}",
            f"{made['computing'] / (n * np.log2(n)) * 1e9:,.0f}",
            f"{made['growth'] / 1e6:,.0f}",
            f"{made['peak'] / 1e6:,.0f}",
            f"{made['groups']:,}",
            f"{made['given']:,}",
            "exact" if made["exact"] else "approximate",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lines += [
        "",
        f"{COMPARED:,} points in {DIMENSIONS[-1]} dimensions, grouped exactly and then "
        "approximately (the adjusted Rand index is 1 where all groups are the same, and counts "
        "noise as a group):",
        "",
        "| points | length of the tree, approximate / exact | adjusted Rand index "
        "| global groups | noise |",
        "|---|---:|---:|---:|---:|",
    ]
    for made in agreements:
        groups = " / ".join(f"{count:,}" for count in reversed(made["groups"]))
        noise = " / ".join(f"{share:.1%}" for share in reversed(made["noise"]))
        name, length, index = made["points"], made["length"], made["agreement"]
        lines.append(f"| {name} | {length:.4f} | {index:.3f} | {groups} | {noise} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure every size and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=SIZES[-1], help="the largest size")
    parser.add_argument("--json", type=Path, help="a file for the numbers")
    parser.add_argument("--write", action="store_true", help=f"write results/{RESULTS.name}")
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(*arguments.one)))
        return
    choices = [
        apart(count, dimensions, budget)
        for dimensions in DIMENSIONS
        for count in SIZES
        if count <= arguments.most
        for budget in (None, count // 10)
    ]
    shape = (COMPARED, DIMENSIONS[-1])
    agreements = [
        agreement("topical", topical(*shape, generator(0, "points")).reshape(shape)),
        agreement("curved", curved(*shape, generator(0, "points"))),
        agreement("uniform", uniform(*shape, generator(0, "points"))),
    ]
    text = tables(choices, agreements)
    print(text)
    if arguments.json:
        write_json(arguments.json, {"choices": choices, "agreements": agreements})
    if arguments.write:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
