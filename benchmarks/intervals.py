"""Which simultaneous intervals hold with few seeds: a simulation of paired comparisons.

    python benchmarks/intervals.py --write

Differences of a method from a reference are drawn for seeds and tasks,

    D[s, t] = true difference + seed effect + task effect + noise,

where the methods of a family share the reference's part, so that their differences correlate by
a half. Every way to build intervals sees the same draws. Counted are families with any interval
that misses its true difference (the family-wise error, which is to be 5 %), and true differences
that are told from zero (the power).
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.special import stdtrit
from shared import machine

from fedhds.report.paired import LEVEL, half_width, steadied
from fedhds.rng import generator
from fedhds.types import Array

RESULTS = Path(__file__).parent / "results" / "intervals.md"
BATCH = 4
"""Families at a time, for the sake of memory."""
SEEDS, TASKS, FAMILIES = (2, 3, 5), (10, 20, 60), (1, 12)


@dataclass(frozen=True)
class Truth:
    """Standard deviations of the three parts of a difference, and the difference itself."""

    seed: float
    task: float
    noise: float
    difference: float = 0.0
    skewed: bool = False
    noisy: Literal["none", "reference", "method"] = "none"

    def draw(self, rng: np.random.Generator, shape: tuple[int, int, int, int]) -> Array:
        """Return differences of shape (families, comparisons, seeds, tasks)."""
        families, comparisons, seeds, tasks = shape
        methods = comparisons + 1  # the last is the reference
        effects = self._effects(rng, (families, methods, seeds, 1))
        if self.noisy != "none":
            effects[:, -1 if self.noisy == "reference" else 0] *= 3
        scores = self.seed * effects
        scores = scores + self.task * rng.standard_normal((families, methods, 1, tasks))
        scores = scores + self.noise * rng.standard_normal((families, methods, seeds, tasks))
        return self.difference + (scores[:, :-1] - scores[:, -1:]) / np.sqrt(2)

    def _effects(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        if not self.skewed:
            return rng.standard_normal(shape)
        # Most seeds do nothing and a few do much, as seen in runs; mean 0, deviation 1.
        return (rng.exponential(size=shape) ** 2 - 2) / np.sqrt(20)


NULLS = {
    "noise": Truth(0, 0, 1),
    "tasks": Truth(0, 1, 0.5),
    "seeds": Truth(0.5, 0.3, 1),
    "seeds, somewhat": Truth(0.15, 0.3, 1),
    "seeds, reference thrice": Truth(0.5, 0.3, 1, noisy="reference"),
    "seeds, one method thrice": Truth(0.5, 0.3, 1, noisy="method"),
    "seeds, heavy tails": Truth(0.5, 0.3, 1, skewed=True),
}
EFFECTS = {
    "consistent": Truth(0, 0, 1, 1.0),
    "varies by task": Truth(0, 0.5, 1, 1.0),
    "varies by seed": Truth(0.2, 0.3, 1, 1.0),
}


@dataclass(frozen=True)
class Family:
    """What all ways start from: differences, their means, and what varies, of one batch."""

    cells: Array
    seed_weights: Array
    task_weights: Array

    @property
    def mean(self) -> Array:
        return self.cells.mean((2, 3))

    @property
    def comparisons(self) -> int:
        return self.cells.shape[1]

    @property
    def variances(self) -> tuple[Array, Array]:
        """Variance of the mean over seeds and over tasks, each with n - 1."""
        seeds, tasks = self.cells.shape[2:]
        return (
            self.cells.mean(3).var(2, ddof=1) / seeds,
            self.cells.mean(2).var(2, ddof=1) / tasks,
        )

    def resampled(self) -> tuple[Array, Array]:
        """Means by family, comparison and draw, and their own standard errors."""
        by_seed = self.cells @ self.task_weights  # (families, comparisons, seeds, draws)
        by_task = self.cells.swapaxes(2, 3) @ self.seed_weights
        means = (by_seed * self.seed_weights).sum(2)
        seeds, tasks = self.cells.shape[2:]
        over_seeds = (by_seed**2 * self.seed_weights).sum(2) - means**2
        over_tasks = (by_task**2 * self.task_weights).sum(2) - means**2
        return means, np.sqrt(
            np.maximum(over_seeds, 0) / (seeds - 1) + np.maximum(over_tasks, 0) / (tasks - 1)
        )


Ends = tuple[Array, Array]


def percentile(family: Family) -> Ends:
    """Quantiles of the two-way bootstrap, Bonferroni."""
    tail = (1 - LEVEL) / 2 / family.comparisons
    low, high = np.quantile(family.resampled()[0], [tail, 1 - tail], axis=2)
    return low, high


def max_t(family: Family) -> Ends:
    """Largest deviation over all comparisons, in fixed standard errors, inflated."""
    means, seeds = family.resampled()[0], family.cells.shape[2]
    error = means.std(2)
    largest = (abs(means - family.mean[..., None]) / error[..., None]).max(1)
    width = np.quantile(largest, LEVEL, axis=1)[:, None] * error * np.sqrt(seeds / (seeds - 1))
    return family.mean - width, family.mean + width


def studentised(family: Family) -> Ends:
    """Largest deviation over all comparisons, each in the standard errors of its own draw."""
    means, errors = family.resampled()
    with np.errstate(divide="ignore", invalid="ignore"):
        deviations = np.nan_to_num(abs(means - family.mean[..., None]) / errors, posinf=1e9)
    width = np.quantile(deviations.max(1), LEVEL, axis=1)[:, None] * np.sqrt(sum(family.variances))
    return family.mean - width, family.mean + width


def satterthwaite(family: Family) -> Ends:
    """Student's t of the degrees of freedom that both variances have together, Bonferroni."""
    (over_seeds, over_tasks), (seeds, tasks) = family.variances, family.cells.shape[2:]
    total = over_seeds + over_tasks
    freedom = total**2 / (over_seeds**2 / (seeds - 1) + over_tasks**2 / (tasks - 1))
    width = stdtrit(freedom, 1 - (1 - LEVEL) / 2 / family.comparisons) * np.sqrt(total)
    return family.mean - width, family.mean + width


