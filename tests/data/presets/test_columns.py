"""Presets that differ in their columns alone."""

import pytest

from fedhds import registry
from fedhds.types import Example, UserError

USUAL = {"instruction": "Add", "input": "2+2", "output": "4", "task": "sums", "origin": "book"}
DOLLY = {"instruction": "Add", "context": "2+2", "response": "4", "category": "sums"}


def read(preset: str, rows: list[dict[str, str]], columns: dict[str, str]) -> list[Example]:
    return registry.load("preset", preset)().to_examples(rows, columns, "a.csv").examples


@pytest.mark.parametrize(("preset", "row"), [("p3", USUAL), ("alpaca", USUAL), ("dolly", DOLLY)])
def test_columns_become_fields_and_the_row_is_kept(preset: str, row: dict[str, str]) -> None:
    assert read(preset, [row], {}) == [Example("Add", "2+2", "4", "sums", ("4",), row)]


def test_users_columns_go_before_the_presets() -> None:
    row = {**DOLLY, "question": "Sum up", "category": None, "topic": "numbers"}
    (example,) = read("dolly", [row], {"instruction": "question", "task": "topic"})
    assert (example.instruction, example.input, example.task) == ("Sum up", "2+2", "numbers")


def test_column_of_the_preset_that_is_missing_is_named() -> None:
    sentence = (
        "data.columns.input: a.csv has no column 'context'; "
        "there are: instruction, input, output, task, origin"
    )
    with pytest.raises(UserError) as raised:
        read("dolly", [USUAL], {})
    assert str(raised.value) == sentence


def test_what_is_dropped_and_noted_is_counted() -> None:
    rows = [DOLLY, {**DOLLY, "response": None}, {**DOLLY, "response": " "}]
    found = registry.load("preset", "dolly")().to_examples(rows, {}, "a.csv")
    assert (found.dropped, found.noted) == ({"no_output": 1}, {"empty_response": 1})
