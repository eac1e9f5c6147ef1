"""Every sample of every client that takes part: the reference, not a selection.

Source: FedIT (Zhang et al., ICASSP 2024, arXiv 2305.05644)

Deviations: none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fedhds.types import Arrays, Coreset, Memory, SelectionMethod, Signals


@dataclass(frozen=True)
class Full(SelectionMethod):
    """Train on all samples."""

    budget: ClassVar[Literal["ignored"]] = "ignored"

    def pick(
        self, signals: Signals, received: Arrays, memory: Memory, rng: np.random.Generator
    ) -> Coreset:
        """Take every sample."""
        return Coreset.of(range(signals.samples))
