"""The keys and values of tokens that a model has read, so that it need not read them again.

Used in two ways: what all of a client's samples begin with (the template, and often the
task's definition) is read once; and an answer grows token by token.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from fedhds.models import LanguageModel

SHORTEST = 16
"""A shared beginning of fewer tokens saves less than it costs."""


@dataclass(frozen=True)
class Beginning:
    """What many sequences begin with, as a model has read it; of no tokens if there is nothing.

    Attributes
    ----------
    length : int
        Tokens.
    cache : DynamicCache or None
        Their keys and values; never changed.
    """

    length: int = 0
    cache: DynamicCache | None = None

    @classmethod
    def of(cls, model: LanguageModel, sequences: Sequence[Sequence[int]]) -> Beginning:
        """Read what all sequences begin with, leaving each at least one token of its own.

        Nothing where the adapter stands before the prompt, or where a layer of the model
        keeps something else than keys and values.
        """
        length = _shared(sequences)
        cache = DynamicCache(config=model.base.config)
        kinds = {type(layer) for layer in cache.layers} - {DynamicLayer, DynamicSlidingWindowLayer}
        if length < SHORTEST or model.virtual_tokens or kinds:
            return cls()
        tokens = torch.tensor([list(sequences[0][:length])], device=model.device)
        model.decoder(tokens, past_key_values=cache, use_cache=True)
        return cls(length, cache)

    def of_rows(self, count: int) -> DynamicCache | None:
        """Return what a batch of ``count`` sequences may add to; None of no tokens.

        It takes no memory until a layer adds its own tokens, which makes new tensors.
        """
        cache = self._copied()
        layers: Any = [] if cache is None else cache.layers
        for layer in layers:
            layer.keys = layer.keys.expand(count, -1, -1, -1)
            layer.values = layer.values.expand(count, -1, -1, -1)
        return cache

    def moved(self, steps: Tensor) -> DynamicCache | None:
        """Return a copy for a batch that is padded on the left, plain caches only.

        Row i stands ``steps[i]`` places further right, and what falls off the end it reads
        itself: so no padding lies between tokens, where windows and ALiBi would count it.
        """
        cache = self._copied()
        if cache is not None:
            places = torch.arange(self.length, device=steps.device) - steps[:, None]
            places = places.clamp(min=0)  # the mask hides what is left of the first token
            layers: Any = cache.layers
            for layer in layers:
                layer.keys = layer.keys[0][:, places].transpose(0, 1)
                layer.values = layer.values[0][:, places].transpose(0, 1)
        return cache

    def _copied(self) -> DynamicCache | None:
        if self.cache is None:
            return None
        cache = copy.copy(self.cache)
        cache.layers = [copy.copy(layer) for layer in cache.layers]
        return cache


def _shared(sequences: Sequence[Sequence[int]]) -> int:
    if len(sequences) < 2:
        return 0
    # what the first and the last in the order of their tokens share, all share
    first, last = min(map(tuple, sequences)), max(map(tuple, sequences))
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return min(sum(1 for _ in alike), min(map(len, sequences)) - 1)


class _Roomy(DynamicLayer):  # type: ignore[no-untyped-call]
    """One layer's keys and values with room to grow.

    transformers' own layer copies all that it holds for every new token.
    """

    def __init__(self, parts: Sequence[tuple[Tensor, Tensor]], length: int, room: int) -> None:
        """Stack rows of several batches, aligned at their ends, in ``length`` tokens."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.lazy_initialization(*parts[0])
        self._stores = [_stacked(tensors, length, room) for tensors in zip(*parts, strict=True)]
        self._show(length)

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Add tokens and return all there are."""
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        for store, states in zip(self._stores, (key_states, value_states), strict=True):
            store[..., start:end, :] = states
        return self._show(end)

    def reorder_cache(self, indices: Tensor) -> None:
        """Keep some rows."""
        self._stores = [store[indices] for store in self._stores]
        self._show(self.get_seq_length())

    def _show(self, length: int) -> tuple[Tensor, Tensor]:
        self.keys, self.values = (store[..., :length, :] for store in self._stores)
        return self.keys, self.values


def _stacked(tensors: Sequence[Tensor], length: int, room: int) -> Tensor:
    """Copy tensors of shape (rows, heads, tokens, width) below each other."""
    _, heads, _, width = tensors[0].shape
    rows = sum(len(tensor) for tensor in tensors)
    store = tensors[0].new_zeros(rows, heads, length + room, width)
    start = 0
    for tensor in tensors:
        own = tensor.shape[2]
        store[start : start + len(tensor), :, length - own : length] = tensor
        start += len(tensor)
    return store


def is_plain(cache: Cache) -> bool:
    """Tell whether every layer keeps the keys and values of all tokens, and so can be `joined`."""
    return all(type(layer) is DynamicLayer for layer in cache.layers)


def joined(caches: Sequence[Cache], room: int) -> DynamicCache:
    """Put the rows of several plain batches into one, aligned at their last tokens.

    ``room`` is how many more tokens each row may get.
    """
    length = max(cache.get_seq_length() for cache in caches)
    one = DynamicCache()
    layers: Any = zip(*(cache.layers for cache in caches), strict=True)
    one.layers = [_Roomy([(p.keys, p.values) for p in parts], length, room) for parts in layers]
    return one
