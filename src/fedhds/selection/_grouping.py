"""Grouping samples: t-SNE to a plane, then HDBSCAN, safe for degenerate clients.

Small numeric steps run on one thread: on busy cores more threads were seen to be many
times slower, and one thread always sums in the same order.
"""

from __future__ import annotations

import numpy as np
from sklearn.cluster import HDBSCAN
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from fedhds.types import Array

NOISE = -1
"""HDBSCAN's label of points that belong to no group."""

SMALLEST_MAP = 4
"""Fewer points than this have no neighbourhoods for t-SNE to keep."""


ALIKE = 1e-6
"""Differences this small beside the values are rounding, and no structure to lay out."""


def tsne(features: Array, rng: np.random.Generator, dimensions: int = 2) -> Array:
    """Lay samples out in the plane by Barnes-Hut t-SNE (FedHDS, section 4.1).

    Parameters
    ----------
    features : ndarray, shape (n_samples, n_features)
    rng : Generator
        Gives t-SNE its seed.
    dimensions : int
        Of the map; the paper uses 2.

    Returns
    -------
    ndarray of float32, shape (n_samples, dimensions)
        All zeros where there is nothing to lay out: fewer than four samples, or all alike.

    Notes
    -----
    Perplexity is ``min(30, n_samples - 1)`` as in the paper; t-SNE asks for less than
    ``n_samples``. Time O(n log n) after the O(n^2 n_features) neighbour search.
    """
    seed = int(rng.integers(2**31))
    count = len(features)
    if count < SMALLEST_MAP or np.ptp(features, axis=0).max() <= ALIKE * np.abs(features).max():
        return np.zeros((count, dimensions), np.float32)
    with threadpool_limits(limits=1):
        layout: Array = TSNE(
            n_components=dimensions, perplexity=min(30, count - 1), random_state=seed, n_jobs=1
        ).fit_transform(features.astype(np.float32))
    return layout


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
    return _in_order_of_appearance(found.labels_), np.asarray(found.probabilities_)


def weighted_means(points: Array, labels: Array, weights: Array) -> Array:
    """Return each group's weighted mean point, shape (n_groups, dimensions), by label."""
    grouped = labels != NOISE
    sums = np.zeros((int(labels.max(initial=NOISE)) + 1, points.shape[1]))
    np.add.at(sums, labels[grouped], points[grouped] * weights[grouped, None])
    totals = np.bincount(labels[grouped], weights[grouped], minlength=len(sums))
    means: Array = sums / totals[:, None]
    return means


def _in_order_of_appearance(labels: Array) -> Array:
    """Renumber groups by their first member, so that numbers do not hang on internals."""
    groups, firsts = np.unique(labels[labels != NOISE], return_index=True)
    renumbered = np.full(len(labels), NOISE, dtype=np.int64)
    number = np.empty(len(groups), dtype=np.int64)
    number[np.argsort(firsts)] = np.arange(len(groups))
    renumbered[labels != NOISE] = number[np.searchsorted(groups, labels[labels != NOISE])]
    return renumbered
