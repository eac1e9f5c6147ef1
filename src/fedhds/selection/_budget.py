"""Dividing a budget of samples exactly."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence

import numpy as np

from fedhds.types import Array


def apportion(budget: int, sizes: Sequence[int] | Array) -> Array:
    """Divide ``budget`` in proportion to ``sizes``, exactly and never beyond a size.

    Largest remainders (Hamilton's method); ties go to the earlier part.

    Parameters
    ----------
    budget : int
        What to divide; above ``sum(sizes)`` everything is given out.
    sizes : sequence of int, shape (n_parts,)
        The parts' weights and also their limits.

    Returns
    -------
    ndarray of int64, shape (n_parts,)
        Sums to ``min(budget, sum(sizes))``.

    Examples
    --------
    >>> apportion(5, [10, 10, 20]).tolist()  # 1.25, 1.25, 2.5
    [1, 1, 3]
    """
    limits = np.asarray(sizes, dtype=np.int64)
    total = int(limits.sum())
    if budget >= total:
        return limits.copy()
    whole, remainders = np.divmod(budget * limits, total)
    order = np.argsort(-remainders, kind="stable")
    whole[order[: budget - int(whole.sum())]] += 1
    shares: Array = whole
    return shares


def by_weight(budget: int, weights: Array, limits: Array) -> Array:
    """Divide ``budget`` in proportion to real weights, exactly and never beyond a limit.

    Highest averages (Sainte-Laguë's method), so that what a full part cannot take goes to the
    others in proportion again; ties go to the earlier part. Parts of no weight come last, in turn.

    Parameters
    ----------
    budget : int
        What to divide; above ``sum(limits)`` everything is given out.
    weights : ndarray, shape (n_parts,)
        Finite, not negative.
    limits : ndarray of int64, shape (n_parts,)

    Returns
    -------
    ndarray of int64, shape (n_parts,)
        Sums to ``min(budget, sum(limits))``.

    Examples
    --------
    >>> by_weight(5, np.array([1.0, 1.0, 8.0]), np.array([9, 9, 3])).tolist()
    [1, 1, 3]
    """
    most = np.minimum(limits, budget)
    parts = np.repeat(np.arange(len(most)), most)
    turns = np.arange(len(parts)) - np.repeat(np.cumsum(most) - most, most)
    # scaled by a power of two, which is exact, so that no rank of the smallest weights overflows
    _, exponent = np.frexp(np.max(weights, initial=0.0))
    scaled = np.ldexp(np.asarray(weights, np.float64), 1000 - exponent)
    with np.errstate(divide="ignore", over="ignore"):
        ranks = (turns + 0.5) / scaled[parts]
    given = parts[np.lexsort((turns, ranks))[:budget]]
    return np.bincount(given, minlength=len(most)).astype(np.int64)


def take_turns(budget: int, order: Array, owners: Array, capacity: Array) -> Array:
    """Divide ``budget`` among groups that give a sample each in turn, exactly.

    The groups in ``order`` give one sample each in turn, over and over; one whose client has
    nothing left is passed over.

    Parameters
    ----------
    budget : int
    order : ndarray of int64, shape (n_groups,)
        The groups, first the one to give first.
    owners : ndarray of int64, shape (n_groups,)
        The client of each group, by position in ``capacity``.
    capacity : ndarray of int64, shape (n_clients,)
        How many samples each client has; what one without any group says is ignored.

    Returns
    -------
    ndarray of int64, shape (n_groups,)
        By group; sums to the budget or to all the samples there are.
    """
    ranked = owners[order]
    by_owner = np.argsort(ranked, kind="stable")
    counts = np.bincount(owners, minlength=len(capacity))
    places = np.empty_like(order)
    places[by_owner] = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    # of a client's k groups the one at place i gives its i-th sample, then the one k later
    limits = np.maximum(0, -((places - capacity[ranked]) // counts[ranked]))
    remaining = min(budget, int(limits.sum()))
    whole_turns = bisect(
        range(1, int(limits.max(initial=0)) + 1),
        remaining,
        key=lambda turns: int(np.minimum(limits, turns).sum()),
    )
    given = np.minimum(limits, whole_turns)
    given[np.flatnonzero(limits > whole_turns)[: remaining - int(given.sum())]] += 1
    wanted = np.empty_like(given)
    wanted[order] = given
    return wanted


def divide(
    budget: int, order: Array, sizes: Array, owners: Array, held: Array
) -> tuple[Array, Array]:
    """Divide ``budget`` among groups, and among what is in none where groups are used up.

    The groups in ``order`` give one sample each; then all give more, in proportion to what
    they have left; then clients give of what they hold besides, in the same way.

    Parameters
    ----------
    budget : int
    order : ndarray of int64
        The groups that come first, or all.
    sizes, owners : ndarray of int64, shape (n_groups,)
        Each group's samples, and its client by position in ``held``.
    held : ndarray of int64, shape (n_clients,)
        Each client's samples, grouped or not.

    Returns
    -------
    wanted : ndarray of int64, shape (n_groups,)
    others : ndarray of int64, shape (n_clients,)
        With ``wanted`` they sum to the budget, or to all the samples there are.
    """
    wanted = np.zeros(len(sizes), np.int64)
    wanted[order[:budget]] = 1
    wanted += apportion(budget - int(wanted.sum()), sizes - wanted)
    grouped = np.bincount(owners, sizes, len(held)).astype(np.int64)
    return wanted, apportion(budget - int(wanted.sum()), (held - grouped).clip(0))
