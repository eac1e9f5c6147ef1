"""The samples that a judging model would keep: those it is likeliest to say yes to.

Source: Sachdeva et al., "How to Train Data-Efficient LLMs", arXiv 2402.09668 (2024), Ask-LLM

Deviations: asked about instruction tuning and not pre-training (`signals.yes_probability`); the
best of each client by its share of the budget, as no score leaves it, and not the best of all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fedhds.selection._finite import check_finite
from fedhds.types import Arrays, Coreset, Memory, SelectionMethod, Signals


@dataclass(frozen=True)
class AskLLM(SelectionMethod):
    """Take the samples of the highest probability of yes."""

    budget: ClassVar[Literal["required"]] = "required"
    signal_model: ClassVar[Literal["scorer"]] = "scorer"

    def needs(self) -> tuple[str, ...]:
        """Need the scorer's probability of yes."""
        return ("yes_probability",)

    def pick(
        self, signals: Signals, received: Arrays, memory: Memory, rng: np.random.Generator
    ) -> Coreset:
        """Take ``received["quota"]`` samples; of equals those that come first."""
        likely = signals.arrays["yes_probability"]
        check_finite("probabilities of yes", likely)
        return Coreset.of(np.argsort(-likely, kind="stable")[: int(received["quota"][0])])
