"""The samples whose responses the base model finds likeliest, or likewise the least or the middle.

Source: Marion et al., "When Less is More: Investigating Data Pruning for Pretraining LLMs at
Scale", arXiv 2309.04564; the perplexity filter of Sachdeva et al., arXiv 2402.09668

Deviations: of instruction data the perplexity is that of the response given its prompt, as in
FedDQC's baseline (Du et al., arXiv 2410.11540), and not of a whole text; each client ranks its
own samples, and there is no reference model but the frozen base or ``model.proxy``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fedhds.selection._finite import check_finite
from fedhds.types import Arrays, Coreset, Memory, SelectionMethod, Signals


@dataclass(frozen=True)
class Perplexity(SelectionMethod):
    """Take the client's share of the budget by perplexity, the same in every round.

    Attributes
    ----------
    prefer : {"low", "middle", "high"}
        ``middle`` takes those whose ranks are nearest to the client's median.
    """

    prefer: Literal["low", "middle", "high"] = "low"

    budget: ClassVar[Literal["required"]] = "required"
    signal_model: ClassVar[Literal["base"]] = "base"

    def needs(self) -> tuple[str, ...]:
        """Need the mean loss of each response after its prompt, the perplexity's logarithm."""
        return ("loss_with_prompt",)

    def pick(
        self, signals: Signals, received: Arrays, memory: Memory, rng: np.random.Generator
    ) -> Coreset:
        """Take ``received["quota"]`` samples, of equal ones the first (client)."""
        losses = signals.arrays["loss_with_prompt"]
        check_finite("losses", losses)
        if self.prefer == "high":
            losses = -losses
        elif self.prefer == "middle":
            ranks = np.argsort(np.argsort(losses, kind="stable"))
            losses = np.abs(ranks - (len(losses) - 1) / 2)
        return Coreset.of(np.argsort(losses, kind="stable")[: int(received["quota"][0])])
