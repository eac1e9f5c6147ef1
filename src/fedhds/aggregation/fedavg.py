"""The mean of the adapters, each weighted by the samples it was trained on.

Source: FedAvg (McMahan et al., AISTATS 2017, arXiv 1602.05629)

In FedHDS the samples are the coreset's, not the client's. Deviations: none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

from fedhds.aggregation._mean import weighted_mean
from fedhds.types import Aggregation, Array, Arrays


@dataclass(frozen=True)
class FedAvg(Aggregation):
    """Weight by coreset size."""

    holds: ClassVar[Literal["one adapter", "all adapters"]] = "one adapter"

    def aggregate(self, trained: Iterable[tuple[Arrays, int]]) -> dict[str, Array]:
        """Return the mean weighted by the samples."""
        return weighted_mean(trained)
