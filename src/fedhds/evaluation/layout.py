"""A map of samples on paper: places in a plane, near where the samples are alike.

Source: van der Maaten and Hinton, "Visualizing Data using t-SNE" (JMLR 2008), on at most
`LANDMARKS` samples; each other sample lies amid those of them that it is most like, so that
a map of many samples takes little longer.
"""

from __future__ import annotations

import numpy as np
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from fedhds.types import Array

LANDMARKS = 2000
NEIGHBOURS = 5
FEWEST = 5
"""Different samples that t-SNE needs to tell apart."""


def layout(rows: Array, rng: np.random.Generator) -> Array:
    """Place samples in a plane.

    Parameters
    ----------
    rows : ndarray of float32, shape (n_samples, dimensions)
        Of unit length, or of zeros, as `fedhds.evaluation.spaces` makes them.

    Returns
    -------
    ndarray of float32, shape (n_samples, 2)
        From -1 to 1. Of fewer than `FEWEST` different samples, their first two numbers.
    """
    drawn = np.sort(rng.permutation(len(rows))[:LANDMARKS])
    landmarks = rows[drawn]
    if len(np.unique(landmarks, axis=0)) < FEWEST or rows.shape[1] < 2:
        two = np.zeros((len(rows), 2), np.float32)
        two[:, : rows.shape[1]] = rows[:, :2]
        return two
    with threadpool_limits(limits=1):
        places = TSNE(
            perplexity=min(30, (len(landmarks) - 1) / 3),
            max_iter=500,
            random_state=int(rng.integers(2**31)),
            n_jobs=1,
        ).fit_transform(landmarks.astype(np.float32))
    places = places / np.abs(places).max()
    found = np.empty((len(rows), 2), np.float32)
    found[drawn] = places
    others = np.setdiff1d(np.arange(len(rows)), drawn)
    found[others] = _amid(rows[others], landmarks, places)
    return found


def _amid(rows: Array, landmarks: Array, places: Array) -> Array:
    """Place samples at the mean of their nearest landmarks, the nearer of more weight."""
    likeness = rows @ landmarks.T
    nearest = np.argsort(-likeness, axis=1, kind="stable")[:, :NEIGHBOURS]
    weights = np.maximum(np.take_along_axis(likeness, nearest, axis=1), 1e-6)
    amid: Array = (places[nearest] * weights[:, :, None]).sum(1) / weights.sum(1)[:, None]
    return amid