def seeds_alone(family: Family) -> Ends:
    """Student's t over the seeds' means, as most papers do, Bonferroni."""
    seeds = family.cells.shape[2]
    quantile = stdtrit(seeds - 1, 1 - (1 - LEVEL) / 2 / family.comparisons)
    width = quantile * np.sqrt(family.variances[0])
    return family.mean - width, family.mean + width


def banerjee(family: Family) -> Ends:
    """Each variance with its own Student's t, Bonferroni."""
    seeds, tasks = family.cells.shape[2:]
    over_seeds, over_tasks = family.variances
    width = half_width(over_seeds, over_tasks, seeds - 1, tasks, family.comparisons)
    return family.mean - width, family.mean + width


def pooled(family: Family) -> Ends:
    """Banerjee, no variance over seeds below the mean of the family's: `fedhds.report.paired`."""
    seeds, tasks = family.cells.shape[2:]
    over_seeds, over_tasks = family.variances
    steady, freedom = steadied(over_seeds, np.full(family.comparisons, seeds))
    width = half_width(steady, over_tasks, freedom, tasks, family.comparisons)
    return family.mean - width, family.mean + width


WAYS: dict[str, Callable[[Family], Ends]] = {
    "percentile": percentile,
    "max-t": max_t,
    "bootstrap-t": studentised,
    "Satterthwaite": satterthwaite,
    "seeds alone": seeds_alone,
    "Banerjee": banerjee,
    "pooled": pooled,
}


def weights(rng: np.random.Generator, size: int, draws: int) -> Array:
    """Return how often each of ``size`` units is drawn, as a share; shape (size, draws)."""
    return rng.multinomial(size, np.full(size, 1 / size), draws).T / size


def measure(
    truth: Truth, seeds: int, tasks: int, comparisons: int, families: int, draws: int
) -> dict[str, tuple[float, float]]:
    """Return each way's family-wise error and share of differences told from zero."""
    rng = generator(0, f"intervals {truth} {seeds} {tasks} {comparisons}")
    wrong, told = dict.fromkeys(WAYS, 0), dict.fromkeys(WAYS, 0.0)
    for _ in range(0, families, BATCH):
        cells = truth.draw(rng, (BATCH, comparisons, seeds, tasks))
        family = Family(cells, weights(rng, seeds, draws), weights(rng, tasks, draws))
        for name, way in WAYS.items():
            low, high = way(family)
            missed = (low > truth.difference) | (high < truth.difference)
            wrong[name] += missed.any(1).sum()
            told[name] += ((low > 0) | (high < 0)).mean(1).sum()
    return {name: (wrong[name] / families, told[name] / families) for name in WAYS}


def table(truths: dict[str, Truth], which: int, families: int, draws: int) -> list[str]:
    """Lay out one measure (0: error, 1: power) of all ways over all settings."""
    lines = [
        "| what varies | seeds | tasks | comparisons | " + " | ".join(WAYS) + " |",
        "|---|---:|---:|---:|" + "---:|" * len(WAYS),
    ]
    for (name, truth), seeds, tasks, comparisons in itertools.product(
        truths.items(), SEEDS, TASKS, FAMILIES
    ):
        found = measure(truth, seeds, tasks, comparisons, families, draws)
        cells = [f"{found[way][which]:.1%}" for way in WAYS]
        if which == 0:
            bound = (1 - LEVEL) + 2 * np.sqrt(LEVEL * (1 - LEVEL) / families)
            cells = [
                f"**{cell}**" if found[way][0] > bound else cell
                for way, cell in zip(WAYS, cells, strict=True)
            ]
        lines.append(f"| {name} | {seeds} | {tasks} | {comparisons} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def document(families: int, draws: int) -> str:
    """Measure everything and write the tables."""
    began = time.process_time()
    lines = ["## Family-wise error, in % of families (to be 5 %)", ""]
    lines += ["Bold: above 5 % by more than two standard errors of this simulation.", ""]
    lines += table(NULLS, 0, families, draws)
    lines += ["## Power: differences told from zero, where the true one is 1", ""]
    lines += table(EFFECTS, 1, families, draws)
    seconds = time.process_time() - began
    head = [
        "# Which intervals hold with few seeds",
        "",
        f"Machine: {machine(1)}, {seconds:.0f} s of processor time. Command: "
        f"`python benchmarks/intervals.py --write`. {families} families a setting, "
        f"{draws} bootstrap draws.",
        "",
        *(f"- {name}: {way.__doc__}" for name, way in WAYS.items()),
        "",
        "What varies, as standard deviations of a difference: "
        + "; ".join(
            f"{name}: seed {truth.seed}, task {truth.task}, noise {truth.noise}"
            for name, truth in (NULLS | EFFECTS).items()
        )
        + ".",
        "",
    ]
    return "\n".join(head + lines).rstrip() + "\n"


def main() -> None:
    """Print the tables, and write them if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--families", type=int, default=400)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--write", action="store_true", help="write results/intervals.md")
    arguments = parser.parse_args()
    text = document(arguments.families, arguments.draws)
    print(text)
    if arguments.write:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
