"""The weighted mean of adapters."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fedhds.types import Array, Arrays


def weighted_mean(weighted: Iterable[tuple[Arrays, float]]) -> dict[str, Array]:
    """Average named arrays, in the order given, summing in float64.

    Parameters
    ----------
    weighted : iterable of (mapping of str to ndarray of float32, float)
        The same names and shapes in each; weights not negative, of any sum. It is read
        once, and no adapter is kept: there is one adapter's worth of float64 sums.

    Returns
    -------
    dict of str to ndarray of float32

    Raises
    ------
    ValueError
        If there is no adapter or no weight.
    """
    sums: dict[str, Array] = {}
    total = 0.0
    for adapter, weight in weighted:
        total += weight
        for name, array in adapter.items():
            if name not in sums:
                sums[name] = np.zeros(array.shape, np.float64)
            sums[name] += np.multiply(array, weight, dtype=np.float64)
    if total <= 0:
        raise ValueError("there is nothing to aggregate")
    return {name: (array / total).astype(np.float32) for name, array in sums.items()}
