"""The plain mean of the adapters: every client counts the same, however much it trained on.

Source: FedAvg with equal weights (Li et al., ICLR 2020, arXiv 1907.02189), scheme II

Deviations: none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

from fedhds.aggregation._mean import weighted_mean
from fedhds.types import Aggregation, Array, Arrays


@dataclass(frozen=True)
class Uniform(Aggregation):
    """Weight all clients equally."""

    holds: ClassVar[Literal["one adapter", "all adapters"]] = "one adapter"

    def aggregate(self, trained: Iterable[tuple[Arrays, int]]) -> dict[str, Array]:
        """Return the unweighted mean."""
        return weighted_mean((adapter, 1) for adapter, _ in trained)
