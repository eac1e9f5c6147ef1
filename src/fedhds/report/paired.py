"""Which groups differ from their reference: paired intervals over seeds and tasks.

**What is estimated.** For every seed that both groups finished on the same data, the group's mean
less the reference's, as ``summary.json`` defines the means (Rouge-L over samples, loss over
tokens); and of these differences the mean over seeds, in which each seed counts the same. The
interval is for the difference on other seeds (so other partitions) and other unseen tasks.

**How.** Seeds and tasks are crossed: the same task is scored with every seed. Both are resampled,
one at a time, by random weights instead of counts so that no draw is empty where seeds hold
different tasks [1]_; a task that a seed does not hold weighs nothing there. Both groups get the
same weights. Over seeds, which count the same, the bootstrap's variance is known without drawing:
that of the differences over their number. Three seeds tell little of a variance, so a comparison's
own counts only where it is larger than the mean of all comparisons'. Each variance, scaled to
n - 1, enters with the quantile of Student's t of its own degrees of freedom [2]_, at a level
divided by the number of comparisons in the report (Bonferroni)::

    half width**2 = t(freedom)**2 * variance over seeds + t(tasks - 1)**2 * variance over tasks

Of k comparisons with one reference, over n seeds, the mean variance has (n - 1) / (1/4 + 3/4k)
degrees of freedom: all share the reference's part, so they correlate. One comparison alone is
Student's, over seeds.

**What was measured** (``benchmarks/intervals.py``: 2, 3 and 5 seeds; 10, 20 and 60 tasks; 1 and 12
comparisons; seeds, tasks or noise varying most, the reference or one method three times as much
as the others). Families in which any interval missed its true difference, where 5 % are allowed,
were at most 1 % in half of the settings, and at most 7 %, which 400 families do not tell from 5 %.
They were up to 78 % with percentiles of the two-way bootstrap [3]_, 55 % with its largest deviation
in fixed and 23 % in studentised standard errors, 47 % with Student's t and Satterthwaite's degrees
of freedom, all of which take too few seeds for certain where seeds differ much; and 93 % with
Student's t over the seeds' means, which knows nothing of other tasks. A true difference of one
standard deviation of a cell's noise, the same for all seeds and tasks, is told from zero among 12
comparisons over 60 tasks and 2 or 3 seeds in 80 % and 100 % of cases, over 20 in 26 % and 90 %
(each variance for itself: 6, 51, 3 and 20 %).

**Where it fails.** It is too wide where noise is most of what varies, and where there are two seeds
or ten tasks. Effects whose differences are skewed were not measured. With one seed only tasks
vary, and nothing is said of other seeds.

.. [1] Owen and Eckles, "Bootstrapping data arrays of arbitrary order" (2012). Weights are
   exponential (Rubin, "The Bayesian bootstrap", 1981); the bootstrap of both at once, which counts
   the noise three times, is not used.
.. [2] Banerjee, "Approximate confidence interval for linear functions of means of k populations
   when the population variances are not equal" (1960). Deviation: the loss, a ratio, is only
   nearly linear in the tasks.
.. [3] Owen, "The pigeonhole bootstrap" (2007).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fedhds.report.reference import references
from fedhds.report.runs import Group, Run
from fedhds.rng import generator

LEVEL = 0.95
DRAWS = 2000

Measure = Literal["rouge_l", "loss"]
Numbers = NDArray[np.float64]
MEASURES: tuple[Measure, ...] = ("rouge_l", "loss")
BOUNDS: dict[Measure, tuple[float, float]] = {"rouge_l": (-1, 1), "loss": (-math.inf, math.inf)}
"""What a difference can be at all; intervals go no further."""


@dataclass(frozen=True)
class Comparison:
    """A group's difference from its reference on one measure.

    Attributes
    ----------
    label, reference : str
        The labels of both groups.
    measure : {"rouge_l", "loss"}
        Rouge-L is better higher, loss lower.
    difference, low, high : float
        The group less the reference, and its simultaneous 95 % interval, which is as wide as
        can be with one seed and one unit, and NaN where a score is not a number.
    seeds : int
        Seeds that both finished on the same data. ``left_out`` are those that only one finished,
        or both on different data.
    units : int
        What was resampled beside seeds: ``unit`` says whether tasks or, with one task, samples.
    family : int
        Comparisons that the report's intervals hold for together.
    """

    label: str
    reference: str
    measure: Measure
    difference: float
    low: float
    high: float
    seeds: int
    left_out: int
    units: int
    unit: Literal["task", "sample"]
    family: int

    @property
    def real(self) -> bool:
        """Whether the difference is told from zero."""
        return self.low > 0 or self.high < 0

    @property
    def better(self) -> bool:
        """Whether the difference, real or not, is for the better."""
        return self.difference > 0 if self.measure == "rouge_l" else self.difference < 0


def differences(groups: Sequence[Group], reference: str | None = None) -> tuple[Comparison, ...]:
    """Compare each group with its reference, on both measures.

    Parameters
    ----------
    groups : sequence of Group
        In any order, with unique labels.
    reference : str or None
        As in `fedhds.report.reference.references`.

    Returns
    -------
    tuple of Comparison
        By group as given, Rouge-L before loss. Groups that share no seed with their reference,
        and whose runs have no unseen samples, are left out.

    Raises
    ------
    UserError
        If there is no such reference.
    """
    known = {group.label: group for group in groups}
    given = references(groups, reference)
    paired = {label: _pairs(known[label], known[given[label]]) for label in known if label in given}
    scored = {label: _scored(pairs) for label, (pairs, _) in paired.items() if pairs}
    family = len(MEASURES) * len(scored)
    widths = _half_widths(scored, family)
    found = []
    for label, scores in scored.items():
        for measure, middle, width in zip(MEASURES, scores.mean, widths[label], strict=True):
            low, high = np.clip((middle - width, middle + width), *BOUNDS[measure])
            found.append(
                Comparison(
                    label=label,
                    reference=given[label],
                    measure=measure,
                    difference=float(middle),
                    low=float(low),
                    high=float(high),
                    seeds=scores.seeds,
                    left_out=paired[label][1],
                    units=scores.units,
                    unit=scores.unit,
                    family=family,
                )
            )
    return tuple(found)


def steadied(variances: Numbers, seeds: NDArray[np.int64]) -> tuple[Numbers, float]:
    """Let no comparison's variance over seeds be smaller than the mean of all.

    Parameters
    ----------
    variances : ndarray of float64, shape (..., comparisons)
        Of one seed's difference, with n - 1; of any value where there is but one seed.
    seeds : ndarray of int64, shape (comparisons,)
        How many seeds each comparison is over.

    Returns
    -------
    variances : ndarray of float64, shape (..., comparisons)
        0 where there is but one seed.
    freedom : float
        Degrees of freedom of the mean: that of differences from a common reference, which
        correlate by a half and their variances by a quarter. 0 without a second seed.
    """
    several = seeds > 1
    if not several.any():
        return np.zeros(variances.shape), 0.0
    freedom = (seeds - 1)[several]
    known = np.where(np.isnan(variances[..., several]), 0, freedom)  # by comparison
    weighted = np.nansum(variances[..., several] * known, axis=-1)
    together = (weighted / np.maximum(known.sum(-1), 1))[..., None]
    steady = np.where(several, np.maximum(variances, together), 0.0)
    return steady, float(freedom.mean() / (0.25 + 0.75 / several.sum()))


def half_width(
    over_seeds: Any,
    over_units: Any,
    freedom: float,
    units: int,
    comparisons: int,
    level: float = LEVEL,
) -> Any:
    """Return half the width of simultaneous intervals.

    Parameters
    ----------
    over_seeds, over_units : float or ndarray
        Variance of the mean difference over seeds and over units; what there is only one of is
        left out.
    freedom : float
        Degrees of freedom of the variance over seeds; 0 with one seed.
    units : int
        How many there are.
    comparisons : int
        How many intervals are to hold together.
    level : float
        How often they are to.

    Returns
    -------
    float or ndarray
        Of the variances' shape; infinite with one seed and one unit.
    """
    from scipy.special import stdtrit

    if not freedom and units == 1:
        return over_seeds + math.inf
    tail = (1 - level) / 2 / comparisons
    parts = ((over_seeds, freedom), (over_units, units - 1))
    return np.sqrt(sum(stdtrit(free, 1 - tail) ** 2 * part for part, free in parts if free))


def _pairs(group: Group, reference: Group) -> tuple[list[tuple[Run, Run]], int]:
    """Pair finished runs of one seed and the same data, by seed; count seeds without a pair."""
    first, second = (
        {run.seed: run for run in one.finished if run.unseen is not None}
        for one in (group, reference)
    )
    pairs = [
        (first[seed], second[seed])
        for seed in sorted(first.keys() & second.keys())
        if _same_data(first[seed], second[seed])
    ]
    return pairs, len(first.keys() | second.keys()) - len(pairs)


def _same_data(run: Run, other: Run) -> bool:
    tasks = [one.unseen["after"]["tasks"] for one in (run, other) if one.unseen]
    return bool(tasks[0]) and tasks[0] == tasks[1] and run.record["data"] == other.record["data"]


def _cells(pairs: list[tuple[Run, Run]]) -> tuple[Literal["task", "sample"], Numbers, Numbers]:
    """Sum scores up by unit: numerators, denominators of shape (measures, 2, seeds, units)."""
    tasks = sorted({task for run, _ in pairs for task in _after(run)["tasks"]})
    unit: Literal["task", "sample"] = "task" if len(tasks) > 1 else "sample"
    number = {task: position for position, task in enumerate(tasks)}
    longest = max(len(_after(run)["tasks"]) for run, _ in pairs)
    shape = (len(MEASURES), 2, len(pairs), len(tasks) if unit == "task" else longest)
    tops, bottoms = np.zeros(shape), np.zeros(shape)
    for seed, pair in enumerate(pairs):
        for side, run in enumerate(pair):
            after = _after(run)
            ones = np.ones(len(after["tasks"]))
            at = np.array([number[task] for task in after["tasks"]])
            at = at if unit == "task" else np.arange(len(ones))
            scores = (after["rouge_l"], ones), (after["loss_sums"], after["token_counts"])
            for measure, (top, bottom) in enumerate(scores):
                np.add.at(tops[measure, side, seed], at, np.array(top, np.float64))
                np.add.at(bottoms[measure, side, seed], at, np.array(bottom, np.float64))
    return unit, tops, bottoms


def _after(run: Run) -> Any:
    assert run.unseen is not None  # `_pairs` keeps no other
    return run.unseen["after"]


@dataclass(frozen=True)
class _Scored:
    """One group's differences from its reference; arrays by measure.

    ``mean`` and ``over_units``, the variance of the mean over units, are of shape (measures,), and
    ``by_seed`` of shape (measures, seeds).
    """

    unit: Literal["task", "sample"]
    units: int
    by_seed: Numbers
    over_units: Numbers

    @property
    def seeds(self) -> int:
        return int(self.by_seed.shape[1])

    @property
    def mean(self) -> Numbers:
        mean: Numbers = self.by_seed.mean(1)
        return mean


def _scored(pairs: list[tuple[Run, Run]]) -> _Scored:
    unit, tops, bottoms = _cells(pairs)
    units = tops.shape[-1]
    over_units = _variance_over_units(tops, bottoms) if units > 1 else np.zeros(len(tops))
    return _Scored(unit, units, _by_seed(tops, bottoms, np.ones(units)), over_units)


def _half_widths(scored: Mapping[str, _Scored], comparisons: int) -> dict[str, Numbers]:
    """Return half the width of each group's intervals, of shape (measures,)."""
    labels = sorted(scored)  # a sum's last digits hang on its order
    seeds = np.array([scored[label].seeds for label in labels], np.int64)
    own = np.zeros((len(MEASURES), len(labels)))
    for place, label in enumerate(labels):
        if seeds[place] > 1:
            own[:, place] = scored[label].by_seed.var(1, ddof=1)
    steady, freedom = steadied(own, seeds)
    return {
        label: half_width(
            steady[:, place] / seeds[place],
            scored[label].over_units,
            freedom if seeds[place] > 1 else 0,
            scored[label].units,
            comparisons,
        )
        for place, label in enumerate(labels)
    }


def _variance_over_units(tops: Numbers, bottoms: Numbers) -> Numbers:
    units = tops.shape[-1]
    rng = generator(0, "paired-intervals")
    # One draw at a time: all at once would need draws x units numbers.
    weights = (np.asarray(rng.standard_exponential(units)) for _ in range(DRAWS))
    means = [_by_seed(tops, bottoms, drawn).mean(-1) for drawn in weights]
    # Of n numbers, exponential weights give a mean the variance of n + 1, instead of n - 1.
    variance: Numbers = np.var(means, axis=0) * (units + 1) / (units - 1)
    return variance


def _by_seed(tops: Numbers, bottoms: Numbers, weights: Numbers) -> Numbers:
    """Return the difference of means with units weighted, of shape (measures, seeds)."""
    with np.errstate(invalid="ignore", divide="ignore"):  # NaN says it without a warning
        means = (tops @ weights) / (bottoms @ weights)
    difference: Numbers = means[:, 0] - means[:, 1]
    return difference
