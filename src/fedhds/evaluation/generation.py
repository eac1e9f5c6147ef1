"""Greedy answers, the same at any batch size."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad as pad_left
from transformers import Cache

from fedhds.batching import by_length, pad
from fedhds.key_values import Beginning, is_plain, joined
from fedhds.models import LanguageModel, inference
from fedhds.types import Progress

LEAVING = 0.25
"""Rows leave a batch once this share of them has ended: each time, all others are copied."""


@dataclass(frozen=True)
class Rows:
    """Answers that are being written side by side.

    Attributes
    ----------
    prompts : tensor of int64, shape (rows,)
        Which prompt each answers.
    tokens : tensor of int64, shape (rows,)
        The last token of each, which the model has not read yet.
    mask : tensor of int64, shape (rows, length)
        1 on what it has read, 0 on the padding before.
    cache : Cache
        The keys and values of what it has read.
    """

    prompts: Tensor
    tokens: Tensor
    mask: Tensor
    cache: Cache

    def only(self, kept: Tensor) -> Rows:
        """Keep some rows; the others' keys and values are gone."""
        if len(kept) == len(self.tokens):
            return self
        cache: Any = self.cache
        cache.reorder_cache(kept)  # the one way to select rows that every layer knows
        return Rows(self.prompts[kept], self.tokens[kept], self.mask[kept], self.cache)


def generate(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    batch_size: int,
    progress: Progress,
) -> list[str]:
    """Let the model answer every prompt, always taking the likeliest next token.

    What the model's folder says about sampling, penalties and lengths is ignored; its
    end-of-sequence tokens count beside the tokenizer's. What all prompts begin with is read
    once, and an answer that has ended takes no more part.

    Parameters
    ----------
    prompts : sequence of sequences of int
        Token ids.
    max_new_tokens : int
        Fewer where the model has no position left; none at all gives an empty answer.
    batch_size : int
        Answers at a time; it does not change them.

    Returns
    -------
    list of str
        Answers without special tokens and surrounding white space.

    Raises
    ------
    ValueError
        If a prompt alone is longer than the model allows.
    """
    answers: list[list[int]] = [[] for _ in prompts]
    batches = _batches([len(prompt) for prompt in prompts], max_new_tokens, model, batch_size)
    ends = torch.tensor(_ends(model), device=model.device)
    with inference(model.model):
        beginning = Beginning.of(model, prompts) if batches else Beginning()
        if beginning.cache is not None and not is_plain(beginning.cache):
            beginning = Beginning()  # a window has forgotten what a moved row would need
        for chosen, room in progress.track(batches, "evaluation: answers", len(batches)):
            own = {i: prompts[i][beginning.length :] for i in chosen}
            parts = []
            for together in _forward_passes(model, own):
                read = _read(model, [prompts[i] for i in together], together, beginning)
                _note(read, answers)
                parts.append(read.only(torch.nonzero(~torch.isin(read.tokens, ends))[:, 0]))
            for rows in _joined([part for part in parts if len(part.tokens)], room - 1):
                _continue(model, rows, answers, room - 1, ends)
    tokenizer: Any = model.tokenizer
    last = set(ends.tolist())
    said = [list(takewhile(lambda token: token not in last, answer)) for answer in answers]
    return [tokenizer.decode(tokens, skip_special_tokens=True).strip() for tokens in said]


def _batches(
    lengths: Sequence[int], max_new_tokens: int, model: LanguageModel, size: int
) -> list[tuple[list[int], int]]:
    """Group prompts by how many tokens they may get, then by length.

    Each row of a batch generates equally many, so prompts near the model's last position
    go by themselves: otherwise a short answer would depend on the company it was in.
    """
    longest = model.longest
    groups: dict[int, list[int]] = defaultdict(list)
    for position, length in enumerate(lengths):
        room = max_new_tokens if longest is None else min(max_new_tokens, longest - length)
        if room < 0:
            raise ValueError(f"a prompt of {length} tokens is longer than the model's {longest}")
        groups[room].append(position)
    return [
        (chosen[start : start + size], room)
        for room, group in sorted(groups.items(), reverse=True)
        for chosen in [sorted(group, key=lambda i: (-lengths[i], i))]
        for start in range(0, len(chosen), size)
        if room > 0
    ]


