"""The plain mean of the adapters: every client counts the same, however much it trained on.

Source: FedAvg with equal weights (Li et al., ICLR 2020, arXiv 1907.02189), scheme II

Deviations: none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fedhds.aggregation._mean import weighted_mean
from fedhds.types import Aggregation, Array, Arrays


@dataclass(frozen=True)
class Uniform(Aggregation):
    """Weight all clients equally."""

    def aggregate(self, adapters: Sequence[Arrays], samples: Sequence[int]) -> dict[str, Array]:
        """Return the unweighted mean."""
        return weighted_mean(adapters, [1.0] * len(adapters))
