"""Tiny random models that judge samples, with tokenizers of the kinds that such models have."""

from __future__ import annotations

import string
from collections.abc import Sequence

import torch
from tiny import BOS, EOS, SPECIAL, tiny_model, tiny_tokenizer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from fedhds.models import LanguageModel
from fedhds.types import Example, Sample

CHARACTERS = [c for c in string.printable if c not in string.whitespace]
WORDS = ("yes", "Yes", "no", "No")
DIGITS = tuple("123456")
CHAT = (
    "{% for m in messages %}<|user|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def _wrapped(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    names = dict(zip(("pad_token", "bos_token", "eos_token", "unk_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, clean_up_tokenization_spaces=False, **names
    )


def byte_tokenizer(spaced: Sequence[str] = (*WORDS, *DIGITS)) -> PreTrainedTokenizerBase:
    """Byte-level BPE, as of GPT-2: answers are tokens, those of ``spaced`` with a space, too."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*SPECIAL, *alphabet])}
    merges = []
    for word in [*(f"Ġ{word}" for word in spaced), *WORDS]:
        for end in range(1, len(word)):
            merges.append((word[:end], word[end]))
            vocabulary.setdefault(word[: end + 1], len(vocabulary))
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return _wrapped(tokenizer)


def _pieces(words: Sequence[str]) -> Tokenizer:
    """SentencePiece's unigrams, where longer pieces are likelier than their characters."""
    scored = [(token, 0.0) for token in SPECIAL]
    scored += [(token, -10.0) for token in ("▁", "\n", *CHARACTERS)]
    scored += [(token, -1.0) for token in words]
    tokenizer = Tokenizer(models.Unigram(scored, unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def piece_tokenizer() -> PreTrainedTokenizerBase:
    """As of LLaMA 2: it begins with BOS, and has words with a space before but digits alone."""
    tokenizer = _pieces([*WORDS, *(f"▁{word}" for word in WORDS)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", BOS)]
    )
    return _wrapped(tokenizer)


def t5_tokenizer() -> PreTrainedTokenizerBase:
    """As of T5: it ends with EOS, and words and digits have a space before."""
    tokenizer = _pieces([f"▁{word}" for word in (*WORDS, *DIGITS)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", EOS)]
    )
    return _wrapped(tokenizer)


def word_tokenizer(words: Sequence[str] = (*WORDS, *DIGITS)) -> PreTrainedTokenizerBase:
    """Whole words, most of them unknown."""
    known = [*SPECIAL, *words, ":", "###", "Verdict", "Rating", "Options", "-"]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(known)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return _wrapped(tokenizer)


def chat_tokenizer() -> PreTrainedTokenizerBase:
    """A token a character, and a chat template with special tokens of its own."""
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens(
        {"additional_special_tokens": ["<|user|>", "<|end|>", "<|assistant|>"]}
    )
    tokenizer.chat_template = CHAT
    return tokenizer


TOKENIZERS = {
    "bytes": byte_tokenizer,
    "pieces": piece_tokenizer,
    "t5": t5_tokenizer,
    "words": word_tokenizer,
    "characters": tiny_tokenizer,
    "chat": chat_tokenizer,
}


def scorer(
    tokenizer: str | PreTrainedTokenizerBase = "characters",
    architecture: str = "llama",
    positions: int = 2048,
) -> LanguageModel:
    """Build a tiny model that has positions for a whole question."""
    reader = TOKENIZERS[tokenizer]() if isinstance(tokenizer, str) else tokenizer
    key = "n_positions" if architecture in ("gpt2", "t5") else "max_position_embeddings"
    changes = {} if architecture == "bloom" else {key: positions}
    model = tiny_model(architecture, vocab_size=len(reader), **changes)
    return LanguageModel(model, reader, torch.device("cpu"))


def judged(instruction: str, output: str, input: str = "") -> Sample:
    """Build a sample of a text, whose tokens play no part."""
    return Sample(Example(instruction, input, output, "t", (output,)), (5,), (6,))


SAMPLES = (
    judged("Name a colour.", "Red, no: blue."),
    judged("Sum up.", "", input="A fox ran over the road and came home late."),
    judged("Say yes.", "yes"),
    judged("Add 1 and 2.", "It is 3, as 1 and 2 are 3, and 3 is what they add up to."),
)
