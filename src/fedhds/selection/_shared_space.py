"""A space that all clients share, so that the server can compare what they send.

Every client projects its features by the same random matrices, which need no agreement: they
come from a seed. That keeps inner products on average (Johnson and Lindenstrauss 1984), but
all samples' features have much in common (a template, frequent words, a model's own bias), and
what they have in common hides what sets them apart. So the clients' common mean is taken away,
and, if wanted, the directions are kept that most vary over the clients (PCA).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from fedhds.rng import generator
from fedhds.types import Array, Arrays

ALIKE = 1e-6
"""Differences from the mean this small beside what they are of are rounding, and no direction."""


def project(kinds: Sequence[Array], dimensions: int, seed: int) -> Array:
    """Project features by seeded Gaussian matrices.

    Parameters
    ----------
    kinds : sequence of ndarray, each of shape (n_samples, n_parts, width)
        Kinds of features of the same samples. The parts of a kind (layers, say) count by their
        directions alone, so that none outweighs the others by its length.
    dimensions : int
    seed : int
        The same on all clients.

    Returns
    -------
    ndarray of float32, shape (n_samples, n_kinds, dimensions)
        Of length about one, or less where parts are zeros.
    """
    projected = np.zeros((len(kinds[0]), len(kinds), dimensions), np.float32)
    with threadpool_limits(limits=1):
        for kind, parts in enumerate(kinds):
            share = np.float32(1 / np.sqrt(parts.shape[1] * dimensions))
            for part in range(parts.shape[1]):
                rng = generator(seed, f"shared space, kind {kind}, part {part}")
                matrix = rng.standard_normal((parts.shape[2], dimensions), np.float32) * share
                projected[:, kind] += of_unit_length(parts[:, part]) @ matrix
    return projected


def moments(projected: Array, second: bool) -> dict[str, Array]:
    """Return the means over samples of what was projected and, if ``second``, of its products.

    ``mean`` has the shape (wide,), all kinds end to end, and ``products`` (wide, wide).
    """
    rows = _end_to_end(projected).astype(np.float64)
    count = max(len(rows), 1)
    found = {"mean": (rows.sum(axis=0) / count).astype(np.float32)}
    if second:
        with threadpool_limits(limits=1):
            found["products"] = (rows.T @ rows / count).astype(np.float32)
    return found


def agree(parts: Sequence[Mapping[str, Array]], counts: Array, dimensions: int) -> dict[str, Array]:
    """Make one space of the clients' moments (server).

    Parameters
    ----------
    parts : sequence of mappings
        What `moments` gave of each client.
    counts : ndarray of int64, shape (n_clients,)
        How many samples each is of, at least one in all.
    dimensions : int
        Of the space, where second moments came.

    Returns
    -------
    dict
        ``mean`` (wide,) and, with second moments, ``basis`` (wide, dimensions): the directions
        of most variance, by variance.
    """
    shares = counts / counts.sum()
    pooled = {
        name: sum(
            share * part[name].astype(np.float64) for share, part in zip(shares, parts, strict=True)
        )
        for name in parts[0]
    }
    space = {"mean": np.asarray(pooled["mean"], np.float32)}
    if "products" in pooled:
        covariance = pooled["products"] - np.outer(pooled["mean"], pooled["mean"])
        with threadpool_limits(limits=1):
            _, directions = np.linalg.eigh(covariance)
        space["basis"] = _turned(directions[:, ::-1][:, :dimensions]).astype(np.float32)
    return space


def place(projected: Array, space: Arrays, shares: Sequence[float]) -> Array:
    """Place what was projected in a space.

    Parameters
    ----------
    projected : ndarray of float32, shape (n_samples, n_kinds, dimensions)
    space : mapping
        ``mean`` and ``basis`` as of `agree`, either or none.
    shares : sequence of float, length n_kinds
        How much each kind counts where there is no basis.

    Returns
    -------
    ndarray of float32, shape (n_samples, dimensions)
        Rows of unit length. Without a basis each kind counts by its direction from the mean
        alone, so that none outweighs the others by how much it varies.
    """
    if "mean" not in space:
        return _joined(projected, shares)
    centred = projected - space["mean"].reshape(projected.shape[1:])
    alike = np.linalg.norm(centred, axis=2) <= ALIKE * np.linalg.norm(projected, axis=2)
    centred = np.where(alike[..., None], np.float32(0), centred)
    if "basis" not in space:
        return _joined(centred, shares)
    with threadpool_limits(limits=1):
        return of_unit_length(_end_to_end(centred) @ space["basis"])


def _joined(kinds: Array, shares: Sequence[float]) -> Array:
    """Add up the kinds' directions: they hardly meet, as each was projected at random."""
    directions = of_unit_length(kinds)
    return of_unit_length(np.einsum("nkd,k->nd", directions, np.sqrt(shares)))


def of_unit_length(rows: Array) -> Array:
    """Scale rows to length one; rows of zeros stay. float32."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    scaled: Array = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return scaled.astype(np.float32)


def _end_to_end(projected: Array) -> Array:
    rows: Array = projected.reshape(len(projected), projected.shape[1] * projected.shape[2])
    return rows


def _turned(directions: Array) -> Array:
    """Turn each direction (column) so that its largest entry is positive: its sign is free."""
    largest = directions[np.abs(directions).argmax(axis=0), np.arange(directions.shape[1])]
    turned: Array = directions * np.where(largest < 0, -1, 1)
    return turned
