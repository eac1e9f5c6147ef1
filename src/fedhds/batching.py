"""Batches of token sequences: filled by tokens, padded on either side, masked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

TOKENS: Mapping[str, int] = {"cpu": 768, "cuda": 16384}
"""How many tokens a forward pass takes at a time, by the device's type.

On a CPU a few hundred more or less change little, and what a pass needs of memory grows with
them (``docs/log.md``). The number for a GPU is a guess.
"""


@dataclass(frozen=True)
class Batch:
    """Padded sequences; ``mask`` is 1 on real tokens (both int64, shape (batch, longest))."""

    tokens: torch.Tensor
    mask: torch.Tensor


def by_length(lengths: Sequence[int], size: int, device: torch.device) -> list[list[int]]:
    """Group positions of similar length, longest first, so that little is padded.

    A batch has at most ``size`` sequences, and no more than a forward pass on ``device``
    takes at a time, padding included; but always one. Longest first shows at once whether
    the largest batch fits into memory. Ties keep their order, so the result depends on the
    lengths alone.
    """
    order = sorted(range(len(lengths)), key=lambda position: (-lengths[position], position))
    batches: list[list[int]] = []
    for position in order:
        if batches and len(batches[-1]) < most(lengths[batches[-1][0]], size, device.type):
            batches[-1].append(position)
        else:
            batches.append([position])
    return batches


def most(length: int, size: int, device: str) -> int:
    """Return how many sequences of ``length`` tokens a batch takes at most, up to ``size``."""
    return min(size, max(1, TOKENS.get(device, TOKENS["cpu"]) // max(1, length)))


def pad(
    sequences: Sequence[Sequence[int]], filler: int, device: torch.device, left: bool = False
) -> Batch:
    """Pad ``sequences`` with the token ``filler`` to a rectangle on ``device``.

    On the right (the default) padding cannot reach a real token, for a causal model never
    looks ahead and numbers its positions from the left. Generation needs it on the left.

    Raises
    ------
    ValueError
        If a sequence is empty: it would have no last token.
    """
    if not all(len(sequence) for sequence in sequences):
        raise ValueError("a sequence without tokens cannot be given to a model")
    longest = max(len(sequence) for sequence in sequences)
    tokens, mask = [], []
    for sequence in sequences:
        padding = longest - len(sequence)
        before, after = (padding, 0) if left else (0, padding)
        tokens.append([filler] * before + list(sequence) + [filler] * after)
        mask.append([0] * before + [1] * len(sequence) + [0] * after)
    return Batch(torch.tensor(tokens, device=device), torch.tensor(mask, device=device))
