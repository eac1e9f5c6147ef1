"""Formats: writing the same thing in another notation."""

from __future__ import annotations

from functools import partial

import numpy as np

from fedhds.data.toy import words
from fedhds.data.toy.grammar import commas, pick, pick_many, word_list
from fedhds.data.toy.task import Make, ToyTask

FAMILY = "formats"
task = partial(ToyTask, family=FAMILY)


def separator(mark: str) -> Make:
    """Write a list with another mark between the items."""

    def make(rng: np.random.Generator) -> tuple[str, str]:
        items = word_list(rng, 3, 4)
        return commas(items), mark.join(items)

    return make


def digits(rng: np.random.Generator) -> tuple[str, str]:
    """Write number words in digits."""
    chosen = pick_many(rng, words.NUMBER_WORDS, 2)
    return commas(chosen), commas([words.NUMBER_WORDS.index(word) for word in chosen])


def number_words(rng: np.random.Generator) -> tuple[str, str]:
    """Write numbers in words."""
    chosen = pick_many(rng, words.NUMBER_WORDS, 2)
    return commas([words.NUMBER_WORDS.index(word) for word in chosen]), commas(chosen)


def surname_first(rng: np.random.Generator) -> tuple[str, str]:
    """Write a name as in an index."""
    name, surname = pick(rng, words.NAMES), pick(rng, words.SURNAMES)
    return f"{name} {surname}", f"{surname}, {name}"


def day_first(rng: np.random.Generator) -> tuple[str, str]:
    """Write a date with the day first."""
    day, month = int(rng.integers(1, 29)), pick(rng, words.MONTHS)
    return f"{month} {day}", f"{day} {month}"


def numbered(rng: np.random.Generator) -> tuple[str, str]:
    """Put a number before each item."""
    items = word_list(rng, 2, 3)
    return commas(items), " ".join(f"{place}. {item}" for place, item in enumerate(items, 1))


def enumeration(rng: np.random.Generator) -> tuple[str, str]:
    """Write a list as in a sentence."""
    *items, last = word_list(rng, 3, 4)
    return commas([*items, last]), f"{commas(items)} and {last}"


def separated(label: str, mark: str, unseen: bool = False) -> ToyTask:
    """Ask for another mark between the items."""
    return task(
        f"{FAMILY}_{label}",
        phrasings=(
            f"Write the list with {label} ({mark.strip()}) in place of commas.",
            f"Replace the commas by {label} ({mark.strip()}).",
            f"Separate the items by {label} ({mark.strip()}).",
        ),
        make=separator(mark),
        unseen=unseen,
    )


TASKS = (
    separated("hyphens", " - "),
    separated("semicolons", "; "),
    separated("arrows", " > "),
    separated("bars", " | "),
    task(
        f"{FAMILY}_digits",
        phrasings=(
            "Write the numbers in digits.",
            "Replace the number words by digits.",
            "Convert these words to digits.",
        ),
        make=digits,
    ),
    task(
        f"{FAMILY}_number_words",
        phrasings=(
            "Write the numbers in words.",
            "Replace the digits by number words.",
            "Convert these digits to words.",
        ),
        make=number_words,
    ),
    task(
        f"{FAMILY}_surname_first",
        phrasings=(
            "Write the surname first, then a comma and the first name.",
            "Convert the full name to the form used in an index.",
            "Put the surname before the first name, with a comma.",
        ),
        make=surname_first,
    ),
    task(
        f"{FAMILY}_day_first",
        phrasings=(
            "Write the date with the day before the month.",
            "Put the day first in this date.",
            "Convert the date to the order day, month.",
        ),
        make=day_first,
    ),
    task(
        f"{FAMILY}_numbered",
        phrasings=(
            "Number the items of the list.",
            "Convert the list to a numbered one.",
            "Write a number and a point before each item.",
        ),
        make=numbered,
    ),
    task(
        f"{FAMILY}_enumeration",
        phrasings=(
            "Write the list with and before the last item.",
            "Replace the last comma by and.",
            "Join the items as in a sentence, with and at the end.",
        ),
        make=enumeration,
    ),
    separated("slashes", " / ", unseen=True),
)
