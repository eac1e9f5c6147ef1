"""What a client says of its groups in a shared space: prototypes, none of fewer than a minimum."""

from __future__ import annotations

import numpy as np

from fedhds.selection._grouping import NOISE, in_order_of_appearance
from fedhds.selection._shared_space import of_unit_length
from fedhds.types import Array


def merge_small(points: Array, labels: Array, least: int) -> Array:
    """Merge groups of fewer than ``least`` points into the group with the nearest mean.

    The smallest group first, of equals the first; its mean is then that of the merged. Where
    all grouped points together are too few, all points are one group.

    Parameters
    ----------
    points : ndarray, shape (n_points, dimensions)
        At least ``least`` of them.
    labels : ndarray of int64, shape (n_points,)
        Groups counted from 0, `NOISE` for none.

    Returns
    -------
    ndarray of int64, shape (n_points,)
        Groups in order of their first point; what was in none is still in none.
    """
    grouped = labels != NOISE
    if grouped.sum() < least:
        return np.zeros_like(labels)
    sizes = np.bincount(labels[grouped]).astype(np.float64)
    sums = np.zeros((len(sizes), points.shape[1]))
    np.add.at(sums, labels[grouped], points[grouped])
    merged = np.arange(len(sizes))
    while len(left := np.flatnonzero(sizes)) > 1 and sizes[left].min() < least:
        small = left[sizes[left].argmin()]
        others = left[left != small]
        means = sums[others] / sizes[others, None]
        nearest = others[np.linalg.norm(means - sums[small] / sizes[small], axis=1).argmin()]
        sums[nearest] += sums[small]
        sizes[nearest] += sizes[small]
        sizes[small] = 0
        merged[merged == small] = nearest
    found = labels.copy()
    found[grouped] = merged[labels[grouped]]
    return in_order_of_appearance(found)


def by_centrality(points: Array, members: Array, quality: Array | None = None) -> Array:
    """Order a group's members by how well they stand for it.

    Parameters
    ----------
    points : ndarray of float32, shape (n_points, dimensions)
        Of unit length.
    members : ndarray of int64, shape (n_members,)
    quality : ndarray, shape (n_points,), optional
        The better half of the group comes first, and is what has to be stood for.

    Returns
    -------
    ndarray of int64, shape (n_members,)
        The nearest in angle to the group's mean first; of equals the first.
    """
    good = np.ones(len(members), bool)
    if quality is not None:
        good = quality[members] >= np.median(quality[members])
    centre = points[members[good]].mean(axis=0)
    nearness = np.einsum("nd,d->n", points[members], centre)
    return members[np.lexsort((-nearness, ~good))]


def prototype(points: Array, ordered: Array, least: int) -> Array:
    """Return the mean of the first ``least`` of a group's ordered members, (dimensions,).

    Not of all: the mean of a loose group lies near to everything, which no member of it does.
    The mean of the most central ones says where that is which will be chosen; its length
    (at most one) says how close together they are.
    """
    mean: Array = points[ordered[:least]].mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean


def describe(points: Array, labels: Array, quality: Array | None, least: int) -> dict[str, Array]:
    """Describe a client's groups, and fewer than ``least`` samples not even by what is left over.

    The prototypes and the mean of all samples together tell of the samples that are in no
    prototype. Where these would be fewer than ``least``, prototypes are of all members of their
    groups; and where what is in no group is fewer, the smallest group is left out, or the only
    one is made of all samples.

    Parameters
    ----------
    points : ndarray of float32, shape (n_samples, dimensions)
        Of unit length.
    labels : ndarray of int64, shape (n_samples,)
        Groups of at least ``least`` samples, counted from 0; `NOISE` for none.
    quality : ndarray, shape (n_samples,), or None

    Returns
    -------
    dict
        ``prototypes`` (groups, dimensions) of float32, ``sizes`` (groups,) and ``members``
        (grouped,), group after group in the order of `by_centrality`.
    """
    count, depth = int(labels.max(initial=NOISE)) + 1, least
    if count and 0 < len(labels) - count * least < least:
        depth = len(labels)
        if 0 < np.count_nonzero(labels == NOISE) < least:
            labels = _without_smallest(labels) if count > 1 else np.zeros_like(labels)
            count = max(count - 1, 1)
    groups = [
        by_centrality(points, np.flatnonzero(labels == group), quality) for group in range(count)
    ]
    nothing = [np.zeros((0, points.shape[1]), np.float32)]
    return {
        "prototypes": np.concatenate(
            nothing + [prototype(points, members, depth)[None] for members in groups]
        ),
        "sizes": np.array([len(members) for members in groups], np.int64),
        "members": np.concatenate([np.zeros(0, np.int64), *groups]),
    }


def _without_smallest(labels: Array) -> Array:
    """Leave out the smallest group, of equals the last."""
    sizes = np.bincount(labels[labels != NOISE])
    smallest = len(sizes) - 1 - sizes[::-1].argmin()
    return in_order_of_appearance(np.where(labels == smallest, NOISE, labels))


def in_unit_ball(points: Array) -> Array:
    """Shorten rows longer than one, which no mean of rows of unit length is."""
    lengths = np.linalg.norm(points, axis=1)
    return np.where((lengths > 1)[:, None], of_unit_length(points), points)
