"""The server's comparison of prototypes that lie in one space: which to choose, in what order.

Each way returns a `Ranking`, and knows what earlier rounds have covered.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedhds.selection._facility_location import facility_location
from fedhds.selection._fusion import fuse
from fedhds.selection._grouping import NOISE, in_order_of_appearance, representatives_first
from fedhds.selection._hierarchy import densest_groups
from fedhds.selection._spanning_tree import spanning_tree
from fedhds.types import Array

MIN_CLUSTER_SIZE = 2
"""Of HDBSCAN on the server, as in `fedhds`."""

LEAST_MEMBERSHIP = 1e-9
"""So that groups whose members all have membership 0 still have a centre."""


@dataclass(frozen=True)
class Ranking:
    """Prototypes in the order to choose them.

    Attributes
    ----------
    order : ndarray of int64
    enough : int
        How many at the front to take, if nobody says how many are wanted.
    groups : int or None
        How many groups formed, where groups are what is sought.
    exact : bool
        Whether they were compared exactly.
    """

    order: Array
    enough: int
    groups: int | None = None
    exact: bool = True


def by_coverage(
    prototypes: Array, sizes: Array, covered: Array, most: int | None, least_gain: float
) -> Ranking:
    """Order prototypes by greedy facility location, each weighted by its group's size.

    Parameters
    ----------
    prototypes : ndarray of float32, shape (n_prototypes, dimensions)
        Of length one at most.
    sizes : ndarray of int64, shape (n_prototypes,)
    covered : ndarray of float32, shape (n_covered, dimensions)
        What was chosen in earlier rounds.
    most : int or None
        How many to choose; None for all that are worth it.
    least_gain : float
        What a representative must then add to the summed similarity; the first is always taken.
    """
    count, least = (len(prototypes), least_gain) if most is None else (most, 0.0)
    order, _ = facility_location(prototypes, count, sizes, covered, least)
    return Ranking(order, len(order))


def by_density(
    prototypes: Array, covered: Array, plane: bool, keep_noise: bool, rng: np.random.Generator
) -> Ranking:
    """Order prototypes by HDBSCAN's groups: each one's nearest to its centre, larger ones first.

    Where no group forms, all stand for themselves.

    Parameters
    ----------
    prototypes, covered : ndarray
        As in `by_coverage`. A group that holds what was chosen earlier needs no representative.
    plane : bool
        Whether t-SNE lays them out in the plane first.
    keep_noise : bool
        Whether what is in no group stands for itself, behind the representatives.
    """
    everything = np.concatenate([covered, prototypes])
    if len(everything) < MIN_CLUSTER_SIZE:
        return Ranking(np.arange(len(prototypes)), len(prototypes), groups=0)
    points = fuse(everything, "tsne", 2, rng) if plane else everything
    tree = spanning_tree(points, rng)
    labels, memberships = densest_groups(tree.edges, tree.lengths, MIN_CLUSTER_SIZE)
    known = np.isin(labels, np.setdiff1d(labels[: len(covered)], [NOISE]))[len(covered) :]
    own = in_order_of_appearance(labels[len(covered) :])
    weights = np.maximum(memberships[len(covered) :], LEAST_MEMBERSHIP)
    order, front = representatives_first(points[len(covered) :], own, weights)
    first = order[:front]
    kept = np.flatnonzero(own == NOISE) if keep_noise else np.zeros(0, np.int64)
    ahead = np.concatenate([first[~known[first]], np.setdiff1d(kept, first)])
    ranked = np.concatenate([ahead, order[~np.isin(order, ahead)]])
    return Ranking(ranked, len(ahead), int(labels.max()) + 1, tree.exact)