def _forward_passes(
    model: LanguageModel, prompts: Mapping[int, Sequence[int]]
) -> Iterator[list[int]]:
    """Divide a batch's prompts over forward passes.

    Virtual tokens stand before the padding, where peft puts them, which shifts positions:
    there, prompts go with others of their own length.
    """
    groups: dict[int, list[int]] = defaultdict(list)
    for position, prompt in prompts.items():
        groups[len(prompt) if model.virtual_tokens else 0].append(position)
    for group in groups.values():
        lengths = [len(prompts[position]) for position in group]
        for chosen in by_length(lengths, len(group), model.device):
            yield [group[i] for i in chosen]


def _read(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    numbers: Sequence[int],
    beginning: Beginning,
) -> Rows:
    """Read some prompts after what all begin with, and choose their answers' first tokens."""
    batch = pad(prompts, model.filler, model.device, left=True)
    mask, cache = batch.mask, beginning.moved((1 - batch.mask).sum(1))
    # only peft knows how to put virtual tokens in front, and does so with the first ones alone
    whole = model.model if model.virtual_tokens else model.base
    output = _forward(model, whole, batch.tokens[:, beginning.length :], mask, cache)
    virtual = mask.new_ones(len(prompts), model.virtual_tokens)
    return Rows(
        torch.tensor(numbers, device=model.device),
        output.logits[:, -1].argmax(-1),
        torch.cat([virtual, mask], 1),
        output.past_key_values,
    )


def _continue(
    model: LanguageModel, rows: Rows, answers: list[list[int]], room: int, ends: Tensor
) -> None:
    """Write answers to their ends, or to ``room`` more tokens."""
    ended = torch.zeros_like(rows.tokens, dtype=torch.bool)
    for _ in range(room):
        mask = torch.cat([rows.mask, rows.mask.new_ones(len(rows.mask), 1)], 1)
        output = _forward(model, model.base, rows.tokens[:, None], mask, rows.cache)
        rows = Rows(rows.prompts, output.logits[:, -1].argmax(-1), mask, output.past_key_values)
        _note(rows, answers)
        ended |= torch.isin(rows.tokens, ends)
        share = ended.float().mean()
        if share == 1:
            return
        if share >= LEAVING:
            kept = torch.nonzero(~ended)[:, 0]
            rows, ended = rows.only(kept), ended[kept]


def _forward(
    model: LanguageModel, module: nn.Module, tokens: Tensor, mask: Tensor, cache: Cache | None
) -> Any:
    """Run new tokens after those in the cache, with logits of the last one alone if possible."""
    known = inspect.signature(model.base.forward).parameters
    options: dict[str, Any] = {"logits_to_keep": 1} if "logits_to_keep" in known else {}
    if "position_ids" in known and module is model.base:
        # left to itself a model would count the padding
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        options["position_ids"] = positions[:, -tokens.shape[1] :]
    return module(tokens, attention_mask=mask, past_key_values=cache, use_cache=True, **options)


def _note(rows: Rows, answers: list[list[int]]) -> None:
    """Add each row's last token to its answer; what comes after an end is cut off later."""
    for number, token in zip(rows.prompts.tolist(), rows.tokens.tolist(), strict=True):
        answers[number].append(token)


def _joined(parts: Sequence[Rows], room: int) -> list[Rows]:
    """Put what was read in several passes into one batch, where the model's cache allows it."""
    if not parts or not all(is_plain(part.cache) for part in parts):
        return list(parts)
    longest = max(part.mask.shape[1] for part in parts)
    masks = [pad_left(part.mask, (longest - part.mask.shape[1], 0)) for part in parts]
    return [
        Rows(
            torch.cat([part.prompts for part in parts]),
            torch.cat([part.tokens for part in parts]),
            torch.cat(masks),
            joined([part.cache for part in parts], room),
        )
    ]


def _ends(model: LanguageModel) -> list[int]:
    """Collect the tokens that end an answer: the tokenizer's and the model's own."""
    own: Any = model.base.generation_config
    ids = (own.eos_token_id if own is not None else None) or []
    return sorted({int(model.tokenizer.eos_token_id), *([ids] if isinstance(ids, int) else ids)})
