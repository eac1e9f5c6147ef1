"""How dense a neighbourhood is, told from a table of counts that clients can add up.

Source: RACE, Coleman and Shrivastava, "Sub-linear RACE Sketches for Approximate Kernel Density
Estimation on Streaming Data", arXiv 1912.02283 (WWW 2020), over the hash of Datar et al. 2004
for Euclidean distances. Each row hashes a point into one of its buckets, near points into the
same one, and counts. Counts are linear: those of all clients are the sum of each one's.

Deviations: random directions and points are rounded to multiples of 2**-16, so that a sum of
their products is exact in any order. A point falls into the same bucket whatever was hashed
beside it, on whatever machine.
"""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from fedhds.rng import generator
from fedhds.types import Array

PROJECTIONS = 8
"""Hashes that a row joins. One alone finds a point together with another at distance d as often
as 1 / d, so that a thousand far ones hide ten near ones."""

GRID = 2.0**16
"""Steps to one, in rounding."""

BLOCK = 512
"""Points hashed at a time."""


def hashed(points: Array, rows: int, buckets: int, bandwidth: float, seed: int) -> Array:
    """Find each point's bucket in each row.

    Parameters
    ----------
    points : ndarray of float32, shape (n_points, dimensions)
        Of length one at most.
    rows, buckets : int
        Of the table.
    bandwidth : float
        How wide the steps are that a projection is cut into.
    seed : int
        The same on all clients.

    Returns
    -------
    ndarray of int32, shape (n_points, rows)
    """
    rng = generator(seed, "race")
    count = rows * PROJECTIONS
    directions = np.round(rng.standard_normal((points.shape[1], count)) * GRID)
    offsets = rng.random(count)
    factors = rng.integers(2**64, size=(rows, PROJECTIONS), dtype=np.uint64)
    added = rng.integers(2**64, size=rows, dtype=np.uint64)
    found = np.empty((len(points), rows), np.int32)
    with threadpool_limits(limits=1):
        for start in range(0, len(points), BLOCK):
            block = np.round(points[start : start + BLOCK].astype(np.float64) * GRID)
            steps = np.floor(block @ directions / (GRID * GRID * bandwidth) + offsets)
            codes = steps.astype(np.int32).view(np.uint32).reshape(-1, rows, PROJECTIONS)
            # Multilinear hashing (Carter and Wegman 1979), modulo 2**64: the upper half is even.
            mixed = (codes * factors).sum(axis=2, dtype=np.uint64) + added
            found[start : start + BLOCK] = (mixed >> np.uint64(32)) % np.uint64(buckets)
    return found


def counted(found: Array, buckets: int) -> Array:
    """Count the points of each bucket: int32, shape (rows, ``buckets``)."""
    rows = found.shape[1]
    places = found + buckets * np.arange(rows)
    counts = np.bincount(places.ravel(), minlength=rows * buckets)
    return counts.reshape(rows, buckets).astype(np.int32)


def density(found: Array, counts: Array) -> Array:
    """Estimate how many points lie where each of some of them does, itself among them.

    Parameters
    ----------
    found : ndarray of int32, shape (n_points, rows)
        Of `hashed`.
    counts : ndarray of int32, shape (rows, buckets)
        Of all points, these among them.

    Returns
    -------
    ndarray of float64, shape (n_points,)
        At least 1; the mean over rows, without what shares a bucket by chance alone.
    """
    rows, buckets = counts.shape
    together = counts[np.arange(rows), found].mean(axis=1)
    # of the points that are not near, one in as many as there are buckets is there all the same
    corrected: Array = (together - counts.mean()) / (1 - 1 / buckets)
    return corrected.clip(1)
