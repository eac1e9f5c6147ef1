"""The toy federation is deterministic, consistent and right."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fedhds.data.toy import TASKS, generate, words
from fedhds.data.toy.grammar import plural
from fedhds.data.toy.tasks.classification import KINDS

Row = dict[str, str]


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """Give 60 samples of each task, trained on or not."""
    train, unseen = generate(60, seed=0)
    return train + unseen


def of(rows: list[Row], task: str) -> list[tuple[str, str]]:
    """Select the inputs and outputs of one task."""
    return [(row["input"], row["output"]) for row in rows if row["task"] == task]


def test_the_same_seed_gives_the_same_samples() -> None:
    assert generate(5, seed=3) == generate(5, seed=3)


def test_another_seed_gives_other_samples() -> None:
    assert generate(5, seed=3) != generate(5, seed=4)


def test_more_samples_extend_fewer() -> None:
    few, many = generate(3, seed=0)[0], generate(6, seed=0)[0]
    assert few == [row for start in range(0, len(many), 6) for row in many[start : start + 3]]


def test_there_are_enough_tasks_and_wordings() -> None:
    names = [task.name for task in TASKS]
    assert len(names) == len(set(names)) >= 60
    assert sum(task.unseen for task in TASKS) >= 12
    assert all(task.name.startswith(f"{task.family}_") for task in TASKS)
    assert all(len(set(task.phrasings)) == len(task.phrasings) >= 3 for task in TASKS)


def test_each_family_has_unseen_tasks() -> None:
    assert {task.family for task in TASKS} == {task.family for task in TASKS if task.unseen}


def test_no_wording_is_shared_by_two_tasks() -> None:
    phrasings = [phrasing for task in TASKS for phrasing in task.phrasings]
    assert len(phrasings) == len(set(phrasings))


def test_unseen_tasks_are_not_in_the_training_rows() -> None:
    train, unseen = generate(2, seed=0)
    assert {row["task"] for row in train} == {task.name for task in TASKS if not task.unseen}
    assert {row["task"] for row in unseen} == {task.name for task in TASKS if task.unseen}


def test_no_question_has_two_answers(rows: list[Row]) -> None:
    answers: dict[tuple[str, str], str] = {}
    for row in rows:
        asked = row["instruction"], row["input"]
        assert answers.setdefault(asked, row["output"]) == row["output"]


def test_no_sample_is_repeated(rows: list[Row]) -> None:
    assert len({tuple(row.values()) for row in rows}) == len(rows)


def test_samples_are_short_and_complete(rows: list[Row]) -> None:
    assert all(all(row.values()) for row in rows)
    assert all(len(f"{row['instruction']} {row['input']}".split()) <= 60 for row in rows)
    assert all(len(row["output"].split()) <= 12 for row in rows)


def test_the_kind_of_a_word_is_never_in_doubt() -> None:
    members = [word for kind in (*KINDS.values(), words.OBJECTS) for word in kind]
    assert len(members) == len(set(members))


@pytest.mark.parametrize(
    ("noun", "expected"),
    [("cherry", "cherries"), ("donkey", "donkeys"), ("fox", "foxes"), ("brush", "brushes")],
)
def test_plurals_are_regular(noun: str, expected: str) -> None:
    assert plural(noun) == expected


@pytest.mark.parametrize(
    ("task", "answer"),
    [
        ("arithmetic_addition", lambda left, right: left + right),
        ("arithmetic_subtraction", lambda left, right: left - right),
        ("arithmetic_purchase", lambda before, more: before + more),
        ("arithmetic_successor", lambda number: number + 1),
        ("arithmetic_smallest_of_three", min),
        ("arithmetic_largest_of_three", max),
    ],
)
def test_arithmetic_is_right(rows: list[Row], task: str, answer: Callable[..., int]) -> None:
    for source, output in of(rows, task):
        digits = "".join(letter if letter.isdigit() else " " for letter in source)
        assert int(output) == answer(*map(int, digits.split()))


@pytest.mark.parametrize(
    ("task", "key", "reverse"),
    [
        ("ordering_sort_numbers", int, False),
        ("ordering_sort_numbers_descending", int, True),
        ("ordering_sort_number_words", words.NUMBER_WORDS.index, False),
        ("ordering_sort_number_words_descending", words.NUMBER_WORDS.index, True),
        ("ordering_sort_weekdays", words.WEEKDAYS.index, False),
        ("ordering_alphabetical", str, False),
    ],
)
def test_sorted_lists_are_sorted(
    rows: list[Row], task: str, key: Callable[[str], str], reverse: bool
) -> None:
    for source, output in of(rows, task):
        assert output.split(", ") == sorted(source.split(", "), key=key, reverse=reverse)


@pytest.mark.parametrize(
    ("task", "index"), [("lists_first", 0), ("lists_second", 1), ("lists_last", -1)]
)
def test_items_are_taken_from_their_places(rows: list[Row], task: str, index: int) -> None:
    assert all(output == source.split(", ")[index] for source, output in of(rows, task))


def test_the_search_of_a_list_is_right(rows: list[Row]) -> None:
    for source, output in of(rows, "lists_search"):
        sought, items = source.split(": ")
        assert output == ("yes" if sought in items.split(", ") else "no")


def test_extracted_words_stand_in_the_text(rows: list[Row]) -> None:
    extracted = [row for row in rows if row["family"] == "extraction"]
    assert all(row["output"] in row["input"] for row in extracted)


def test_the_job_of_a_passage_is_the_one_told(rows: list[Row]) -> None:
    for source, output in of(rows, "reading_job"):
        assert source.split(". ")[0].split()[-1] == output
