"""Samples that public knowledge makes likelier; diverse ones of them.

Source: Zhang et al., "RECOST: External Knowledge Guided Data-efficient Instruction Tuning",
arXiv 2402.17355 (Findings of ACL 2024)

The predictive entropy of a sample (PE, the mean loss of its response) is high where it is hard,
but also where it is wrong. Read again with retrieved public knowledge in front (PEK), a good
sample should become likelier: its relative predictive entropy RPE = PE - PEK is high. Samples
are ranked, and chosen down the list by k-center greedy within a sliding window.

Deviations: "RECOST-style", a reconstruction: of the paper the abstract and what others tell of
it were at hand, and there is no published code. From those are the two entropies, their
difference, two rankings and a core-set within a sliding window. RECONSTRUCTED, so ours, are:
the rules of `Recost.rerank` and which is the default, that equal values share a rank, all
numbers of the window (`PARTS`, `STRIDE`, `WINDOW`), and filling in by order at the list's end.
Ours for federations: every client ranks its own samples and keeps its share of the budget; the
base's mean states stand in for embeddings; knowledge is found by words (`fedhds.data.retrieval`,
where the paper embeds it), in any public base where the paper has ten million items of Flan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from threadpoolctl import threadpool_limits

from fedhds.selection._finite import check_finite
from fedhds.selection._own_space import own_space
from fedhds.types import Array, Arrays, Coreset, Memory, SelectionMethod, Signals

Rule = Literal["relative", "rank-sum", "rank-shift"]

PARTS = 50
"""A window gives this part of the quota, or one sample (reconstruction)."""

STRIDE = 2
"""How far the window moves on, in samples for each that it gives (reconstruction).

So the list is gone through to about twice the quota.
"""

WINDOW = 10
"""How wide the window is, in samples for each that it gives (reconstruction)."""

ROUNDING = 1e-5
"""Nats: two readings of the same tokens, in batches of their own, differ by less in float32."""


@dataclass(frozen=True)
class Recost(SelectionMethod):
    """Rank samples by what public knowledge makes of their losses, and choose diverse ones.

    Attributes
    ----------
    rerank : {"relative", "rank-sum", "rank-shift"}
        How the readings become one order (reconstruction; the paper has two ranks, its rule is
        unknown). ``relative`` is by RPE alone, and the only one that left wrong answers out where
        it was tried (``docs/log.md``). ``rank-sum`` adds the ranks by PEK and by RPE, the largest
        of each first: hard even with knowledge, and helped by it. ``rank-shift`` is by how many
        ranks a sample falls from PE to PEK, so how much easier it becomes beside others.
    """

    budget: ClassVar[Literal["required"]] = "required"
    signal_model: ClassVar[Literal["base"]] = "base"

    rerank: Rule = "relative"

    def needs(self) -> tuple[str, ...]:
        """Need the losses without and with knowledge, and states to tell samples apart."""
        return ("loss_with_prompt", "knowledge/loss_with_prompt", "mean_states")

    def pick(
        self, signals: Signals, received: Arrays, memory: Memory, rng: np.random.Generator
    ) -> Coreset:
        """Choose ``received["quota"]`` of the client's samples; a choice of all reads nothing."""
        quota = min(int(received["quota"][0]), signals.samples)
        if quota in (0, signals.samples):
            return Coreset.of(np.arange(quota))
        alone = signals.arrays["loss_with_prompt"]
        informed = signals.arrays["knowledge/loss_with_prompt"]
        check_finite("losses with prompt", alone)
        check_finite("losses with knowledge", informed)
        order = ranked(alone, informed, self.rerank)
        return Coreset.of(diverse(order, own_space(signals.arrays["mean_states"]), quota))


def ranked(alone: Array, informed: Array, rule: Rule) -> Array:
    """Order samples by their losses without and with knowledge in front (reconstruction).

    Parameters
    ----------
    alone, informed : ndarray, shape (n_samples,)
        PE and PEK, in nats a token. They are equal, but for rounding, for a sample that no
        knowledge was found for; its RPE counts as 0.
    rule : {"rank-sum", "relative", "rank-shift"}
        As of `Recost`.

    Returns
    -------
    ndarray of int64, shape (n_samples,)
        Positions, best first; ties by position.
    """
    gain = alone.astype(np.float64) - informed
    gain[np.abs(gain) <= ROUNDING] = 0
    if rule == "rank-sum":
        places = _ranks(informed) + _ranks(gain)
    elif rule == "relative":
        places = -gain
    else:
        places = _ranks(alone) - _ranks(alone - gain)
    return np.argsort(places, kind="stable")


def _ranks(values: Array) -> Array:
    """Rank from the largest, 1; equal ones share their mean rank, whatever their positions."""
    _, group, counts = np.unique(-values, return_inverse=True, return_counts=True)
    ranks: Array = (np.cumsum(counts) - (counts - 1) / 2)[group]
    return ranks


def diverse(order: Array, points: Array, quota: int) -> Array:
    """Choose down a list, within a sliding window by k-center greedy (reconstruction).

    A window gives the samples that are farthest from all chosen so far, one after the other;
    then it moves on. So order decides between windows, and diversity within each.

    Parameters
    ----------
    order : ndarray of int64, shape (n_samples,)
        Positions, best first.
    points : ndarray of float32, shape (n_samples, dimensions)
        Of unit length, or zeros; distances are one minus the cosine.
    quota : int
        How many to choose; above ``n_samples`` all are.

    Returns
    -------
    ndarray of int64, shape (min(quota, n_samples),)
        Positions as chosen. Of the first window the best is first; ties go to the better.
        Where the list ends too early, what is left follows in its order.
    """
    each = max(1, quota // PARTS)
    rows = points[order]
    nearest = np.full(len(order), np.inf)
    chosen: list[int] = []
    with threadpool_limits(limits=1):
        for start in range(0, len(order), STRIDE * each):
            window = nearest[start : start + WINDOW * each]
            for _ in range(min(each, quota - len(chosen))):
                best = int(window.argmax())
                if window[best] == -np.inf:  # all of the window is chosen
                    break
                chosen.append(start + best)
                np.minimum(nearest, 1 - rows @ rows[start + best], out=nearest)
                window[best] = -np.inf
    left = np.flatnonzero(nearest > -np.inf)
    return order[np.append(np.array(chosen, np.int64), left)[:quota]]
