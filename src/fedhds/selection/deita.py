"""Complex instructions with good responses, none too like another.

Source: Liu et al., "What Makes Good Data for Alignment? A Comprehensive Study of Automatic Data
Selection in Instruction Tuning", arXiv 2312.15685 (ICLR 2024), DEITA

Samples are taken in the order of complexity times quality, each if it is not too similar to one
taken before.

Deviations: the scorer is asked, not tuned (`signals.ratings`). Similar are directions from the
client's mean of the base's mean states, where the paper has the raw states of LLaMA's last token,
which are all alike; so the published threshold passes over near copies alone. Where too few are
left, those passed over fill up in their order, as the budget is kept exactly; the published code
then returns fewer. Its batches are also compared with samples that were not taken; here none is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from threadpoolctl import threadpool_limits

from fedhds.selection._finite import check_finite
from fedhds.selection._own_space import own_space
from fedhds.types import Array, Arrays, Coreset, Memory, SelectionMethod, Signals


@dataclass(frozen=True)
class Deita(SelectionMethod):
    """Take the samples of the highest ratings that are unlike each other.

    Attributes
    ----------
    similarity : float
        The cosine to a taken sample from which on another is passed over.
    """

    similarity: float = 0.9

    budget: ClassVar[Literal["required"]] = "required"
    signal_model: ClassVar[Literal["scorer"]] = "scorer"

    def __post_init__(self) -> None:
        """Check the option's range."""
        if not 0 < self.similarity < 1:
            raise ValueError("similarity must be above 0 and below 1")

    def needs(self) -> tuple[str, ...]:
        """Need the scorer's two ratings, and the base's means over tokens to compare samples."""
        return ("ratings", "base/mean_states")

    def pick(
        self, signals: Signals, received: Arrays, memory: Memory, rng: np.random.Generator
    ) -> Coreset:
        """Take ``received["quota"]`` samples; of equals those that come first."""
        ratings, states = signals.arrays["ratings"], signals.arrays["base/mean_states"]
        check_finite("ratings", ratings)
        check_finite("mean states", states)
        order = np.argsort(-ratings.prod(axis=1, dtype=np.float64), kind="stable")
        quota = int(received["quota"][0])
        return Coreset.of(unlike(own_space(states), order, self.similarity, quota))


def unlike(rows: Array, order: Array, similarity: float, count: int) -> Array:
    """Go through samples and pass over those too similar to one taken before.

    Parameters
    ----------
    rows : ndarray, shape (n_samples, n_features)
        Of unit length.
    order : ndarray of int64, shape (n_samples,)
        All samples, the first to be taken first.
    similarity : float
        The cosine from which on a sample is passed over.
    count : int
        How many to take; where too few are left, those passed over come next, in their order.

    Returns
    -------
    ndarray of int64, shape (min(count, n_samples),)
        In the order they were taken.
    """
    nearest = np.full(len(rows), -np.inf)
    taken: list[int] = []
    passed: list[int] = []
    with threadpool_limits(limits=1):
        for sample in order.tolist():
            if len(taken) == count:
                break
            if nearest[sample] >= similarity:
                passed.append(sample)
                continue
            taken.append(sample)
            nearest = np.maximum(nearest, rows @ rows[sample])
    return np.array([*taken, *passed][:count], np.int64)
