from typing import Any

import pytest

from fedhds.data.presets.messages import Messages
from fedhds.types import Example, Examples, UserError

SYSTEM = {"role": "system", "content": "Be brief."}
ASK = {"role": "user", "content": "2+2?"}
ANSWER = {"role": "assistant", "content": "4"}


def read(*conversations: Any, **columns: str) -> Examples:
    rows = [{"messages": messages, "task": "sums"} for messages in conversations]
    return Messages().to_examples(rows, columns, "a.jsonl")


def test_lone_question_is_the_instruction() -> None:
    (example,) = read([ASK, ANSWER]).examples
    row = {"messages": [ASK, ANSWER], "task": "sums"}
    assert example == Example("2+2?", "", "4", "sums", ("4",), row, (("user", "2+2?"),))


def test_several_turns_become_paragraphs_and_the_last_answer_is_learnt() -> None:
    again = [{"role": "user", "content": "And 3+3?"}, {"role": "assistant", "content": "6"}]
    (example,) = read([SYSTEM, ASK, ANSWER, *again]).examples
    assert example.output == "6"
    assert example.instruction == (
        "System: Be brief.\n\nUser: 2+2?\n\nAssistant: 4\n\nUser: And 3+3?"
    )
    assert example.conversation == (
        ("system", "Be brief."),
        ("user", "2+2?"),
        ("assistant", "4"),
        ("user", "And 3+3?"),
    )


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        (None, "no_output"),
        ([], "no_output"),
        ([ASK], "no_output"),
        ([ANSWER], "no_instruction"),
        ([{"role": "user", "content": " \n"}, ANSWER], "no_instruction"),
        (["2+2?", ANSWER], "unknown_message"),
        ([{"from": "human", "value": "2+2?"}, ANSWER], "unknown_message"),
        ([ASK, {"role": "assistant", "content": None}], "unknown_message"),
        ([{"role": "user", "content": [{"type": "text"}]}, ANSWER], "unknown_message"),
    ],
)
def test_unusable_conversation_is_dropped_and_counted(messages: Any, reason: str) -> None:
    found = read([ASK, ANSWER], messages)
    assert (len(found.examples), found.dropped, found.noted) == (1, {reason: 1}, {})


def test_odd_conversation_is_kept_and_noted() -> None:
    found = read([ASK, ANSWER, ASK], [ASK, {"role": "assistant", "content": ""}])
    assert [example.output for example in found.examples] == ["4", ""]
    assert found.noted == {"turns_after_answer": 1, "empty_response": 1}
    assert found.examples[0].conversation == (("user", "2+2?"),)


def test_lone_surrogates_become_encodable() -> None:
    (example,) = read([{"role": "user", "content": "a\ud800"}, ANSWER]).examples
    assert example.conversation == (("user", "a\ufffd"),)
    assert example.row["messages"][0]["content"] == example.instruction == "a\ufffd"


def test_task_may_be_in_another_column() -> None:
    rows = [{"messages": [ASK, ANSWER], "topic": 3}]
    (example,) = Messages().to_examples(rows, {"task": "topic"}, "a.jsonl").examples
    assert example.task == "3"


@pytest.mark.parametrize("messages", ['[{"role": "user"}]', {"role": "user"}, 3])
def test_messages_that_are_no_list_are_a_mistake(messages: Any) -> None:
    kind = type(messages).__name__
    with pytest.raises(UserError, match=f"a.jsonl row 2: 'messages' is a {kind}, not a list"):
        read([ASK, ANSWER], messages)


@pytest.mark.parametrize(
    ("rows", "columns", "sentence"),
    [
        (
            [{"conversations": []}],
            {},
            "data.preset 'messages': a.jsonl has no column 'messages'; there are: conversations",
        ),
        (
            [{"messages": []}],
            {"task": "topic"},
            "data.columns.task: a.jsonl has no column 'topic'; there are: messages",
        ),
        (
            [{"messages": []}],
            {"output": "answer"},
            "data.columns.output: the preset 'messages' reads it from the column 'messages'",
        ),
    ],
)
def test_column_that_does_not_fit_is_named(
    rows: list[dict[str, Any]], columns: dict[str, str], sentence: str
) -> None:
    with pytest.raises(UserError) as raised:
        Messages().to_examples(rows, columns, "a.jsonl")
    assert str(raised.value) == sentence
