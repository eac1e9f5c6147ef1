"""Each client's samples without those that say nearly the same as another.

Source: Abbas et al., "SemDeDup: Data-efficient learning at web-scale through semantic
deduplication", arXiv 2303.09540, section 3

Samples are grouped by K-means. Within a group those farthest from its centre come first, and
each is as redundant as its highest cosine to any before it; the most redundant are dropped.

Deviations:

- A budget, which the paper meets by trying thresholds, is kept exactly: the least redundant
  samples of the client fill its share. Without one the threshold ``similarity`` decides.
- The paper's 50,000 groups of some thousand samples are there to spare comparisons, of which a
  client has few: here groups are of ``group_size`` samples on average.
- Plain K-means on rows of unit length, where the published code turns centres to length one.
- Samples are placed by the frozen base model's means over prompt and over response, centred; the
  states of a language model are all alike otherwise, and no threshold would tell them apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from scipy.spatial.distance import cdist

from fedhds.selection._grouping import NOISE, kmeans
from fedhds.selection._own_space import own_space
from fedhds.selection._shared_space import ALIKE
from fedhds.types import Array, Arrays, Coreset, Memory, SelectionMethod, Signals

BLOCK = 512
"""Samples that are compared with their group at a time."""

FIRST = -1.0
"""The redundancy of what no sample comes before: the lowest cosine there is."""


@dataclass(frozen=True)
class SemDeDup(SelectionMethod):
    """Drop each client's near copies.

    Attributes
    ----------
    similarity : float
        Without a budget, samples whose cosine to one that comes before them reaches this are
        dropped; 1 drops copies alone. The paper's 1 - epsilon.
    group_size : int
        Of K-means's groups, on average; copies in different groups are not found.
    """

    similarity: float = 0.95
    group_size: int = 100

    budget: ClassVar[Literal["optional"]] = "optional"
    signal_model: ClassVar[Literal["base"]] = "base"

    def __post_init__(self) -> None:
        """Check the options' ranges."""
        if not 0 < self.similarity <= 1:
            raise ValueError("similarity must be above 0 and at most 1")
        if self.group_size < 2:
            raise ValueError("group_size must be at least 2")

    def needs(self) -> tuple[str, ...]:
        """Need the mean states of prompt and response."""
        return ("mean_states",)

    def pick(
        self, signals: Signals, received: Arrays, memory: Memory, rng: np.random.Generator
    ) -> Coreset:
        """Take the ``received["quota"]`` least redundant, or all below the threshold."""
        points = own_space(signals.arrays["mean_states"]).astype(np.float64)
        # of hundreds of groups one start is as good as ten
        labels, _ = kmeans(points, -(-len(points) // self.group_size), rng, starts=1)
        found = redundancy(points, labels)
        if "quota" not in received:
            return Coreset.of(np.flatnonzero(found < self.similarity))
        return Coreset.of(np.argsort(found, kind="stable")[: int(received["quota"][0])])


def redundancy(points: Array, labels: Array) -> Array:
    """Tell how much each point repeats one of its group that is farther from the centre.

    Parameters
    ----------
    points : ndarray of float64, shape (n_points, dimensions)
        Of unit length, or zeros.
    labels : ndarray of int64, shape (n_points,)
        `NOISE` for points that are in no group.

    Returns
    -------
    ndarray of float64, shape (n_points,)
        The highest cosine to a point of the group with a lower cosine to the group's mean, of
        equal ones to one with a lower index: exactly 1 of copies, rounding aside; `FIRST` where
        there is none.
    """
    found = np.full(len(points), FIRST)
    for label in range(int(labels.max(initial=NOISE)) + 1):
        members = np.flatnonzero(labels == label)
        nearness = np.einsum("nd,d->n", points[members], points[members].mean(axis=0))
        ordered = members[np.argsort(nearness, kind="stable")]
        for start in range(0, len(ordered), BLOCK):
            mine = ordered[start : start + BLOCK]
            before = ordered[: start + len(mine)]
            # by distances, as of samples that are all at the mean the cosine says nothing
            cosines = 1 - cdist(points[mine], points[before], "sqeuclidean") / 2
            cosines[np.triu_indices(len(mine), start, len(before))] = FIRST
            found[mine] = cosines.max(axis=1)
    return np.where(found > 1 - ALIKE, 1.0, found)
