"""Arithmetic: small sums, comparisons and counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from fedhds.data.toy import words
from fedhds.data.toy.grammar import commas, pick, pick_numbers, plural, yes_or_no
from fedhds.data.toy.task import Make, ToyTask

FAMILY = "arithmetic"
task = partial(ToyTask, family=FAMILY)


def addition(rng: np.random.Generator) -> tuple[str, str]:
    """Add two numbers."""
    left, right = (int(number) for number in rng.integers(1, 31, 2))
    return f"{left} and {right}", str(left + right)


def subtraction(rng: np.random.Generator) -> tuple[str, str]:
    """Take the smaller of two numbers from the larger."""
    smaller, larger = sorted(pick_numbers(rng, 1, 30, 2))
    return f"{larger} and {smaller}", str(larger - smaller)


def successor(rng: np.random.Generator) -> tuple[str, str]:
    """Name the next number."""
    number = int(rng.integers(1, 400))
    return str(number), str(number + 1)


def parity(rng: np.random.Generator) -> tuple[str, str]:
    """Say whether a number is even."""
    number = int(rng.integers(1, 400))
    return str(number), yes_or_no(number % 2 == 0)


def purchase(rng: np.random.Generator) -> tuple[str, str]:
    """Count what somebody has after two purchases."""
    before, more = (int(number) for number in rng.integers(2, 13, 2))
    name, things = pick(rng, words.NAMES), plural(pick(rng, words.FRUITS))
    return f"{name} had {before} {things} and bought {more} more.", str(before + more)


def comparison(count: int, choose: Callable[[Sequence[int]], int]) -> Make:
    """Choose one of some numbers."""

    def make(rng: np.random.Generator) -> tuple[str, str]:
        numbers = pick_numbers(rng, 1, 99, count)
        return commas(numbers), str(choose(numbers))

    return make


def extreme(
    name: str,
    adjective: str,
    count: int,
    choose: Callable[[Sequence[int]], int],
    unseen: bool = False,
) -> ToyTask:
    """Ask for the largest or smallest number."""
    return task(
        f"{FAMILY}_{name}",
        phrasings=(
            f"Which of the numbers is the {adjective}?",
            f"Copy the {adjective} number.",
            f"Choose the {adjective} of these numbers.",
        ),
        make=comparison(count, choose),
        unseen=unseen,
    )


TASKS = (
    task(
        f"{FAMILY}_addition",
        phrasings=(
            "Add the two numbers.",
            "What is the sum of the numbers?",
            "Calculate how much these two numbers make together.",
        ),
        make=addition,
    ),
    task(
        f"{FAMILY}_subtraction",
        phrasings=(
            "Subtract the second number from the first.",
            "What is the difference of the numbers?",
            "Take the second number away from the first.",
        ),
        make=subtraction,
    ),
    task(
        f"{FAMILY}_successor",
        phrasings=(
            "Which number comes next?",
            "Count one further.",
            "Add one to the number.",
        ),
        make=successor,
    ),
    task(
        f"{FAMILY}_parity",
        phrasings=(
            "Is the number even? Answer yes or no.",
            "Answer yes or no: can the number be divided by two?",
            "Say yes if the number is even, otherwise say no.",
        ),
        make=parity,
    ),
    task(
        f"{FAMILY}_purchase",
        phrasings=(
            "How many pieces of fruit are there now?",
            "How much fruit does the person have in the end?",
            "Calculate the number of pieces of fruit after the purchase.",
        ),
        make=purchase,
    ),
    extreme("larger_of_two", "larger", 2, max),
    extreme("smaller_of_two", "smaller", 2, min),
    extreme("largest_of_three", "largest", 3, max),
    extreme("smallest_of_three", "smallest", 3, min, unseen=True),
)
