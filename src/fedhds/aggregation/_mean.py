"""The weighted mean of adapters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fedhds.types import Array, Arrays


def weighted_mean(adapters: Sequence[Arrays], weights: Sequence[float]) -> dict[str, Array]:
    """Average named arrays, in the order given, summing in float64.

    Parameters
    ----------
    adapters : sequence of mapping of str to ndarray of float32
        The same names and shapes in each.
    weights : sequence of float
        Not negative; they need not sum to 1.

    Returns
    -------
    dict of str to ndarray of float32
        In one pass, holding one adapter's worth of float64 sums.

    Raises
    ------
    ValueError
        If there is no adapter or no weight.
    """
    total = float(sum(weights))
    if not adapters or total <= 0:
        raise ValueError("there is nothing to aggregate")
    sums = {name: np.zeros(array.shape, np.float64) for name, array in adapters[0].items()}
    for adapter, weight in zip(adapters, weights, strict=True):
        for name in sums:
            sums[name] += adapter[name].astype(np.float64) * (weight / total)
    return {name: array.astype(np.float32) for name, array in sums.items()}
