"""The mean of the adapters, each weighted by the samples it was trained on.

Source: FedAvg (McMahan et al., AISTATS 2017, arXiv 1602.05629)

In FedHDS the samples are the coreset's, not the client's. Deviations: none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fedhds.aggregation._mean import weighted_mean
from fedhds.types import Aggregation, Array, Arrays


@dataclass(frozen=True)
class FedAvg(Aggregation):
    """Weight by coreset size."""

    def aggregate(self, adapters: Sequence[Arrays], samples: Sequence[int]) -> dict[str, Array]:
        """Return the mean weighted by ``samples``."""
        return weighted_mean(adapters, samples)
