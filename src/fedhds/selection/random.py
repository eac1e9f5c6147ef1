"""A uniformly random coreset of each round's clients: the baseline every method must beat.

Source: FedHDS (Qin et al., Findings of ACL 2025, arXiv 2410.10926), "Random" in section 5

Deviations: the paper draws a ratio of each client's data; here the size of the whole is
given and divided over the clients by their sizes, so that any method can be compared
with it at exactly its own size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fedhds.types import Arrays, Coreset, Memory, SelectionMethod, Signals


@dataclass(frozen=True)
class Random(SelectionMethod):
    """Draw the client's share of the budget without replacement, anew in every round."""

    budget: ClassVar[Literal["required"]] = "required"

    def pick(
        self, signals: Signals, received: Arrays, memory: Memory, rng: np.random.Generator
    ) -> Coreset:
        """Draw ``received["quota"]`` of the client's samples."""
        return Coreset.of(
            rng.choice(signals.samples, size=int(received["quota"][0]), replace=False)
        )
