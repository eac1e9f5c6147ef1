"""Asking a model about samples: the shared half of the signals that judge.

A question has the samples' texts between fences, and a few answers; what counts is how likely
the model is to begin its reply with each of them. A causal model is asked by its chat template,
if it has one, and its reply is begun with a label, so that the answer comes next whatever else
the model likes to say first; an encoder with a decoder begins to answer at once.

Samples cannot speak for the model: fences, labels and options within their texts are changed
into what is none, and names of special tokens are read as plain text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, takewhile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from fedhds.batching import Batch, by_length, pad
from fedhds.data.prompts import prompt_tokens, render_chat, tokens_of
from fedhds.models import LanguageModel, forward, inference, vocabulary
from fedhds.types import Example, Progress, UserError

SLOT = "\ue000"
"""Where a text goes into a question: a character for private use, so nobody's own."""

KEY = "model.scorer"
"""What messages call the model by."""

TRAINED = 512
"""Tokens that an encoder reads whose config does not say how many: T5 was trained on so many."""

MOST = 4096
"""Tokens that are read at most, whatever a model has positions for: one text may be a book."""

_DISARMED = (
    (re.compile("#{3,}"), "##"),
    (re.compile(r"\b(options|verdict|rating)[ \t]*:", re.IGNORECASE), r"\1"),
    (re.compile(r"^[ \t]*-[ \t]*(yes|no|[1-6])[ \t]*$", re.IGNORECASE | re.MULTILINE), r"\1"),
)
"""Fences, labels and options in a text, and what becomes of them."""


@dataclass(frozen=True)
class Question:
    """What is asked about texts, and what may be answered.

    Attributes
    ----------
    text : str
        With `SLOT` for each text, between fences of three number signs.
    label : str
        What the reply of a causal model is begun with.
    answers : tuple of tuple of str
        The spellings of each answer.
    """

    text: str
    label: str
    answers: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Frame:
    """A question in the tokens of one model.

    Attributes
    ----------
    pieces : list of list of int
        What stands before, between and after the texts.
    begun : list of int
        What the decoder of an encoder-decoder reads; empty for a causal model.
    answers : list of list of int
        What each answer may begin with; no token begins two.
    room : int
        How many tokens the texts may have together.
    """

    pieces: list[list[int]]
    begun: list[int]
    answers: list[list[int]]
    room: int


def ask(
    model: LanguageModel,
    question: Question,
    texts: Sequence[tuple[str, ...]],
    batch_size: int,
    progress: Progress,
    description: str,
) -> NDArray[np.float64]:
    """Ask a question about each sample and read how likely each answer is to come next.

    Parameters
    ----------
    texts : sequence of tuple of str
        Of each sample, one for each `SLOT`. Texts too long for the model's positions are cut
        from the right, the longest first; the question never is.
    batch_size : int
        Samples per forward pass at most; it does not change the numbers beyond rounding.

    Returns
    -------
    ndarray of float64, shape (n_samples, n_answers)
        Natural logarithms of probabilities among the whole vocabulary.

    Raises
    ------
    UserError
        If the model cannot be asked (see `frame`), or does not know its tokenizer's tokens.
    ValueError
        If a probability is not finite.
    """
    asked = frame(model, question)
    sequences, cut = _filled(asked, texts, model)
    if cut:
        progress.say(
            "warning",
            f"warning: {cut} of {len(texts)} samples are longer than the {asked.room} tokens that "
            "the scorer has room for beside its question, and are read cut",
            cut=cut,
        )
    found = np.empty((len(texts), len(asked.answers)))
    batches = by_length([len(sequence) for sequence in sequences], batch_size, model.device)
    with inference(model.model):
        for chosen in progress.track(batches, description, len(batches)):
            batch = pad([sequences[i] for i in chosen], model.filler, model.device)
            likely = _next(model, batch, asked.begun).float().log_softmax(1)
            each = [likely[:, tokens].logsumexp(1) for tokens in asked.answers]
            found[chosen] = torch.stack(each, 1).cpu().numpy()
    if not np.isfinite(found).all():
        raise ValueError("the scorer's probabilities are not finite; a wider number type may help")
    return found


def texts_of(example: Example) -> tuple[str, str]:
    """Return what is asked for, its input included, and the response."""
    return "\n\n".join(filter(None, (example.instruction, example.input))), example.output


def frame(model: LanguageModel, question: Question) -> Frame:
    """Put a question into a model's tokens.

    Raises
    ------
    UserError
        If two answers begin with the same token, no text fits beside the question, the chat
        template does not show what a user says, or no token is known that begins a reply.
    """
    tokenizer, both = model.tokenizer, model.base.config.is_encoder_decoder
    chat = tokenizer.chat_template is not None
    shown = question.text + "\n"
    if chat:
        shown = render_chat([("user", question.text)], tokenizer, KEY)
    texts = shown.split(SLOT)
    if len(texts) != question.text.count(SLOT) + 1:
        raise UserError(f"{KEY}: its chat template does not show what a user says just once")
    before = "" if both else texts[-1] + question.label
    opening, answers = _answers(tokenizer, before, question.answers)
    last = [*_tokens(texts[-1], tokenizer), *_ending(tokenizer)] if both else opening
    first = prompt_tokens(texts[:1], "chat" if chat else "plain", tokenizer)[0]
    pieces = [first, *(_tokens(text, tokenizer) for text in texts[1:-1]), last]
    begun = [_start(model), *opening] if both else []
    longest = min(model.longest or (TRAINED if both else MOST), MOST)
    taken = sum(map(len, pieces))
    if taken >= longest:
        raise UserError(f"{KEY}: it has {longest} positions, but a question alone takes {taken}")
    return Frame(pieces, begun, answers, longest - taken)


