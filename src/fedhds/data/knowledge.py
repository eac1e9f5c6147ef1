"""Public knowledge in front of a client's samples, for what reads them in its light.

Source: Zhang et al., "RECOST: External Knowledge Guided Data-efficient Instruction Tuning",
arXiv 2402.17355 (Findings of ACL 2024): five retrieved items, examples or paragraphs, in context
Deviations: the paper's body was not available, so all else is RECONSTRUCTED, and ours: that an
item is written as a sample is, that the most similar stands next to the question, and what is
left out where there is no room.

The base is public and read on every client, so that no question leaves it.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice

from transformers import PreTrainedTokenizerBase

from fedhds.data.examples import text_of, to_examples, without_surrogates
from fedhds.data.files import Row
from fedhds.data.loading import counts
from fedhds.data.prompts import encode_whole
from fedhds.data.retrieval import retrieve
from fedhds.data.sources import read_source
from fedhds.types import Example, Examples, Sample, UserError

KEY = "selection.knowledge"

Tokens = tuple[int, ...]


@dataclass(frozen=True)
class WithKnowledge:
    """Samples with knowledge in front of their prompts, and what happened on the way.

    Attributes
    ----------
    readings : tuple of tuples of Sample
        Each client's, one for each of its samples, in their order. A sample that nothing was
        found for, or that has no room for it, is as it was.
    dropped : mapping of str to int
        Rows of the base that were left out, by reason.
    counts : mapping of str to int
        ``samples``; ``without`` (samples as they were); ``copies`` (finds passed over as they
        repeat a sample); ``too_long`` (finds that had no room).
    """

    readings: tuple[tuple[Sample, ...], ...]
    dropped: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        """Tell what happened in a sentence, for people."""
        number = self.counts
        return (
            f"{number['without']} of {number['samples']} samples are read without knowledge; "
            f"{number['copies']} items that repeat a sample were passed over, and "
            f"{number['too_long']} left out as a prompt had no room for them"
            + (f"; of the knowledge were left out: {counts(self.dropped)}" if self.dropped else "")
        )


def read_with_knowledge(
    clients: Sequence[Sequence[Sample]],
    base: str,
    prompt: str,
    tokenizer: PreTrainedTokenizerBase,
    longest: int,
) -> WithKnowledge:
    """Put what a public base knows in front of each client's samples.

    Parameters
    ----------
    clients : sequence of sequences of Sample
        Each client's samples in the tokens of ``tokenizer``. What one finds does not depend
        on the others, nor on its other samples.
    base : str
        As of `read_knowledge`.
    prompt : str
        How examples are written, one of `fedhds.data.prompts.PROMPTS`.
    longest : int
        The most tokens of a reading, response included.

    Raises
    ------
    UserError
        As of `read_knowledge`.
    """
    knowledge = read_knowledge(base)
    samples = list(chain.from_iterable(clients))
    asked = [_question(sample.example) for sample in samples]
    found, copies = retrieve(asked, [_question(item) for item in knowledge.examples])
    places = sorted(set(chain.from_iterable(found)))
    items = in_tokens([knowledge.examples[place] for place in places], prompt, tokenizer)
    tokens = dict(zip(places, items, strict=True))
    fronts = [[tokens[place] for place in some] for some in found]
    readings, too_long = with_knowledge(samples, fronts, tokenizer.bos_token_id, longest)
    without = sum(a is b for a, b in zip(samples, readings, strict=True))
    each = iter(readings)
    return WithKnowledge(
        tuple(tuple(islice(each, len(client))) for client in clients),
        knowledge.dropped,
        {"samples": len(samples), "without": without, "copies": copies, "too_long": too_long},
    )


def read_knowledge(base: str) -> Examples:
    """Read a public base of examples, or of paragraphs.

    Parameters
    ----------
    base : str
        A file, a folder or a hub data set (see `read_source`) with the columns
        ``instruction``, ``output`` and perhaps ``input``, or else ``text``.

    Returns
    -------
    examples : Examples
        A paragraph is an example that has an output alone. Left out are ``duplicate`` rows,
        rows with ``no_text``, and those that `to_examples` leaves out.

    Raises
    ------
    UserError
        If it cannot be read, has other columns or nothing is left of it.
    """
    rows, where = read_source(base, KEY), f"{KEY}: '{base}'"
    columns = dict.fromkeys(column for row in rows for column in row)
    if {"instruction", "output"} <= columns.keys():
        found, dropped, _ = to_examples(rows, {}, where)
        examples = [example for example in found if example.output.strip()]
        dropped["no_output"] += len(found) - len(examples)
    elif "text" in columns:
        examples = _paragraphs(rows, where)
        dropped = Counter(no_text=len(rows) - len(examples))
    else:
        raise UserError(
            f"{where} has neither the columns 'instruction' and 'output' nor 'text'; "
            f"there are: {', '.join(map(str, columns))}"
        )
    if not examples:
        raise UserError(f"{where}: nothing is left of it ({counts(dropped)})")
    unique: dict[tuple[str, ...], Example] = {}
    for example in examples:
        unique.setdefault((example.instruction, example.input, example.output), example)
    copies = Counter(duplicate=len(examples) - len(unique))
    return Examples(list(unique.values()), +(dropped + copies))


def _paragraphs(rows: Sequence[Row], where: str) -> list[Example]:
    """Make examples without a question of the rows' column ``text``, but for blank ones."""
    texts = [
        text_of(without_surrogates(row.get("text")), "text", f"{where} row {number}")
        for number, row in enumerate(rows, start=1)
    ]
    return [Example("", "", text, "", (text,)) for text in texts if text.strip()]


