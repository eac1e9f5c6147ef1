"""Samples of all clients drawn the likelier the fewer others lie near them.

Source: Sachdeva et al., "How to Train Data-Efficient LLMs", arXiv 2402.09668, section 3.3
(Density, inverse propensity sampling)

A round of selection:

1. `InSharedSpace.introduce` (client) and `agree` (server): a space that all clients share.
2. `Density.count` (client): how many samples fall into each bucket of a RACE sketch, which all
   clients hash alike. `pool` (server) adds the clients' counts up and sends them back: they are
   exactly the counts of all samples together.
3. `Density.weigh` (client): each sample's density s, told from the counts of its buckets, and
   the sum of 1/s. `share` (server) divides the budget by these sums.
4. `Density.pick` (client): its share without replacement, the next always with probability
   proportional to 1/s.

Deviations from the paper:

- Probabilities are proportional to 1/s, as the paper's text and theorem have it; its algorithm 2
  prints s.
- A row joins several hashes, as RACE allows (see `_race`): by a single one, nine of ten samples
  weigh the same to two hundredths (of 8,000 of the toy federation, at any bandwidth).
- Each client's share is proportional to its weight and not drawn, so the budget is kept exactly;
  where a share is a large part of the samples, their chances are nearer to equal than 1/s.
- Far fewer rows and buckets than the published 1,000 and 20,000, which are of 364 million samples
  and would be 80 MB; points are those of the shared space and not of Sentence-T5.
- Only the round's clients are counted, and what earlier rounds chose is not remembered.

What leaves a client besides the moments is its counts and its weight, nothing of any one sample.
But whoever has the counts and a text can tell whether the text is likely among the samples, as the
hashes are known; only secure aggregation or noise, which are not here, would hide it. Clients of
fewer than ``minimum_group`` samples say nothing: they count none and weigh nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fedhds.selection._budget import by_weight
from fedhds.selection._in_shared_space import InSharedSpace, of_small_clients
from fedhds.selection._race import counted, density, hashed
from fedhds.types import Array, Arrays, ArraySpec, Coreset, Exchange, Memory, Signals, State

LARGEST = 2**26
"""Counts that a client may be asked for: 256 MiB."""

MOST = 2**31 - 1
"""A bucket of more samples counts as this; it is what int32 holds."""


@dataclass(frozen=True)
class Density(InSharedSpace):
    """Draw samples by the inverse of their density over all of the round's clients.

    The options that make the space are those of `InSharedSpace`. A client sends, and gets back,
    ``rows * buckets * 4`` bytes.

    Attributes
    ----------
    rows : int
        Of the sketch; a density's error falls with their square root.
    buckets : int
        Of a row.
    bandwidth : float
        How near is near, as the hashes' step in the space, whose rows have length one. At 1.75
        two samples at distance 0.3 share a bucket in 3 of 10 rows, at 0.7 in 1 of 20 and
        unrelated ones, at 1.4, in 1 of 700.
    """

    rows: int = 100
    buckets: int = 2048
    bandwidth: float = 1.75

    budget: ClassVar[Literal["required"]] = "required"

    def __post_init__(self) -> None:
        """Check the options' ranges."""
        super().__post_init__()
        for name, least in (("rows", 1), ("buckets", 2)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}")
        if self.rows * self.buckets > LARGEST:
            raise ValueError(f"rows times buckets must be at most {LARGEST:,}")
        if not 0 < self.bandwidth < np.inf:
            raise ValueError("bandwidth must be above 0 and finite")

    @property
    def steps(self) -> tuple[Exchange, ...]:
        """Agree on a space, unless it is ``random``; counts up and down; weight up, share down."""
        counts = {"counts": ArraySpec("int32", (self.rows, self.buckets), low=0)}
        weight = {
            "weight": ArraySpec("float64", (1,), low=0, high=2**31),
            "samples": ArraySpec("int64", (1,), low=0, high=2**31),
        }
        quota = {"quota": ArraySpec("int64", (1,), low=0)}
        return (
            *self.agreement,
            Exchange(self.count, self.pool, counts, counts),
            Exchange(self.weigh, self.share, weight, quota),
        )

    @property
    def described_group(self) -> int:
        """Single samples: a bucket may hold just one, and an empty one tells what is not there."""
        return 1

    def unused(self) -> tuple[str, ...]:
        """Name ``layers`` where no layer is read."""
        return ("layers",) if self.features == "words" and self.layers != "all" else ()

    def count(
        self, signals: Signals, received: Arrays, memory: Memory, rng: np.random.Generator
    ) -> tuple[dict[str, Array], Memory]:
        """Count the client's samples by bucket (client).

        Returns
        -------
        summary : dict
            ``counts`` (rows, buckets), zeros from a client of fewer than ``minimum_group``.
        memory : dict
            ``hashed`` (samples, rows), kept for later rounds, as neither features nor space
            change.
        """
        if signals.samples < self.minimum_group:
            return {"counts": np.zeros((self.rows, self.buckets), np.int32)}, memory
        if "hashed" not in memory:
            points = self.place(signals, received, memory)
            size = self.rows, self.buckets
            found = hashed(points, *size, self.bandwidth, self.projection_seed)
            memory = memory | {"hashed": found}
            memory.pop("projected", None)  # it is not asked for again
        return {"counts": counted(memory["hashed"], self.buckets)}, memory

    def pool(
        self,
        state: State,
        summaries: Mapping[int, Arrays],
        budget: int | None,
        rng: np.random.Generator,
    ) -> tuple[State, dict[int, dict[str, Array]]]:
        """Add up the clients' ``counts``, and send all of them the sum (server)."""
        total = np.zeros((self.rows, self.buckets), np.int64)
        for summary in summaries.values():
            total += summary["counts"]
        pooled = {"counts": np.minimum(total, MOST).astype(np.int32)}
        return state, dict.fromkeys(summaries, pooled)

    def weigh(
        self, signals: Signals, received: Arrays, memory: Memory, rng: np.random.Generator
    ) -> tuple[dict[str, Array], Memory]:
        """Tell the client's weight (client).

        Returns
        -------
        summary : dict
            ``weight``, the sum over samples of 1/density, 0 from a client of fewer than
            ``minimum_group``, and how many ``samples`` there are.
        memory : dict
            The ``density`` (samples,) of each, in this round.
        """
        small = signals.samples < self.minimum_group
        found = np.ones(signals.samples) if small else density(memory["hashed"], received["counts"])
        weight = 0.0 if small else float((1 / found).sum())
        summary = {"weight": np.array([weight]), "samples": np.array([signals.samples])}
        return summary, memory | {"density": found}

    def share(
        self,
        state: State,
        summaries: Mapping[int, Arrays],
        budget: int | None,
        rng: np.random.Generator,
    ) -> tuple[State, dict[int, dict[str, Array]]]:
        """Divide the budget in proportion to the clients' weights (server).

        Returns
        -------
        state : dict
            What `remarks` tells of, beside the shared space.
        replies : dict
            Per client ``quota``, how many samples it is to draw.
        """
        clients = sorted(summaries)
        held = np.array([int(summaries[client]["samples"][0]) for client in clients])
        weights = np.array([float(summaries[client]["weight"][0]) for client in clients])
        # no density is below 1, so that no client weighs more than it has samples
        quotas = by_weight(budget or 0, np.minimum(weights, held), held)
        small = (held > 0) & (held < self.minimum_group)
        replies = {client: {"quota": quotas[[i]]} for i, client in enumerate(clients)}
        return state | {"small_clients": np.array([small.sum()])}, replies

    def remarks(self, state: State) -> tuple[str, ...]:
        """Tell which clients were not compared."""
        return of_small_clients(state)

    def pick(
        self, signals: Signals, received: Arrays, memory: Memory, rng: np.random.Generator
    ) -> Coreset:
        """Draw ``received["quota"]`` samples, the next always by 1/density (client)."""
        # The first of exponential clocks that run at rates 1/s is each with probability
        # proportional to its rate, and so is the first of those that are left.
        rings = rng.exponential(size=signals.samples) * memory["density"]
        return Coreset.of(np.argsort(rings, kind="stable")[: int(received["quota"][0])])
