"""Greedy facility location: the points that cover all points best, one by one.

Source: Nemhauser, Wolsey and Fisher 1978 (at least 1 - 1/e of the best possible gain);
lazily evaluated (Minoux 1978), as a point's gain never grows. One thread, so that sums are
always split alike.
"""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from fedhds.types import Array

CANDIDATES = 64
"""How many points' gains are brought up to date at a time."""

LOWEST = -1.0
"""What nothing is below: the inner product of two vectors of length one at most."""


def facility_location(
    points: Array,
    size: int,
    weights: Array | None = None,
    covered: Array | None = None,
    least: float = 0.0,
) -> tuple[Array, Array]:
    """Choose points so that each point's highest inner product to a chosen one is large.

    Parameters
    ----------
    points : ndarray of float32, shape (n_points, dimensions)
        Of length one at most. Each is to be covered, and may be chosen once.
    size : int
        How many to choose; at most all.
    weights : ndarray, shape (n_points,), optional
        How much it counts to cover each; 1 by default.
    covered : ndarray of float32, shape (n_covered, dimensions), optional
        Chosen already.
    least : float
        What a point must gain; the choice ends, after one at least, where none does.

    Returns
    -------
    order : ndarray of int64, shape (n_chosen,)
        As they were chosen, so that a smaller choice is the beginning of a larger; of equal
        gains the first point.
    gains : ndarray of float64, shape (n_chosen,)
        By how much each raised the weighted sum of inner products when it was chosen.

    Notes
    -----
    All pairs of points are compared a few times over, as the first choices change every gain: n²
    products of vectors. Beside the points it holds a few blocks of `CANDIDATES` rows of n numbers.
    """
    weights = np.ones(len(points)) if weights is None else weights.astype(np.float64)
    chosen: list[int] = []
    gains: list[float] = []
    with threadpool_limits(limits=1):
        reached = _reached(points, covered)
        bounds = weights.sum() + points @ (weights @ points)  # as nothing is below `LOWEST`
        for _ in range(min(size, len(points))):
            best = _largest_gain(points, weights, bounds, reached)
            if chosen and bounds[best] < least:
                break
            chosen.append(best)
            gains.append(float(bounds[best]))
            bounds[best] = -np.inf
            np.maximum(reached, points @ points[best], out=reached)
    return np.array(chosen, np.int64), np.array(gains)


def _reached(points: Array, covered: Array | None) -> Array:
    """Return each point's highest inner product to what is covered already."""
    reached = np.full(len(points), LOWEST, np.float32)
    for start in range(0, 0 if covered is None else len(covered), CANDIDATES):
        block = covered[start : start + CANDIDATES]  # type: ignore[index]
        np.maximum(reached, (block @ points.T).max(axis=0), out=reached)
    return reached


def _largest_gain(points: Array, weights: Array, bounds: Array, reached: Array) -> int:
    """Return the point whose addition gains most; of equals the first.

    ``bounds`` are what each would gain at most; those that are looked at become exact.
    """
    exact = np.zeros(len(points), bool)
    many = min(CANDIDATES, len(points))
    while not exact[best := int(bounds.argmax())]:
        highest = np.append(np.argpartition(bounds, -many)[-many:], best)
        raised = np.maximum(points[highest] @ points.T, reached) - reached
        bounds[highest] = np.minimum(bounds[highest], raised @ weights)
        exact[highest] = True
    return best
