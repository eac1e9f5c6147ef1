"""Reading: answering a question about a short passage."""

from __future__ import annotations

from functools import partial

import numpy as np

from fedhds.data.toy import words
from fedhds.data.toy.grammar import Person, coin, person, pick, pick_many, yes_or_no
from fedhds.data.toy.task import Make, ToyTask

FAMILY = "reading"
task = partial(ToyTask, family=FAMILY)


def detail(field: str) -> Make:
    """Make a passage whose answer is one of the person's properties."""

    def make(rng: np.random.Generator) -> tuple[str, str]:
        somebody = person(rng)
        return str(somebody), getattr(somebody, field)

    return make


def possession(rng: np.random.Generator) -> tuple[str, str]:
    """Tell what the person owns."""
    owner = person(rng)
    return str(owner), f"{owner.number} {owner.colour} {owner.things}"


def check(field: str, choices: tuple[str, ...], question: str) -> Make:
    """Make a passage followed by a yes-no question about one property."""

    def make(rng: np.random.Generator) -> tuple[str, str]:
        somebody: Person = person(rng)
        truth = getattr(somebody, field)
        asked = truth if coin(rng) else pick(rng, choices)
        return f"{somebody} {question.format(asked)}", yes_or_no(asked == truth)

    return make


def neighbours(rng: np.random.Generator) -> tuple[str, list[str], list[str]]:
    """Tell where two people live."""
    names, cities = pick_many(rng, words.NAMES, 2), pick_many(rng, words.CITIES, 2)
    told = " ".join(f"{name} lives in {city}." for name, city in zip(names, cities, strict=True))
    return told, names, cities


def home(rng: np.random.Generator) -> tuple[str, str]:
    """Ask where one of two people lives."""
    told, names, cities = neighbours(rng)
    index = int(rng.integers(2))
    return f"{told} {names[index]}?", cities[index]


def resident(rng: np.random.Generator) -> tuple[str, str]:
    """Ask who of two people lives in a city."""
    told, names, cities = neighbours(rng)
    index = int(rng.integers(2))
    return f"{told} {cities[index]}?", names[index]


TASKS = (
    task(
        f"{FAMILY}_name",
        phrasings=(
            "Who is the passage about?",
            "What is the name of the person in the passage?",
            "Read the passage and give the name.",
        ),
        make=detail("name"),
    ),
    task(
        f"{FAMILY}_city",
        phrasings=(
            "Where does the person live?",
            "What is the city of the person in the passage?",
            "Read the passage and give the city.",
        ),
        make=detail("city"),
    ),
    task(
        f"{FAMILY}_number",
        phrasings=(
            "How many things does the person own?",
            "What is the number of things in the passage?",
            "Read the passage and give the number.",
        ),
        make=detail("number"),
    ),
    task(
        f"{FAMILY}_colour",
        phrasings=(
            "Which colour do the things have?",
            "What is the colour of the things in the passage?",
            "Read the passage and give the colour.",
        ),
        make=detail("colour"),
    ),
    task(
        f"{FAMILY}_possession",
        phrasings=(
            "What does the person own?",
            "Read the passage and tell everything the person owns.",
            "Write down what belongs to the person.",
        ),
        make=possession,
    ),
    task(
        f"{FAMILY}_home",
        phrasings=(
            "Where does the person asked about live?",
            "Answer with the city of the person named at the end.",
            "In which city is the home of the last person?",
        ),
        make=home,
    ),
    task(
        f"{FAMILY}_resident",
        phrasings=(
            "Who lives in the city asked about?",
            "Answer with the person who lives in the city named at the end.",
            "Whose home is in the last city?",
        ),
        make=resident,
    ),
    task(
        f"{FAMILY}_check_colour",
        phrasings=(
            "Answer the question about the colour with yes or no.",
            "Is it so? Say yes or no about the colour.",
            "Read the passage and answer yes or no about the colour.",
        ),
        make=check("colour", words.COLOURS, "Are the things {}?"),
    ),
    task(
        f"{FAMILY}_check_name",
        phrasings=(
            "Answer the question about the name with yes or no.",
            "Is it so? Say yes or no about the name.",
            "Read the passage and answer yes or no about the name.",
        ),
        make=check("name", words.NAMES, "Is the name {}?"),
    ),
    task(
        f"{FAMILY}_job",
        phrasings=(
            "What work does the person do?",
            "What is the job of the person in the passage?",
            "Read the passage and give the job.",
        ),
        make=detail("job"),
        unseen=True,
    ),
    task(
        f"{FAMILY}_check_city",
        phrasings=(
            "Answer the question about the city with yes or no.",
            "Is it so? Say yes or no about the city.",
            "Read the passage and answer yes or no about the city.",
        ),
        make=check("city", words.CITIES, "Is the city {}?"),
        unseen=True,
    ),
)
