"""The samples whose texts together a compressor can shrink least: little is said twice.

Source: ZIP (Yin et al., "Entropy Law", arXiv 2407.06645), stages global, local coarse and fine

Every client chooses by itself and sends nothing, least of all compressed lengths, from which
one could ask what its texts hold. The ratio of a text is its bytes over its bytes as this
machine's zlib compresses them; a low one is wanted. For each batch the samples of the lowest
standing (at first their own ratios) are looked at again: each is compressed together with what
is chosen, and those with the lowest ratios are listed. From the list samples are taken one by
one, each the one with which what is chosen has the lowest ratio. No model is run and nothing is
drawn, so in every round of the same budget a client chooses the same.

Deviations from the published code (of the paper no more than the abstract was at hand): texts
are compressed, not printed records. The list is compared with all that is chosen; there, each
batch begins with nothing. What is listed and not taken goes back; there, it is lost. No sample
is taken twice, the budget is kept exactly, and any number of samples will do. A standing is
the bytes of a sample over the compressed bytes that it added when it was last looked at;
there, ratios of single samples stand beside ratios of whole sets, which are higher. It counts
only where there are more samples than the pool holds. zlib sees no copy that is 32 kB back:
so an exact copy waits until every text was taken once, whatever the ratios say. Short texts,
which zlib cannot shrink and which would all be taken first, come after all others, and before
copies.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fedhds.selection._compression import GrowingText
from fedhds.types import Array, Arrays, Coreset, Memory, SelectionMethod, Signals

SEPARATOR = b"\n"


@dataclass(frozen=True)
class Zip(SelectionMethod):
    """Choose samples whose texts have a low compression ratio together.

    Parameters
    ----------
    pool : int
        How many samples are looked at again for each batch (K1 in the source).
    shortlist : int
        How many of these a batch is taken from (K2).
    batch : int
        How many are taken before the next pool (K3).
    minimum_bytes : int
        Texts of less come after all others. English prose of 64 bytes is as large compressed
        as it is, so that what is shorter would look denser than any whole sample.
    """

    pool: int = 10_000
    shortlist: int = 200
    batch: int = 100
    minimum_bytes: int = 64

    budget: ClassVar[Literal["required"]] = "required"

    def __post_init__(self) -> None:
        """Check the options' ranges."""
        if self.batch < 1:
            raise ValueError("batch must be at least 1")
        if self.shortlist < self.batch:
            raise ValueError(f"shortlist must be at least the batch, which is {self.batch}")
        if self.pool < self.shortlist:
            raise ValueError(f"pool must be at least the shortlist, which is {self.shortlist}")
        if self.minimum_bytes < 0:
            raise ValueError("minimum_bytes must be at least 0")

    def needs(self) -> tuple[str, ...]:
        """Need the samples' texts."""
        return ("text",)

    def pick(
        self, signals: Signals, received: Arrays, memory: Memory, rng: np.random.Generator
    ) -> Coreset:
        """Choose ``received["quota"]`` of the client's samples; ``rng`` is not used."""
        texts, quota = signals.arrays["text"], int(received["quota"][0])
        taken: list[int] = []
        chosen = GrowingText()
        for tier in tiers(texts, self.minimum_bytes):
            if len(taken) == quota:
                break
            taken += self._take(texts, tier, quota - len(taken), chosen)
        return Coreset.of(taken)

    def _take(
        self, texts: Array, tier: Sequence[int], wanted: int, chosen: GrowingText
    ) -> list[int]:
        """Take as many of a tier's samples as are wanted, adding them to what is chosen."""
        if len(tier) <= wanted:  # there is nothing to choose
            for index in tier:
                chosen.append(texts[index] + SEPARATOR)
            return list(tier)
        left, taken = np.array(tier), list[int]()
        standing, _ = ratios(chosen, texts[left])
        while len(taken) < wanted:
            pool = lowest(standing, self.pool)
            standing[pool], together = ratios(chosen, texts[left[pool]])
            listed = left[pool[lowest(together, self.shortlist)]]
            batch = one_by_one(chosen, texts, listed, min(self.batch, wanted - len(taken)))
            taken += batch
            kept = ~np.isin(left, batch)
            left, standing = left[kept], standing[kept]
        return taken


def tiers(texts: Array, minimum: int) -> list[list[int]]:
    """Split samples into those to take first, those to take next, and so on.

    Every text comes once before any comes again, and each time those of less than ``minimum``
    bytes come after the others.
    """
    seen, found = Counter[bytes](), defaultdict[tuple[int, bool], list[int]](list)
    for index, text in enumerate(texts):
        found[seen[text], len(text) < minimum].append(index)
        seen[text] += 1
    return [found[key] for key in sorted(found)]


def ratios(chosen: GrowingText, texts: Array) -> tuple[Array, Array]:
    """Compress what is chosen with each of some texts.

    Returns
    -------
    added : ndarray of float64, shape (n_texts,)
        Each text's bytes over the compressed bytes that it adds.
    together : ndarray of float64, shape (n_texts,)
        The bytes of both over their compressed bytes.
    """
    lengths = np.array([len(text) for text in texts])
    sizes = np.array([chosen.compressed_with(text) for text in texts])
    # more text may even take fewer bytes, where zlib then divides it otherwise
    added = np.maximum(1, sizes - chosen.compressed_with(b""))
    return lengths / added, (chosen.length + lengths) / sizes


def lowest(values: Array, count: int) -> Array:
    """Return the positions of the ``count`` lowest values or of all, ascending."""
    return np.sort(np.argsort(values, kind="stable")[:count])


def one_by_one(chosen: GrowingText, texts: Array, candidates: Array, count: int) -> list[int]:
    """Take ``count`` candidates, each the one with which what is chosen has the lowest ratio."""
    left, taken = candidates.tolist(), list[int]()
    for _ in range(count):
        _, together = ratios(chosen, texts[left])
        taken.append(left.pop(int(np.argmin(together))))
        chosen.append(texts[taken[-1]] + SEPARATOR)
    return taken
