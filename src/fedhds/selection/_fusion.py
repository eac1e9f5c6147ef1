"""Fusion: each sample's features brought down to a few numbers that can be grouped.

Small numeric steps run on one thread: on busy cores more threads were seen to be many
times slower, and one thread always sums in the same order.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from sklearn.decomposition import PCA, KernelPCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from fedhds.types import Array

Fusion = Literal["tsne", "pca", "kernel-pca", "none"]

SMALLEST_MAP = 4
"""Fewer points than this have no neighbourhoods for t-SNE to keep."""

ALIKE = 1e-6
"""Differences this small beside the values are rounding, and no structure to lay out."""

STEPS, ANGLE = 500, 0.8
"""Of t-SNE: half as many steps as scikit-learn's default, and coarser forces from far away.

Its divergence is then as low (0.9 to 1.1 of the default's on clients of P3, as often below
as above), and its groups differ from the default's no more than rounding makes them differ.
"""

BLOCK = 4096
"""Features that are worked on at a time, so that no copy of all of them is made."""


def fuse(features: Array, fusion: Fusion, dimensions: int, rng: np.random.Generator) -> Array:
    """Fuse features (FedHDS, section 4.1; PCA, Kernel PCA and none are its ablation).

    Parameters
    ----------
    features : ndarray, shape (n_samples, n_features)
    fusion : {"tsne", "pca", "kernel-pca", "none"}
    dimensions : int
        Of the result; the paper uses 2. ``none`` keeps all features.
    rng : Generator
        Gives t-SNE its seed; one number is drawn whatever the fusion.

    Returns
    -------
    ndarray of float32, shape (n_samples, dimensions)
        All zeros where there is nothing to lay out: fewer than four samples, or all alike.

    Notes
    -----
    t-SNE's perplexity is ``min(30, n_samples - 1)`` as in the paper, since it must be less
    than ``n_samples``; up to three dimensions it is Barnes-Hut, above it is exact. It sees
    the samples' distances alone, so it is given all of their principal coordinates, at most
    as many as there are samples, in the place of the features: O(n^2 n_features) once, and
    O(n log n) a step from there. Kernel PCA has a Gaussian kernel of
    width ``1 / (n_features * variance)``, which does not hang on the features' scale.
    """
    seed = int(rng.integers(2**31))
    count = len(features)
    width = features.shape[1] if fusion == "none" else dimensions
    if count < SMALLEST_MAP or _alike(features):
        return np.zeros((count, width), np.float32)
    if fusion == "none":
        return features.astype(np.float32)
    with threadpool_limits(limits=1):
        if fusion == "tsne":
            return _tsne(features, dimensions, seed)
        project = _pca if fusion == "pca" else _kernel_pca
        points = project(features, dimensions)
    return _padded(points, dimensions)


def _alike(features: Array) -> bool:
    spread = features.max(axis=0) - features.min(axis=0)
    return bool(spread.max() <= ALIKE * _largest(features))


def _largest(features: Array) -> Array:
    largest: Array = np.maximum(features.max(), -features.min())
    return largest


def _tsne(features: Array, dimensions: int, seed: int) -> Array:
    points = _principal_coordinates(features) if len(features) < features.shape[1] else features
    layout: Array = TSNE(
        n_components=dimensions,
        perplexity=min(30, len(points) - 1),
        method="barnes_hut" if dimensions <= 3 else "exact",
        # it begins with principal components, where there are as many
        init="pca" if dimensions <= min(points.shape) else "random",
        max_iter=STEPS,
        angle=ANGLE,
        random_state=seed,
        n_jobs=1,
    ).fit_transform(points.astype(np.float32))
    return layout


def _principal_coordinates(features: Array) -> Array:
    """Turn the samples so that as many numbers as there are samples hold all that they differ in.

    Returns
    -------
    ndarray of float64, shape (n_samples, n_samples)
        Distances are those between the rows of ``features``, in units of the largest
        feature; below about a thousandth of the largest distance they are noise, for the
        products are float32. The first column varies most.
    """
    products = np.zeros((len(features), len(features)))
    largest = _largest(features)
    for start in range(0, features.shape[1], BLOCK):
        block = features[:, start : start + BLOCK]
        centred = (block - block.mean(axis=0)) / largest  # squares of large ones would overflow
        products += centred @ centred.T
    values, directions = np.linalg.eigh(products)
    coordinates: Array = (directions * np.sqrt(values.clip(0)))[:, ::-1]
    return coordinates


def _pca(features: Array, dimensions: int) -> Array:
    components = min(dimensions, *features.shape)
    # the full solver draws nothing at random
    points: Array = PCA(components, svd_solver="full").fit_transform(features.astype(np.float64))
    return points


def _kernel_pca(features: Array, dimensions: int) -> Array:
    exact = features.astype(np.float64)
    points: Array = KernelPCA(
        min(dimensions, len(exact)),
        kernel="rbf",
        gamma=1 / (exact.shape[1] * exact.var()),
        eigen_solver="dense",
    ).fit_transform(exact)
    return points


def _padded(points: Array, dimensions: int) -> Array:
    """Add zeros where there are fewer directions than asked for."""
    fused = np.zeros((len(points), dimensions), np.float32)
    fused[:, : points.shape[1]] = points
    return fused
