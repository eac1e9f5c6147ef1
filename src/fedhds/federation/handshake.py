"""What server and sites of a deployment must have alike, compared as digests before any round.

A site with another base model, tokenizer or prompt would train an adapter of something else, and
nothing would fail. Digests are of what a thing *does*, where that can be told, and not of its
files: a model in other shards, or loaded in other numbers, is the same model.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from transformers import PreTrainedTokenizerBase

from fedhds.data.prompts import encode_all
from fedhds.federation.messages import KINDS, BadMessage
from fedhds.losses import predicted
from fedhds.pretrained import Pretrained, weight_files
from fedhds.types import Array, Arrays, ArraySpec, Example, Schema, SelectionMethod

WIRE_VERSION = 1
"""To be raised when a message means something else though its table stays."""

THINGS = {
    "base_model": "base model",
    "tokenizer": "tokenizer",
    "prompt": "prompt",
    "label_mask": "label mask",
    "wire": "wire version",
}
"""What is compared, with what people call it."""

DIGESTS: Schema = {name: ArraySpec("uint8", (32,)) for name in THINGS}

PROBES = (
    Example("Translate to German.", "The house  is old.\n", "Das Haus ist alt.", "", ()),
    Example("¿Cuántos años tiene? 年齢は？", "", " 42 </s> <|endoftext|>", "", ()),
)
"""Examples that a tokenizer or a prompt that differs is likely to write otherwise."""


def handshake(
    source: Pretrained,
    tokenizer: PreTrainedTokenizerBase,
    prompt: str,
    max_length: int,
    adapter: Schema,
    method: SelectionMethod,
) -> dict[str, Array]:
    """Digest what must be alike.

    Parameters
    ----------
    source : Pretrained
        Where the base model is.
    prompt, max_length
        How examples become tokens.
    adapter : Schema
        What travels of an adapter.
    method : SelectionMethod
        Its exchanges are part of the wire.

    Returns
    -------
    dict of str to ndarray of uint8, shape (32,)
        By the names in `THINGS`.
    """
    samples, _ = encode_all(PROBES, prompt, tokenizer, max_length)
    learnt = [(sample.response, predicted(sample)) for sample in samples]
    steps = [(exchange.summary, exchange.reply) for exchange in method.steps]
    said: dict[str, Any] = {
        "base_model": weights_digest(weight_files(source)),
        "tokenizer": _tokenizer(tokenizer),
        "prompt": (max_length, [sample.prompt for sample in samples]),
        "label_mask": learnt,
        "wire": (WIRE_VERSION, KINDS, sorted(adapter.items()), steps),
    }
    return {
        name: np.frombuffer(sha256(repr(value).encode()).digest(), np.uint8)
        for name, value in said.items()
    }


def check_handshake(theirs: Arrays, own: Arrays) -> None:
    """Refuse a server that has something else.

    Raises
    ------
    BadMessage
        Naming all that differs.
    """
    differing = [
        what for name, what in THINGS.items() if not np.array_equal(theirs.get(name, ()), own[name])
    ]
    if differing:
        raise BadMessage(f"this site has another {' and another '.join(differing)} than the server")


@lru_cache(maxsize=4)
def weights_digest(paths: tuple[Path, ...]) -> str:
    """Digest the tensors of safetensors files by name, however they are spread over files."""
    where: dict[str, Path] = {}
    for path in paths:
        with safe_open(path, "pt") as file:
            where |= dict.fromkeys(file.keys(), path)
    digest = sha256()
    for name in sorted(where):
        with safe_open(where[name], "pt") as file:
            tensor = file.get_tensor(name)
        digest.update(repr((name, str(tensor.dtype), tuple(tensor.shape))).encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def _tokenizer(tokenizer: PreTrainedTokenizerBase) -> Sequence[Any]:
    """Return what makes a tokenizer: its tokens, its template, and what it makes of the probes."""
    texts = [part for probe in PROBES for part in (probe.instruction, probe.input, probe.output)]
    tokens = [tokenizer(text)["input_ids"] for text in texts]
    special = sorted((key, str(value)) for key, value in tokenizer.special_tokens_map.items())
    return sorted(tokenizer.get_vocab().items()), special, tokenizer.chat_template, tokens
