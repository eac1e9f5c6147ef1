"""Extraction: copying one piece out of a sentence."""

from __future__ import annotations

import numpy as np

from fedhds.data.toy import words
from fedhds.data.toy.grammar import scene
from fedhds.data.toy.task import Make, ToyTask

FAMILY = "extraction"


def detail(field: str) -> Make:
    """Make a scene whose answer is one of its fields."""

    def make(rng: np.random.Generator) -> tuple[str, str]:
        told = scene(rng)
        return str(told), getattr(told, field)

    return make


def thing(nouns: tuple[str, ...]) -> Make:
    """Make a scene whose answer is what was seen, one of the nouns."""

    def make(rng: np.random.Generator) -> tuple[str, str]:
        told = scene(rng, nouns)
        return str(told), told.things

    return make


def word(index: int) -> Make:
    """Make a scene whose answer is the word at an index."""

    def make(rng: np.random.Generator) -> tuple[str, str]:
        told = str(scene(rng))
        return told, told.rstrip(".").replace(",", "").split()[index]

    return make


def kind(label: str, make: Make, unseen: bool = False) -> ToyTask:
    """Ask for the word of a kind in a sentence."""
    return ToyTask(
        name=f"{FAMILY}_{label}",
        family=FAMILY,
        phrasings=(
            f"Copy the {label} from the sentence.",
            f"Which {label} is mentioned in the sentence?",
            f"Find the {label} in this text.",
        ),
        make=make,
        unseen=unseen,
    )


def position(label: str, index: int) -> ToyTask:
    """Ask for the word at a place of a sentence."""
    return ToyTask(
        name=f"{FAMILY}_{label}_word",
        family=FAMILY,
        phrasings=(
            f"Copy the {label} word of the sentence.",
            f"Which word is the {label} one in the sentence?",
            f"Write down the {label} word of this text.",
        ),
        make=word(index),
    )


TASKS = (
    kind("name", detail("name")),
    kind("city", detail("city")),
    kind("colour", detail("colour")),
    kind("weekday", detail("weekday")),
    kind("number", detail("number")),
    kind("animal", thing(words.ANIMALS)),
    kind("tool", thing(words.TOOLS)),
    position("first", 0),
    position("second", 1),
    position("last", -1),
    kind("job", detail("job"), unseen=True),
    kind("fruit", thing(words.FRUITS), unseen=True),
)
