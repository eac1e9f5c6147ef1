"""Greedy answers, the same at any batch size."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from typing import Any

from transformers import GenerationConfig

from fedhds.batching import by_length, pad
from fedhds.models import LanguageModel, inference
from fedhds.types import Progress


def generate(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    batch_size: int,
    progress: Progress,
) -> list[str]:
    """Let the model answer every prompt, always taking the likeliest next token.

    What the model's folder says about sampling, penalties and lengths is ignored; its
    end-of-sequence tokens count beside the tokenizer's.

    Parameters
    ----------
    prompts : sequence of sequences of int
        Token ids.
    max_new_tokens : int
        Fewer where the model has no position left; none at all gives an empty answer.
    batch_size : int
        Prompts at a time; it does not change the answers.

    Returns
    -------
    list of str
        Answers without special tokens and surrounding white space.

    Raises
    ------
    ValueError
        If a prompt alone is longer than the model allows.
    """
    adapted: Any = model.model
    tokenizer: Any = model.tokenizer
    ends = _ends(model)
    answers = [""] * len(prompts)
    lengths = [len(prompt) for prompt in prompts]
    batches = _batches(lengths, max_new_tokens, model, batch_size)
    with inference(model.model):
        for chosen, room in progress.track(batches, "evaluation: answers", len(batches)):
            batch = pad([prompts[i] for i in chosen], model.filler, model.device, left=True)
            with _greedy(model, room, ends) as settings:
                rows = adapted.generate(
                    input_ids=batch.tokens, attention_mask=batch.mask, generation_config=settings
                )
            for i, row in zip(chosen, rows[:, batch.tokens.shape[1] :].tolist(), strict=True):
                answer = list(takewhile(lambda token: token not in ends, row))
                answers[i] = tokenizer.decode(answer, skip_special_tokens=True).strip()
    return answers


def _batches(
    lengths: Sequence[int], max_new_tokens: int, model: LanguageModel, size: int
) -> list[tuple[list[int], int]]:
    """Group prompts by how many tokens they may get, then by length.

    Each row of a batch generates equally many, so prompts near the model's last position
    go by themselves: otherwise a short answer would depend on the company it was in. So
    would one with virtual tokens, for peft puts these before the padding: there, prompts
    go with others of their own length.
    """
    longest, unpadded = model.longest, model.virtual_tokens > 0
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for position, length in enumerate(lengths):
        room = max_new_tokens if longest is None else min(max_new_tokens, longest - length)
        if room < 0:
            raise ValueError(f"a prompt of {length} tokens is longer than the model's {longest}")
        groups[room, length if unpadded else 0].append(position)
    return [
        ([group[i] for i in chosen], room)
        for (room, _), group in sorted(groups.items(), reverse=True)
        for chosen in by_length([lengths[i] for i in group], size)
        if room > 0
    ]


def _ends(model: LanguageModel) -> set[int]:
    """Collect the tokens that end an answer: the tokenizer's and the model's own."""
    own: Any = model.base.generation_config
    ids = (own.eos_token_id if own is not None else None) or []
    return {int(model.tokenizer.eos_token_id), *([ids] if isinstance(ids, int) else ids)}


@contextmanager
def _greedy(model: LanguageModel, room: int, ends: set[int]) -> Iterator[GenerationConfig]:
    """Run a block with plain greedy settings in the place of the model's own.

    transformers fills what a given GenerationConfig leaves open from the model's own one,
    such as a repetition penalty, so that one has to go meanwhile.
    """
    base: Any = model.base
    before = base.generation_config
    base.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=False,
        max_new_tokens=room,
        eos_token_id=sorted(ends),
        pad_token_id=model.filler,
    )
    try:
        with warnings.catch_warnings():
            # peft drops them before virtual tokens; without padding they say nothing
            warnings.filterwarnings("ignore", "Position ids are not supported")
            yield base.generation_config
    finally:
        base.generation_config = before
