"""Lists: choosing, counting, adding and removing items."""

from __future__ import annotations

from functools import partial

import numpy as np

from fedhds.data.toy import words
from fedhds.data.toy.grammar import coin, commas, pick, pick_many, word_list, yes_or_no
from fedhds.data.toy.task import Make, ToyTask

FAMILY = "lists"
task = partial(ToyTask, family=FAMILY)


def item(index: int) -> Make:
    """Choose the item at an index."""

    def make(rng: np.random.Generator) -> tuple[str, str]:
        items = word_list(rng)
        return commas(items), items[index]

    return make


def part(chosen: slice) -> Make:
    """Choose a part of a list of four or five."""

    def make(rng: np.random.Generator) -> tuple[str, str]:
        items = word_list(rng, 4, 5)
        return commas(items), commas(items[chosen])

    return make


def count(rng: np.random.Generator) -> tuple[str, str]:
    """Count the items."""
    items = word_list(rng, 2, 6)
    return commas(items), words.NUMBER_WORDS[len(items)]


def addition(rng: np.random.Generator) -> tuple[str, str]:
    """Add an item at the end."""
    *items, new = word_list(rng, 3, 5)
    return f"{new}: {commas(items)}", commas([*items, new])


def removal(rng: np.random.Generator) -> tuple[str, str]:
    """Remove an item."""
    items = word_list(rng, 3, 4)
    removed = pick(rng, items)
    return f"{removed}: {commas(items)}", commas([item for item in items if item != removed])


def search(rng: np.random.Generator) -> tuple[str, str]:
    """Say whether a word is in the list."""
    *items, absent = word_list(rng, 4, 5)
    present = coin(rng)
    sought = pick(rng, items) if present else absent
    return f"{sought}: {commas(items)}", yes_or_no(present)


def stranger(rng: np.random.Generator) -> tuple[str, str]:
    """Find the only item which is not an animal."""
    odd = pick(rng, words.FRUITS + words.TOOLS + words.CITIES)
    items = [odd, *pick_many(rng, words.ANIMALS, 3)]
    return commas(pick_many(rng, items, 4)), odd


def at(place: str, index: int, unseen: bool = False) -> ToyTask:
    """Ask for the item at a place."""
    return task(
        f"{FAMILY}_{place}",
        phrasings=(
            f"Copy the {place} item of the list.",
            f"Which item is the {place} one in the list?",
            f"Write down the {place} item.",
        ),
        make=item(index),
        unseen=unseen,
    )


def pair(place: str, chosen: slice, unseen: bool = False) -> ToyTask:
    """Ask for two items next to each other."""
    return task(
        f"{FAMILY}_{place}_two",
        phrasings=(
            f"Copy the {place} two items of the list.",
            f"Which items are the {place} two in the list?",
            f"Write down the {place} two items.",
        ),
        make=part(chosen),
        unseen=unseen,
    )


TASKS = (
    at("first", 0),
    at("third", 2),
    at("last", -1),
    pair("last", slice(-2, None)),
    task(
        f"{FAMILY}_count",
        phrasings=(
            "How many items are in the list? Answer in a word.",
            "Count the items of the list, in a word.",
            "Write the length of the list as a word.",
        ),
        make=count,
    ),
    task(
        f"{FAMILY}_add",
        phrasings=(
            "Add the word before the colon to the end of the list.",
            "Append the given word to the list.",
            "Write the list with the first word added at its end.",
        ),
        make=addition,
    ),
    task(
        f"{FAMILY}_remove",
        phrasings=(
            "Remove the word before the colon from the list.",
            "Write the list without the given word.",
            "Leave the given word out of the list.",
        ),
        make=removal,
    ),
    task(
        f"{FAMILY}_search",
        phrasings=(
            "Is the word before the colon in the list? Answer yes or no.",
            "Answer yes or no: does the list contain the given word?",
            "Say yes if the given word is in the list, otherwise say no.",
        ),
        make=search,
    ),
    task(
        f"{FAMILY}_stranger",
        phrasings=(
            "Which item is not an animal?",
            "Copy the only item that is no animal.",
            "Find the item that does not belong to the animals.",
        ),
        make=stranger,
    ),
    at("second", 1, unseen=True),
    pair("first", slice(2), unseen=True),
)
