"""Ordering: sorting, reversing and moving the items of a list."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from fedhds.data.toy import words
from fedhds.data.toy.grammar import commas, pick_many, pick_numbers
from fedhds.data.toy.task import Make, ToyTask

FAMILY = "ordering"
task = partial(ToyTask, family=FAMILY)


def sorting(items: Sequence[str], count: int, descending: bool = False) -> Make:
    """Sort some of the items into the order in which they are given here."""

    def make(rng: np.random.Generator) -> tuple[str, str]:
        chosen = pick_many(rng, items, count)
        return commas(chosen), commas(sorted(chosen, key=items.index, reverse=descending))

    return make


def number_sorting(descending: bool = False) -> Make:
    """Sort three numbers of at most two digits."""

    def make(rng: np.random.Generator) -> tuple[str, str]:
        numbers = pick_numbers(rng, 1, 99, 3)
        return commas(numbers), commas(sorted(numbers, reverse=descending))

    return make


def reversal(items: Sequence[str]) -> Make:
    """Reverse a list of three or four items."""

    def make(rng: np.random.Generator) -> tuple[str, str]:
        chosen = pick_many(rng, items, int(rng.integers(3, 5)))
        return commas(chosen), commas(chosen[::-1])

    return make


def first_to_end(rng: np.random.Generator) -> tuple[str, str]:
    """Move the first of four fruits to the end."""
    first, *rest = pick_many(rng, words.FRUITS, 4)
    return commas([first, *rest]), commas([*rest, first])


def reverse(label: str, make: Make, unseen: bool = False) -> ToyTask:
    """Ask for a list in reverse."""
    return task(
        f"{FAMILY}_reverse_{label}",
        phrasings=(
            f"Reverse the list of {label}.",
            f"Write the {label} in reverse order.",
            f"List the {label} from the last one to the first one.",
        ),
        make=make,
        unseen=unseen,
    )


TASKS = (
    task(
        f"{FAMILY}_sort_numbers",
        phrasings=(
            "Sort the numbers from small to large.",
            "Put these numbers into rising order.",
            "Order the numbers, smallest first.",
        ),
        make=number_sorting(),
    ),
    task(
        f"{FAMILY}_sort_numbers_descending",
        phrasings=(
            "Sort the numbers from large to small.",
            "Put these numbers into falling order.",
            "Order the numbers, largest first.",
        ),
        make=number_sorting(descending=True),
    ),
    task(
        f"{FAMILY}_sort_number_words",
        phrasings=(
            "Sort the number words from small to large.",
            "Put these number words into rising order.",
            "Order the number words, smallest first.",
        ),
        make=sorting(words.NUMBER_WORDS, 3),
    ),
    task(
        f"{FAMILY}_sort_weekdays",
        phrasings=(
            "Sort the days as they come in a week that starts with Monday.",
            "Put these weekdays into their order, Monday first.",
            "Order the days from Monday to Sunday.",
        ),
        make=sorting(words.WEEKDAYS, 3),
    ),
    task(
        f"{FAMILY}_alphabetical",
        phrasings=(
            "Sort the animals by the alphabet.",
            "Put these animals into alphabetical order.",
            "Order the animals from A to Z.",
        ),
        make=sorting(sorted(words.ANIMALS), 3),
    ),
    task(
        f"{FAMILY}_first_to_end",
        phrasings=(
            "Move the first fruit to the end of the list.",
            "Put the first fruit behind all the others.",
            "Rewrite the list so that its first fruit comes last.",
        ),
        make=first_to_end,
    ),
    reverse("animals", reversal(words.ANIMALS)),
    reverse("names", reversal(words.NAMES)),
    reverse("cities", reversal(words.CITIES)),
    reverse("tools", reversal(words.TOOLS), unseen=True),
    task(
        f"{FAMILY}_sort_number_words_descending",
        phrasings=(
            "Sort the number words from large to small.",
            "Put these number words into falling order.",
            "Order the number words, largest first.",
        ),
        make=sorting(words.NUMBER_WORDS, 3, descending=True),
        unseen=True,
    ),
)
