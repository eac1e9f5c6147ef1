"""Reading losses by round off runs, and what their means over seeds do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fedhds.report.figures._figure import Plain, mean, number
from fedhds.report.runs import Group, Run

Curve = Mapping[int, float]
"""A loss by round, in the rounds' order; round 0 is before any training."""

RISE = 0.01
"""Of the lowest loss: what it must rise by to be called a rise rather than noise."""


@dataclass(frozen=True)
class Curves:
    """One group's curves of one loss: of each run by its seed, and their mean."""

    runs: Mapping[int, Curve]
    mean: Curve

    @property
    def lowest(self) -> int:
        """The round at which the mean is lowest."""
        return min(self.mean, key=lambda round: (self.mean[round], round))

    @property
    def rise(self) -> float:
        """How far the mean ends above its lowest point; 0 where that is noise."""
        low = self.mean[self.lowest]
        risen = self.mean[max(self.mean)] - low
        return risen if risen > RISE * abs(low) else 0.0


def read(group: Group, measure: str) -> Curves | None:
    """Read a group's curves of ``validation`` or ``unseen`` loss; None without any.

    The mean is over the rounds that every finished run has (every run, where none finished),
    so that a run that ended early does not bend it.
    """
    runs = {run.seed: curve for run in group.runs if (curve := of_run(run, measure))}
    finished = [runs[run.seed] for run in group.finished if run.seed in runs]
    averaged = finished or list(runs.values())
    if not averaged:
        return None
    common = sorted(set.intersection(*(set(curve) for curve in averaged)))
    if not common:
        return Curves(runs, averaged[0])
    means = {n: mean([curve[n] for curve in averaged]) or 0.0 for n in common}
    return Curves(runs, means)


def of_run(run: Run, measure: str) -> Curve:
    """Return the loss by round of one run, those that were evaluated."""
    key = {"validation": "loss", "unseen": "loss_mean"}[measure]
    found = {0: _before(run.summary, measure)} if run.summary else {}
    for line in run.rounds:
        scores = (line.get("evaluation") or {}).get(measure)
        found[int(line["round"])] = number(scores[key]) if scores else None
    return {round: loss for round, loss in sorted(found.items()) if loss is not None}


def is_whole(curves: Sequence[Curves]) -> bool:
    """Tell whether rounds between the first and the last were evaluated."""
    return any(len(curve) > 2 for found in curves for curve in found.runs.values())


def _before(summary: Plain, measure: str) -> float | None:
    if measure == "unseen":
        return number(summary.get("loss_before"))
    return number(((summary.get("validation") or {}).get("before") or {}).get("loss"))
