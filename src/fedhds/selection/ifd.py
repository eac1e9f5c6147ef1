"""The samples whose prompts help least with their responses, while they do help: the hard ones.

Source: Li et al., "From Quantity to Quality: Boosting LLM Performance with Self-Guided Data
Selection for Instruction Tuning", arXiv 2308.12032 (NAACL 2024), Instruction-Following Difficulty

IFD is the perplexity of a response given its prompt over that of the response alone. Above 1 the
prompt misleads: such samples go last, for a response that does not fit its prompt is the likeliest
reason. Of the others the highest are still to be learned.

Deviations: the ratio is of perplexities, as in "Superfiltering" and in FedDQC's terms, where the
first paper's code divides mean losses, which orders samples a little otherwise; the frozen base
(or ``model.proxy``, as Li et al. do in "Superfiltering", arXiv 2402.00530) reads the samples, and
no model that was trained on some of them first; each client ranks its own samples; a response
without its instruction stands behind the layout of prompts and not alone
(`signals.loss_uninstructed`); both losses are of the same tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fedhds.selection._alignment import ira
from fedhds.types import Array, Arrays, Coreset, Memory, SelectionMethod, Signals


@dataclass(frozen=True)
class IFD(SelectionMethod):
    """Take the client's share of the budget by IFD, the same in every round."""

    budget: ClassVar[Literal["required"]] = "required"
    signal_model: ClassVar[Literal["base"]] = "base"

    def needs(self) -> tuple[str, ...]:
        """Need the mean losses of each response with and without its instruction."""
        return ("loss_with_prompt", "loss_uninstructed")

    def pick(
        self, signals: Signals, received: Arrays, memory: Memory, rng: np.random.Generator
    ) -> Coreset:
        """Take ``received["quota"]`` samples, of equal ones the first (client)."""
        scores = ifd(*(signals.arrays[need] for need in self.needs()))
        # what misleads comes last, the least misleading first
        order = np.lexsort((np.where(scores < 1, -scores, scores), scores >= 1))
        return Coreset.of(order[: int(received["quota"][0])])


def ifd(prompted: Array, bare: Array) -> Array:
    """Return each sample's IFD, float64, shape (n_samples,): exp(-IRA) of the losses of `ira`."""
    return np.exp(-ira(prompted, bare))
