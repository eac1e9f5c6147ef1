"""Dividing a budget of samples exactly."""

from __future__ import annotations

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
