"""How sure a difference of means is.

Source: Efron, "Bootstrap Methods: Another Look at the Jackknife" (1979), percentile interval.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fedhds.rng import generator


def interval(
    differences: NDArray[np.floating], seed: int, level: float = 0.95, draws: int = 2000
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the mean.

    Parameters
    ----------
    differences : ndarray, shape (n,)
        One value per sample, e.g. the scores of one run minus those of another.
    level : float
        How often the interval is to hold the true mean.
    draws : int
        Resamples, each of ``n`` values with replacement.

    Returns
    -------
    tuple of float
        The lower and the upper end; the same number twice for a single sample.

    Raises
    ------
    ValueError
        If there is no sample, or ``level`` is not between 0 and 1.
    """
    if not len(differences):
        raise ValueError("a bootstrap interval needs at least one sample")
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, not {level}")
    rng = generator(seed, "bootstrap")
    size = len(differences)
    # One resample at a time: all at once would need draws x n numbers.
    means = [differences[rng.integers(size, size=size)].mean() for _ in range(draws)]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
