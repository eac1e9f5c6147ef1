"""Classification: naming the kind of some words, the mood or the tense of a sentence."""

from __future__ import annotations

import numpy as np

from fedhds.data.toy import words
from fedhds.data.toy.grammar import (
    action,
    coin,
    commas,
    pick,
    pick_many,
    plural,
    with_article,
    yes_or_no,
)
from fedhds.data.toy.task import Make, ToyTask

FAMILY = "classification"
KINDS = {
    "animal": words.ANIMALS,
    "fruit": words.FRUITS,
    "colour": words.COLOURS,
    "job": words.JOBS,
    "tool": words.TOOLS,
    "city": words.CITIES,
    "name": words.NAMES,
    "weekday": words.WEEKDAYS,
    "month": words.MONTHS,
}


def choice(first: str, second: str, unseen: bool = False) -> ToyTask:
    """Ask which of two kinds some words are of."""

    def make(rng: np.random.Generator) -> tuple[str, str]:
        kind = first if coin(rng) else second
        return commas(pick_many(rng, KINDS[kind], int(rng.integers(2, 4)))), kind

    return ToyTask(
        name=f"{FAMILY}_{first}_or_{second}",
        family=FAMILY,
        phrasings=(
            f"Do these words belong to the kind {first} or {second}?",
            f"Choose the kind of these words: {first} or {second}.",
            f"Answer {first} or {second}: what is each of the words?",
        ),
        make=make,
        unseen=unseen,
    )


def membership(kind: str, unseen: bool = False) -> ToyTask:
    """Ask whether two words are of a kind; where they are not, both are of one other kind."""
    others = [other for other in KINDS if other != kind]

    def make(rng: np.random.Generator) -> tuple[str, str]:
        member = coin(rng)
        chosen = kind if member else pick(rng, others)
        return commas(pick_many(rng, KINDS[chosen], 2)), yes_or_no(member)

    return ToyTask(
        name=f"{FAMILY}_is_{kind}",
        family=FAMILY,
        phrasings=(
            f"Is each of these words {with_article(kind)}? Answer yes or no.",
            f"Answer yes or no: are these words of the kind {kind}?",
            f"Say yes if the words are {plural(kind)}, otherwise say no.",
        ),
        make=make,
        unseen=unseen,
    )


def mood(rng: np.random.Generator) -> tuple[str, str]:
    """Make a judgement of two things and name its mood."""
    good = coin(rng)
    thing, other = pick_many(rng, words.OBJECTS + words.FRUITS, 2)
    adjective, second = pick_many(rng, words.PRAISE if good else words.BLAME, 2)
    return (
        f"The {thing} was {adjective} and the {other} was {second}.",
        "positive" if good else "negative",
    )


def tense(rng: np.random.Generator) -> tuple[str, str]:
    """Make a sentence and name its tense."""
    told, past = action(rng), coin(rng)
    return told.tell(told.past if past else told.present), "past" if past else "present"


def _labelled(name: str, phrasings: tuple[str, ...], make: Make) -> ToyTask:
    return ToyTask(f"{FAMILY}_{name}", FAMILY, phrasings, make)


TASKS = (
    choice("animal", "fruit"),
    choice("job", "tool"),
    choice("colour", "animal"),
    choice("city", "fruit"),
    choice("job", "colour"),
    choice("tool", "city"),
    choice("weekday", "month"),
    choice("name", "job"),
    membership("animal"),
    membership("fruit"),
    membership("city"),
    membership("colour"),
    _labelled(
        "mood",
        (
            "Is the judgement positive or negative?",
            "Answer positive or negative: what is the mood of the sentence?",
            "Label the opinion as positive or negative.",
        ),
        mood,
    ),
    _labelled(
        "tense",
        (
            "Is the sentence in the past or in the present?",
            "Answer past or present: when does this happen?",
            "Name the tense of the sentence, past or present.",
        ),
        tense,
    ),
    choice("colour", "city", unseen=True),
    choice("animal", "tool", unseen=True),
    membership("tool", unseen=True),
)
