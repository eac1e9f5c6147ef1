"""The samples that leave none of a client's others far away, chosen farthest first.

Source: Sener and Savarese, "Active Learning for Convolutional Neural Networks: A Core-Set
Approach", arXiv 1708.00489 (ICLR 2018), algorithm 1; greedy as Gonzalez 1985

Each choice is the sample farthest from those before it, so that the largest distance of any
sample to its nearest chosen one is at most twice the least that is possible.

Deviations: the paper begins with labelled samples; here there are none, and the sample nearest to
the mean of all begins. Its robust variant, which lets outliers go by integer programming, is left
out, so that outliers are chosen early. Samples are placed by the frozen base model's means over
prompt and over response, centred, and not by the last layer of the model in training. What other
clients hold is not known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from scipy.spatial.distance import cdist

from fedhds.selection._own_space import own_space
from fedhds.types import Array, Arrays, Coreset, Memory, SelectionMethod, Signals


@dataclass(frozen=True)
class KCenter(SelectionMethod):
    """Cover each client's samples with its share of the budget; the same in every round."""

    budget: ClassVar[Literal["required"]] = "required"
    signal_model: ClassVar[Literal["base"]] = "base"

    def needs(self) -> tuple[str, ...]:
        """Need the mean states of prompt and response."""
        return ("mean_states",)

    def pick(
        self, signals: Signals, received: Arrays, memory: Memory, rng: np.random.Generator
    ) -> Coreset:
        """Take ``received["quota"]`` samples, farthest first."""
        points = own_space(signals.arrays["mean_states"])
        return Coreset.of(farthest_first(points, int(received["quota"][0])))


def farthest_first(points: Array, count: int) -> Array:
    """Order points so that each is the farthest from those before it.

    Parameters
    ----------
    points : ndarray, shape (n_points, dimensions)
        Finite.
    count : int
        How many to order; at most all.

    Returns
    -------
    ndarray of int64, shape (min(count, n_points),)
        First the point nearest to the mean of all; of equally far ones the first. So a smaller
        choice is the beginning of a larger.
    """
    count = min(count, len(points))
    if not count:
        return np.zeros(0, np.int64)
    points = points.astype(np.float64)
    chosen = [int(_squares(points, points.mean(axis=0)).argmin())]
    away = np.full(len(points), np.inf)
    while len(chosen) < count:
        np.minimum(away, _squares(points, points[chosen[-1]]), out=away)
        away[chosen[-1]] = -1  # below copies of it, which are at 0
        chosen.append(int(away.argmax()))
    return np.array(chosen)


def _squares(points: Array, centre: Array) -> Array:
    """Return squared distances; alike for copies, which products of matrices do not promise."""
    found: Array = cdist(points, centre[None], "sqeuclidean")[:, 0]
    return found
