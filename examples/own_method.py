"""A selection method from outside the package: each client gives its most typical samples.

    pip install ./examples
    fedhds run CONFIG --set selection.method=most-typical --set selection.share=0.1

It is found by the entry point in ``examples/pyproject.toml``. The tests of the contract,
``tests/contracts/test_selection_methods.py``, run on it like on fedhds' own.

Source: Sorscher et al., "Beyond neural scaling laws" (NeurIPS 2022, arXiv 2206.14486),
section 6: with little data, keep the samples nearest to their prototype

Deviations: one prototype a client, the mean of its samples, instead of k-means; hidden
states of the last layer instead of a self-supervised model's features. Samples that are
all typical are alike, so expect less variety than from ``fedhds``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fedhds.types import Arrays, Coreset, Memory, SelectionMethod, Signals


@dataclass(frozen=True)
class MostTypical(SelectionMethod):
    """Take the samples nearest to the client's mean hidden state.

    Attributes
    ----------
    metric : {"euclidean", "cosine"}
        What near means.
    """

    metric: Literal["euclidean", "cosine"] = "euclidean"

    budget: ClassVar[Literal["required"]] = "required"

    def needs(self) -> tuple[str, ...]:
        """Need the last token's hidden states; without exchanges they stay on the client."""
        return ("hidden_states",)

    def pick(
        self, signals: Signals, received: Arrays, memory: Memory, rng: np.random.Generator
    ) -> Coreset:
        """Take ``received["quota"]`` samples, the client's share of the budget."""
        states = signals.arrays["hidden_states"][:, -1].astype(np.float64)
        if not np.isfinite(states).all():
            raise ValueError("the hidden states hold non-finite values")
        if self.metric == "cosine":
            states = states / np.maximum(np.linalg.norm(states, axis=1, keepdims=True), 1e-12)
        prototype = states.sum(axis=0) / max(len(states), 1)
        nearest_first = np.argsort(np.linalg.norm(states - prototype, axis=1), kind="stable")
        return Coreset.of(nearest_first[: int(received["quota"][0])])
