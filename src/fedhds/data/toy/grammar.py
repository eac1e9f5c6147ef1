"""Makers of words, lists, sentences and short passages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedhds.data.toy import words


def pick(rng: np.random.Generator, items: Sequence[str]) -> str:
    """Draw one item."""
    return items[int(rng.integers(len(items)))]


def pick_many(rng: np.random.Generator, items: Sequence[str], count: int) -> list[str]:
    """Draw ``count`` different items in random order."""
    return [items[index] for index in rng.permutation(len(items))[:count]]


def pick_numbers(rng: np.random.Generator, low: int, high: int, count: int) -> list[int]:
    """Draw ``count`` different integers from ``low`` to ``high``, in random order."""
    return [low + int(offset) for offset in rng.permutation(high - low + 1)[:count]]


def coin(rng: np.random.Generator) -> bool:
    """Toss a fair coin."""
    return bool(rng.integers(2))


def yes_or_no(answer: bool) -> str:
    """Spell a truth value as an answer."""
    return "yes" if answer else "no"


def commas(items: Sequence[object]) -> str:
    """Join items by commas."""
    return ", ".join(map(str, items))


def plural(noun: str) -> str:
    """Return the regular plural of a noun."""
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    return noun + "s"


def with_article(noun: str) -> str:
    """Put the indefinite article before a noun."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


@dataclass(frozen=True)
class Scene:
    """What one person saw one day, told in one sentence."""

    name: str
    job: str
    verb: str
    number: str
    colour: str
    things: str
    city: str
    weekday: str
    order: int

    def __str__(self) -> str:
        """Tell the scene in one of three orders."""
        who = f"{self.name} the {self.job}"
        what = f"{self.verb} {self.number} {self.colour} {self.things}"
        return (
            f"On {self.weekday}, {who} {what} in {self.city}.",
            f"In {self.city}, {who} {what} on {self.weekday}.",
            f"{who} {what} in {self.city} on {self.weekday}.",
        )[self.order]


def scene(
    rng: np.random.Generator,
    nouns: Sequence[str] = words.ANIMALS + words.FRUITS + words.TOOLS + words.OBJECTS,
) -> Scene:
    """Draw a scene about some of the nouns."""
    return Scene(
        name=pick(rng, words.NAMES),
        job=pick(rng, words.JOBS),
        verb=pick(rng, [past for _, _, past in words.VERBS]),
        number=pick(rng, words.NUMBER_WORDS[2:13]),
        colour=pick(rng, words.COLOURS),
        things=plural(pick(rng, nouns)),
        city=pick(rng, words.CITIES),
        weekday=pick(rng, words.WEEKDAYS),
        order=int(rng.integers(3)),
    )


@dataclass(frozen=True)
class Person:
    """Somebody whom a passage is about."""

    name: str
    job: str
    city: str
    number: str
    colour: str
    things: str

    @property
    def pronoun(self) -> str:
        """The pronoun which replaces the name at the start of a sentence."""
        return "She" if self.name in words.WOMEN else "He"

    def __str__(self) -> str:
        """Describe the person in a passage of two sentences."""
        return (
            f"{self.name} is {with_article(self.job)}. {self.pronoun} lives in {self.city} "
            f"and owns {self.number} {self.colour} {self.things}."
        )


def person(rng: np.random.Generator) -> Person:
    """Draw a person."""
    return Person(
        name=pick(rng, words.NAMES),
        job=pick(rng, words.JOBS),
        city=pick(rng, words.CITIES),
        number=pick(rng, words.NUMBER_WORDS[2:13]),
        colour=pick(rng, words.COLOURS),
        things=plural(pick(rng, words.OBJECTS + words.ANIMALS + words.TOOLS)),
    )


@dataclass(frozen=True)
class Action:
    """Somebody doing something, in either tense."""

    name: str
    base: str
    present: str
    past: str
    thing: str

    def tell(self, verb: str) -> str:
        """Say what happens with the given form of the verb."""
        return f"{self.name} {verb} the {self.thing}."


def action(rng: np.random.Generator) -> Action:
    """Draw an action."""
    base, present, past = words.VERBS[int(rng.integers(len(words.VERBS)))]
    thing = f"{pick(rng, words.COLOURS)} {pick(rng, words.OBJECTS + words.TOOLS)}"
    return Action(pick(rng, words.NAMES), base, present, past, thing)


def word_list(rng: np.random.Generator, low: int = 3, high: int = 5) -> list[str]:
    """Draw ``low`` to ``high`` different words of one kind."""
    kinds = (words.ANIMALS, words.FRUITS, words.TOOLS, words.OBJECTS, words.CITIES, words.NAMES)
    kind = kinds[int(rng.integers(len(kinds)))]
    return pick_many(rng, kind, int(rng.integers(low, high + 1)))
