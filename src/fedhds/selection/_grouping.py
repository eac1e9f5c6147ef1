"""Grouping points: HDBSCAN or K-means, safe for degenerate clients, and the groups' means.

One thread, as in `_fusion`.
"""

from __future__ import annotations

import numpy as np
from sklearn.cluster import HDBSCAN, KMeans
from threadpoolctl import threadpool_limits

from fedhds.types import Array

NOISE = -1
"""The label of points that belong to no group."""


def hdbscan(points: Array, min_cluster_size: int) -> tuple[Array, Array]:
    """Group points by density (HDBSCAN, Campello et al. 2013), never all into one group.

    Parameters
    ----------
    points : ndarray, shape (n_points, dimensions)
    min_cluster_size : int
        The smallest group, at least 2.

    Returns
    -------
    labels : ndarray of int64, shape (n_points,)
        Groups counted from 0 in order of their first point; `NOISE` for no group.
    probabilities : ndarray of float64, shape (n_points,)
        How strongly each point belongs to its group; 0 for noise.
    """
    if len(points) < min_cluster_size:
        return np.full(len(points), NOISE), np.zeros(len(points))
    with threadpool_limits(limits=1):
        found = HDBSCAN(min_cluster_size=min_cluster_size, n_jobs=1, copy=True).fit(
            points.astype(np.float64)
        )
    return in_order_of_appearance(found.labels_), np.asarray(found.probabilities_)


def kmeans(
    points: Array, groups: int, rng: np.random.Generator, starts: int = 10
) -> tuple[Array, Array]:
    """Group points around ``groups`` means (Lloyd 1982), fewer where fewer points differ.

    Parameters, shapes and order as in `hdbscan`; the best of ``starts`` is taken. A point
    belongs to its group wholly. A group of one is none, for its mean would be that very point.
    """
    seed = int(rng.integers(2**31))
    count = min(groups, len(np.unique(points, axis=0)))
    if not count:
        return np.zeros(0, np.int64), np.zeros(0)
    with threadpool_limits(limits=1):
        found = KMeans(count, n_init=starts, random_state=seed).fit(points.astype(np.float64))
    alone = np.bincount(found.labels_)[found.labels_] == 1
    labels = np.where(alone, NOISE, found.labels_)
    return in_order_of_appearance(labels), (~alone).astype(np.float64)


def weighted_means(points: Array, labels: Array, weights: Array) -> Array:
    """Return each group's weighted mean point, shape (n_groups, dimensions), by label."""
    grouped = labels != NOISE
    mine, shares = labels[grouped], weights[grouped]
    count = int(labels.max(initial=NOISE)) + 1
    means = np.zeros((count, points.shape[1]))
    for axis, values in enumerate(points.T):
        means[:, axis] = np.bincount(mine, values[grouped] * shares, count)
    means /= np.bincount(mine, shares, count)[:, None]
    return means


def representatives_first(points: Array, labels: Array, memberships: Array) -> tuple[Array, int]:
    """Rank points for a choice by their groups.

    Returns
    -------
    order : ndarray of int64, shape (n_points,)
        First each group's nearest to its centre, those of larger groups first; then the others,
        nearest to their group's centre first; then what is in no group.
    representatives : int
        How many stand at the front; all, where no group formed.
    """
    if (labels == NOISE).all():
        return np.arange(len(points)), len(points)
    centres = weighted_means(points, labels, memberships)
    grouped = np.flatnonzero(labels != NOISE)
    distances = np.full(len(labels), np.inf)
    distances[grouped] = np.linalg.norm(points[grouped] - centres[labels[grouped]], axis=1)
    by_distance = np.argsort(distances, kind="stable")[: len(grouped)]
    _, nearest = np.unique(labels[by_distance], return_index=True)
    largest_first = np.argsort(-np.bincount(labels[grouped]), kind="stable")
    others = np.delete(by_distance, nearest)
    noise = np.flatnonzero(labels == NOISE)
    return np.concatenate([by_distance[nearest][largest_first], others, noise]), len(nearest)


def in_order_of_appearance(labels: Array) -> Array:
    """Renumber groups by their first member, so that numbers do not hang on internals."""
    groups, firsts = np.unique(labels[labels != NOISE], return_index=True)
    renumbered = np.full(len(labels), NOISE, dtype=np.int64)
    number = np.empty(len(groups), dtype=np.int64)
    number[np.argsort(firsts)] = np.arange(len(groups))
    renumbered[labels != NOISE] = number[np.searchsorted(groups, labels[labels != NOISE])]
    return renumbered
