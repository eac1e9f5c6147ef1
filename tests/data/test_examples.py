from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedhds.data.examples import to_examples
from fedhds.types import Example, UserError

ROW = {"instruction": "Add", "input": "2+2", "output": "4", "task": "sums", "origin": "book"}


def test_row_becomes_an_example_and_keeps_every_column() -> None:
    examples, dropped, noted = to_examples([ROW], {}, "a.csv")
    assert examples == [Example("Add", "2+2", "4", "sums", ("4",), ROW)]
    assert not dropped
    assert not noted


def test_columns_can_have_other_names() -> None:
    rows = [{"question": "Add", "answer": "4", "kind": "sums"}]
    columns = {"instruction": "question", "output": "answer", "task": "kind"}
    (example,), _, _ = to_examples(rows, columns, "a.csv")
    assert (example.instruction, example.output, example.task) == ("Add", "4", "sums")


@pytest.mark.parametrize(
    ("output", "references"),
    [
        ("4", ("4",)),
        (4, ("4",)),
        (0.5, ("0.5",)),
        (False, ("False",)),
        (["4", "four"], ("4", "four")),
        ([None, 4], ("4",)),
    ],
)
def test_output_may_be_text_a_number_or_several(output: Any, references: tuple[str, ...]) -> None:
    (example,), _, _ = to_examples([{**ROW, "output": output}], {}, "a.csv")
    assert example.references == references
    assert example.output == references[0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"instruction": None}, "no_instruction"),
        ({"instruction": " \n", "input": "\t"}, "no_instruction"),
        ({"instruction": "", "input": None}, "no_instruction"),
        ({"output": None}, "no_output"),
        ({"output": []}, "no_output"),
        ({"output": [None]}, "no_output"),
    ],
)
def test_unusable_row_is_dropped_and_counted(change: dict[str, Any], reason: str) -> None:
    examples, dropped, _ = to_examples([ROW, {**ROW, **change}], {}, "a.csv")
    assert len(examples) == 1
    assert dropped == {reason: 1}


def test_row_without_a_column_that_others_have_is_dropped() -> None:
    rows = [ROW, {"input": "2+2", "output": "4"}, {"instruction": "Add"}]
    examples, dropped, _ = to_examples(rows, {}, "a.csv")
    assert len(examples) == 1
    assert dropped == {"no_instruction": 1, "no_output": 1}


def test_blank_instruction_with_an_input_is_kept() -> None:
    (example,), dropped, _ = to_examples([{**ROW, "instruction": ""}], {}, "a.csv")
    assert example.input == "2+2"
    assert not dropped


def test_empty_response_is_kept_and_noted() -> None:
    examples, dropped, noted = to_examples([ROW, {**ROW, "output": ""}], {}, "a.csv")
    assert [example.output for example in examples] == ["4", ""]
    assert not dropped
    assert noted == {"empty_response": 1}


def test_absent_input_and_task_are_empty() -> None:
    (example,), _, _ = to_examples([{"instruction": "Add", "output": "4"}], {}, "a.csv")
    assert (example.input, example.task) == ("", "")


@pytest.mark.parametrize(
    ("columns", "field"),
    [
        ({"instruction": "question"}, "instruction"),
        ({"output": "question"}, "output"),
        ({"input": "question"}, "input"),
        ({"task": "question"}, "task"),
    ],
)
def test_column_that_no_row_has_is_named(columns: dict[str, str], field: str) -> None:
    message = (
        f"data.columns.{field}: a.csv has no column 'question'; "
        "there are: instruction, input, output, task, origin"
    )
    with pytest.raises(UserError, match=message):
        to_examples([ROW], columns, "a.csv")


@pytest.mark.parametrize(
    ("field", "value"), [("instruction", ["a"]), ("task", {"a": 1}), ("output", [["a"]])]
)
def test_value_that_is_not_text_is_named(field: str, value: Any) -> None:
    with pytest.raises(UserError, match=f"a.csv row 2: the {field} is a (list|dict), not text"):
        to_examples([ROW, {**ROW, field: value}], {}, "a.csv")


@given(st.text(st.characters(categories=["L", "Cs"]), min_size=1))
def test_lone_surrogates_become_encodable(text: str) -> None:
    row = {"instruction": "Say " + text, "output": [text], "more": {text: [text]}}
    (example,), _, _ = to_examples([row], {}, "a.csv")
    for kept in (example.instruction, *example.references, *example.row["more"]):
        kept.encode("utf-8")
        assert ("\ufffd" in kept) == any(0xD800 <= ord(letter) <= 0xDFFF for letter in text)