def _is_paragraph(example: Example) -> bool:
    return not (example.instruction or example.input)


def _question(example: Example) -> str:
    """Return what is compared: instruction and input, or the paragraph."""
    if _is_paragraph(example):
        return example.output
    return f"{example.instruction}\n{example.input}"


def in_tokens(
    items: Sequence[Example], prompt: str, tokenizer: PreTrainedTokenizerBase
) -> list[Tokens]:
    """Write examples as samples are written, answer included, and paragraphs as they are.

    They are without BOS, as they stand within a text. Instead of its EOS, after which a model
    may forget, an item ends in a blank line; in ``chat`` EOS ends an example's turn and stays.
    """
    blank_line = tuple(tokenizer("\n\n", add_special_tokens=False)["input_ids"])
    paragraphs = any(map(_is_paragraph, items))  # then all are
    style = "plain" if paragraphs else prompt
    written = []
    for item in encode_whole(items, style, tokenizer, sys.maxsize)[0]:
        head = () if paragraphs else _apart(item.prompt, tokenizer.bos_token_id)[1]
        end = item.response[-1:] if style == "chat" else blank_line
        written.append((*head, *item.response[:-1], *end))
    return written


def with_knowledge(
    samples: Sequence[Sample], fronts: Sequence[Sequence[Tokens]], bos: int | None, longest: int
) -> tuple[list[Sample], int]:
    """Put items in front of samples, whose own tokens stay as they are.

    Parameters
    ----------
    samples : sequence of Sample
    fronts : sequence of sequences of tuple of int
        Each sample's items in tokens, the most similar first; that stands last, next to the
        sample's own prompt. An item for which there is no room any more is left out, and less
        similar ones for which there is are not.
    bos : int or None
        The token that stays in front of all where a prompt begins with it.
    longest : int
        The most tokens of a reading, response included; a sample that is longer stays whole.

    Returns
    -------
    readings : list of Sample
        In the order of ``samples``; a sample without any item is the same object.
    too_long : int
        How many items had no room.
    """
    readings, too_long = [], 0
    for sample, front in zip(samples, fronts, strict=True):
        room, kept = longest - sample.length, []
        for item in front:
            if len(item) <= room:
                room -= len(item)
                kept.append(item)
        too_long += len(front) - len(kept)
        begin, own = _apart(sample.prompt, bos)
        prompt = (*begin, *chain.from_iterable(reversed(kept)), *own)
        readings.append(replace(sample, prompt=prompt) if kept else sample)
    return readings, too_long


def _apart(prompt: Tokens, bos: int | None) -> tuple[Tokens, Tokens]:
    """Take BOS off a prompt that begins with it."""
    begin = int(prompt[:1] == (bos,))
    return prompt[:begin], prompt[begin:]
