from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from formats import write_split, write_task

from fedhds.data.presets.natural_instructions import NaturalInstructions
from fedhds.evaluation.rouge_l import score
from fedhds.types import Rows, UserError

PRESET = NaturalInstructions()


def write(folder: Path, train: Mapping[str, Sequence[str]], unseen: Mapping[str, Sequence[str]]):
    """Write a repository of tasks with these inputs."""
    write_split(folder, "train", list(train))
    write_split(folder, "test", list(unseen))
    for name, inputs in {**train, **unseen}.items():
        write_task(folder, name, inputs)


def read(folder: Path, seed: int = 0) -> tuple[Rows, Rows]:
    return PRESET.read(str(folder), None, seed)


def inputs(count: int) -> list[str]:
    return [f"question {n}" for n in range(count)]


# 20 %, rounded down: 20 -> 4, 24 -> 4.8, 29 -> 5.8; below 20 the task is skipped.
@pytest.mark.parametrize(
    ("count", "drawn", "dropped"),
    [
        (20, 4, {"not_drawn": 16}),
        (24, 4, {"not_drawn": 20}),
        (29, 5, {"not_drawn": 24}),
        (19, 0, {"task_too_small": 19}),
    ],
)
def test_a_fifth_of_each_training_task_is_drawn(tmp_path, count, drawn, dropped):
    write(tmp_path, {"task1_a": inputs(count)}, {})
    train, _ = read(tmp_path)
    assert len({row["id"] for row in train.rows}) == len(train.rows) == drawn
    assert train.dropped == dropped


# At least 20, or 2 % rounded down where that is more: 1000 -> 20, 1099 -> 21.98.
@pytest.mark.parametrize(
    ("count", "drawn"), [(7, 7), (20, 20), (25, 20), (1000, 20), (1050, 21), (1099, 21)]
)
def test_unseen_tasks_give_twenty_or_two_percent(tmp_path, count, drawn):
    write(tmp_path, {}, {"task9_z": inputs(count)})
    _, unseen = read(tmp_path)
    assert len({row["id"] for row in unseen.rows}) == len(unseen.rows) == drawn
    assert sum(unseen.dropped.values()) == count - drawn


def test_long_inputs_are_left_out_of_both_before_anything_is_drawn(tmp_path):
    long, longest = "x" * 1024, "x" * 1023
    write(tmp_path, {"a": [*[longest] * 20, long], "b": [*inputs(19), long]}, {"z": [long, "y"]})
    train, unseen = read(tmp_path)
    assert [row["input"] for row in train.rows] == [longest] * 4
    assert train.dropped == {"input_too_long": 2, "not_drawn": 16, "task_too_small": 19}
    assert [row["input"] for row in unseen.rows] == ["y"]
    assert unseen.dropped == {"input_too_long": 1}


def test_instance_becomes_an_example_with_all_its_answers(tmp_path):
    write(tmp_path, {}, {"task9_z": ["question 0"]})
    _, unseen = read(tmp_path)
    (example,) = PRESET.to_examples(unseen.rows, {}, "here").examples
    assert (example.instruction, example.input) == ("Do task9_z.", "question 0")
    assert (example.task, example.row["id"]) == ("task9_z", "task9_z-0")
    assert (example.output, example.references) == ("0", ("0", "or this"))
    assert score("or this", example.references) == 1.0


def test_draws_depend_on_the_seed_and_on_no_other_task(tmp_path):
    tasks = {"a": inputs(100), "b": inputs(100)}
    write(tmp_path / "one", tasks, {"z": inputs(100)})
    write(tmp_path / "more", {"c": inputs(50), **tasks}, {"y": inputs(3), "z": inputs(100)})
    one, more = read(tmp_path / "one"), read(tmp_path / "more")
    for few, many in zip(one, more, strict=True):
        assert few.rows == [row for row in many.rows if row["task"] in "abz"]
    assert read(tmp_path / "one") == one
    assert read(tmp_path / "one", seed=1)[0].rows != one[0].rows
    chosen = [{row["input"] for row in one[0].rows if row["task"] == task} for task in "ab"]
    assert chosen[0] != chosen[1]


@pytest.mark.parametrize(
    "missing",
    ["splits/default/train_tasks.txt", "splits/default/test_tasks.txt", "tasks/task1_a.json"],
)
def test_missing_file_is_named(tmp_path, missing):
    write(tmp_path, {"task1_a": inputs(20)}, {"task9_z": inputs(3)})
    (tmp_path / missing).unlink()
    with pytest.raises(UserError, match="which the repository of Natural Instructions") as raised:
        read(tmp_path)
    assert str(raised.value).startswith(f"data.train: there is no file '{tmp_path / missing}', ")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"\xff", "cannot be read"),
        (b"[]", "is no task"),
        (b'{"Definition": ["a"]}', "is no task"),
        (b'{"Definition": [], "Instances": []}', "is no task"),
        (b'{"Definition": "a", "Instances": []}', "is no task"),
        (b'{"Definition": ["a"], "Instances": [1]}', "is no task"),
    ],
)
def test_file_that_is_no_task_is_named(tmp_path, content, problem):
    write(tmp_path, {"a": []}, {})
    path = tmp_path / "tasks" / "a.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=problem) as raised:
        read(tmp_path)
    assert str(raised.value).startswith(f"data.train: '{path}' ")