def _answers(
    tokenizer: PreTrainedTokenizerBase, before: str, answers: Sequence[Sequence[str]]
) -> tuple[list[int], list[list[int]]]:
    """Find the tokens that tell answers apart, as tokenizers join words with what is before.

    Returns
    -------
    opening : list of int
        ``before``, and what the answers have in common then: SentencePiece sets digits apart by
        a token of their own, which is no answer.
    firsts : list of list of int
        What each answer's spellings may then begin with, after a space or not, if no other
        answer does. A space by itself could begin anything.
    """
    spaces = (" ", "") if before else ("", " ")
    spelt = [
        [[_tokens(before + space + spelling, tokenizer) for spelling in answer] for space in spaces]
        for answer in answers
    ]
    places = zip(*(tokens for usual, _ in spelt for tokens in usual), strict=False)
    opening = [place[0] for place in takewhile(lambda place: len(set(place)) == 1, places)]
    size = len(opening)
    firsts = [
        {tokens[size] for tokens in chain(*forms) if tokens[:size] == opening and tokens[size:]}
        for forms in spelt
    ]
    uses = Counter(chain(*firsts))
    unusable = {token for token in uses if uses[token] > 1} | {tokenizer.unk_token_id}
    unusable |= {token for token in uses if not str(tokenizer.decode([token])).strip()}
    if not all(first - unusable for first in firsts):
        words = ", ".join(answer[0] for answer in answers)
        raise UserError(f"{KEY}: its tokenizer does not begin each of {words} with another token")
    return opening, [sorted(first - unusable) for first in firsts]


def _tokens(text: str, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Tokenise what is our own or the chat template's, whose special tokens are such."""
    return tokens_of([text], tokenizer, special=False, plain=False)[0]


def _ending(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return EOS, if the tokenizer ends texts with it, as an encoder then expects."""
    bare = tokens_of([""], tokenizer, special=True, plain=True)[0]
    return [token for token in bare[-1:] if token == tokenizer.eos_token_id]


def _start(model: LanguageModel) -> int:
    """Return the token that a decoder's reply begins with."""
    configs = model.base.config, model.base.generation_config
    said = (getattr(config, "decoder_start_token_id", None) for config in configs)
    token = next((token for token in said if token is not None), None)
    if token is None:
        raise UserError(f"{KEY}: its config names no decoder_start_token_id to begin a reply with")
    return int(token)


def _filled(
    asked: Frame, texts: Sequence[tuple[str, ...]], model: LanguageModel
) -> tuple[list[list[int]], int]:
    """Put each sample's texts into the question, as plain text; count those that are cut."""
    tokenised = [
        tokens_of(list(map(_disarmed, kind)), model.tokenizer, special=False, plain=True)
        for kind in zip(*texts, strict=True)
    ]
    sequences, cut = [], 0
    for parts in zip(*tokenised, strict=True):
        cut += sum(map(len, parts)) > asked.room
        pairs = zip(asked.pieces, [*_cut(parts, asked.room), []], strict=True)
        sequences.append(list(chain(*chain(*pairs))))
    largest = max(chain(*sequences, *asked.answers, asked.begun))
    if largest >= (known := vocabulary(model.base)):
        raise UserError(
            f"{KEY}: the tokenizer gives token {largest}, but the model has embeddings of {known}"
        )
    return sequences, cut


def _disarmed(text: str) -> str:
    """Change what could pass for the question's own."""
    for pattern, harmless in _DISARMED:
        text = pattern.sub(harmless, text)
    return text


def _cut(parts: Sequence[list[int]], room: int) -> list[list[int]]:
    """Cut parts to ``room`` tokens together, so that none that is short makes way for a long."""
    kept: dict[int, list[int]] = {}
    for place in sorted(range(len(parts)), key=lambda place: len(parts[place])):
        kept[place] = parts[place][: room // (len(parts) - len(kept))]
        room -= len(kept[place])
    return [kept[place] for place in range(len(parts))]


def _next(model: LanguageModel, batch: Batch, begun: list[int]) -> Tensor:
    """Return the logits of what comes next, shape (batch, vocabulary)."""
    if begun:
        replies = torch.tensor([begun], device=model.device).expand(len(batch.tokens), -1)
        given = {"attention_mask": batch.mask, "decoder_input_ids": replies, "use_cache": False}
        logits: Tensor = model.model(batch.tokens, **given).logits
        return logits[:, -1]
    lengths = batch.mask.sum(1)
    shortest = int(lengths.min())
    keep = batch.tokens.shape[1] - shortest + 1
    logits = forward(model.model, batch, keep).logits[:, -keep:]
    return logits[torch.arange(len(lengths), device=model.device), lengths - shortest]
