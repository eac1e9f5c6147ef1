"""Rewriting: changing one thing about a sentence and keeping the rest."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from fedhds.data.toy import words
from fedhds.data.toy.grammar import action, pick, pick_many, scene, with_article
from fedhds.data.toy.task import Make, ToyTask

FAMILY = "rewriting"
task = partial(ToyTask, family=FAMILY)


def past(rng: np.random.Generator) -> tuple[str, str]:
    """Put a sentence into the past."""
    told = action(rng)
    return told.tell(told.present), told.tell(told.past)


def present(rng: np.random.Generator) -> tuple[str, str]:
    """Put a sentence into the present."""
    told = action(rng)
    return told.tell(told.past), told.tell(told.present)


def negation(rng: np.random.Generator) -> tuple[str, str]:
    """Negate a sentence."""
    told = action(rng)
    return told.tell(told.present), told.tell(f"does not {told.base}")


def question(rng: np.random.Generator) -> tuple[str, str]:
    """Turn a sentence into a question."""
    told = action(rng)
    return told.tell(told.present), f"Does {told.name} {told.base} the {told.thing}?"


def opposite(rng: np.random.Generator) -> tuple[str, str]:
    """Replace the adjective by its opposite."""
    noun, adjective = pick(rng, words.ANIMALS), pick(rng, words.ADJECTIVES)
    start = f"The {noun} of {pick(rng, words.NAMES)} is"
    return f"{start} {adjective}.", f"{start} {words.OPPOSITE[adjective]}."


def pronoun(rng: np.random.Generator) -> tuple[str, str]:
    """Replace the name by the pronoun."""
    told = action(rng)
    start = "She" if told.name in words.WOMEN else "He"
    sentence = told.tell(told.past)
    return sentence, sentence.replace(told.name, start)


def without_first(rng: np.random.Generator) -> tuple[str, str]:
    """Leave out the first word."""
    parts = str(scene(rng)).replace(",", "").rstrip(".").split()[:5]
    return " ".join(parts), " ".join(parts[1:])


def without_last(rng: np.random.Generator) -> tuple[str, str]:
    """Leave out the last word."""
    parts = str(scene(rng)).replace(",", "").rstrip(".").split()[:5]
    return " ".join(parts), " ".join(parts[:-1])


def replacement(kind: Sequence[str], frame: str) -> Make:
    """Replace the word of a kind in the frame by another one, given before the sentence."""

    def make(rng: np.random.Generator) -> tuple[str, str]:
        old, new = pick_many(rng, kind, 2)
        rest = {"name": pick(rng, words.NAMES), "thing": pick(rng, words.OBJECTS)}
        before, after = (frame.format(word=word, **rest) for word in (old, new))
        return f"{new}: {before}", after

    return make


def replace(label: str, kind: Sequence[str], frame: str, unseen: bool = False) -> ToyTask:
    """Ask to put another word of a kind into a sentence."""
    return task(
        f"{FAMILY}_replace_{label}",
        phrasings=(
            f"Rewrite the sentence with the {label} given before it.",
            f"Replace the {label} in the sentence by the one before the colon.",
            f"Change the {label} of the sentence to the given one.",
        ),
        make=replacement(kind, frame),
        unseen=unseen,
    )


TASKS = (
    task(
        f"{FAMILY}_past",
        phrasings=(
            "Rewrite the sentence in the past.",
            "Put this sentence into the past tense.",
            "Say that this happened yesterday, using the past tense.",
        ),
        make=past,
    ),
    task(
        f"{FAMILY}_present",
        phrasings=(
            "Rewrite the sentence in the present.",
            "Put this sentence into the present tense.",
            "Say that this happens now, using the present tense.",
        ),
        make=present,
    ),
    task(
        f"{FAMILY}_negation",
        phrasings=(
            "Make the sentence negative.",
            "Rewrite the sentence so that it says the contrary, using not.",
            "Deny the sentence with does not.",
        ),
        make=negation,
    ),
    task(
        f"{FAMILY}_question",
        phrasings=(
            "Turn the sentence into a question.",
            "Ask whether the sentence is true, starting with Does.",
            "Rewrite this statement as a question.",
        ),
        make=question,
    ),
    task(
        f"{FAMILY}_opposite",
        phrasings=(
            "Replace the last word by its opposite.",
            "Rewrite the sentence with the opposite adjective.",
            "Say the opposite by changing the adjective.",
        ),
        make=opposite,
    ),
    task(
        f"{FAMILY}_pronoun",
        phrasings=(
            "Replace the name by She or He.",
            "Rewrite the sentence with a pronoun in place of the name.",
            "Use She or He for the person in the sentence.",
        ),
        make=pronoun,
    ),
    task(
        f"{FAMILY}_without_first",
        phrasings=(
            "Remove the first word and keep the rest.",
            "Rewrite the text without its first word.",
            "Leave out the first word.",
        ),
        make=without_first,
    ),
    replace("name", words.NAMES, "{word} has a new {thing}."),
    replace("colour", words.COLOURS, "The {thing} of {name} is {word}."),
    replace("animal", words.ANIMALS, "{name} saw the {word} near the {thing}."),
    replace("job", [with_article(job) for job in words.JOBS], "{name} is {word} with a {thing}."),
    replace("city", words.CITIES, "{name} found a {thing} in {word}.", unseen=True),
    task(
        f"{FAMILY}_without_last",
        phrasings=(
            "Remove the last word and keep the rest.",
            "Rewrite the text without its last word.",
            "Leave out the last word.",
        ),
        make=without_last,
        unseen=True,
    ),
)
