import pytest
from small import rows, write_rows

from fedhds.data.loading import counts, load_examples
from fedhds.data.presets.p3 import P3
from fedhds.types import Examples, UserError

TASKS = ("sums", "words", "colours")


@pytest.fixture
def train(tmp_path):
    samples = [sample for task in TASKS for sample in rows(task, 3)]
    return str(write_rows(tmp_path / "train.jsonl", samples))


def load(train, unseen=None, holdout=()):
    return load_examples(P3(), train, unseen, {}, holdout, seed=0)


def tasks(part: Examples) -> list[str]:
    return [example.task for example in part.examples]


def test_without_unseen_data_there_are_none(train):
    found = load(train)
    assert tasks(found[0]) == [task for task in TASKS for _ in range(3)]
    assert found[1] == Examples([])


def test_each_source_counts_what_it_left_out(train, tmp_path):
    odd = [{"instruction": "a", "output": None}, {"instruction": "a", "output": ""}]
    unseen = write_rows(tmp_path / "unseen.jsonl", [*rows("new", 2), *odd])
    found = load(train, str(unseen))
    assert (found[0].dropped, found[0].noted) == ({}, {})
    assert (found[1].dropped, found[1].noted) == ({"no_output": 1}, {"empty_response": 1})


def test_held_out_tasks_are_unseen_and_both_keep_their_order(train):
    found = load(train, holdout=["colours", "sums"])
    assert tasks(found[0]) == ["words"] * 3
    assert tasks(found[1]) == ["sums"] * 3 + ["colours"] * 3


def test_what_reading_and_mapping_leave_out_is_counted_together(tmp_path):
    class Picky(P3):
        def read(self, train, unseen, seed):
            found, none = super().read(train, unseen, seed)
            return type(found)(found.rows, {"not_drawn": 4}), none

    samples = [*rows("sums", 1), {"instruction": "a", "output": None}]
    path = str(write_rows(tmp_path / "train.jsonl", samples))
    found, _ = load_examples(Picky(), path, None, {}, (), 0)
    assert found.dropped == {"not_drawn": 4, "no_output": 1}


@pytest.mark.parametrize(
    ("holdout", "sentence"),
    [
        (["sum"], "data.holdout: there is no task 'sum'; did you mean 'sums'?"),
        (["x"], "data.holdout: there is no task 'x'; there are: sums, words, colours"),
        (["sums", "x"], "data.holdout: there is no task 'x'; there are: sums, words, colours"),
        (TASKS, "data.holdout: all tasks are held out, so none is left to train on"),
    ],
)
def test_holdout_that_cannot_be_is_one_sentence(train, holdout, sentence):
    with pytest.raises(UserError) as raised:
        load(train, holdout=holdout)
    assert str(raised.value) == sentence


def test_nothing_to_train_on_is_refused_with_the_counts(tmp_path):
    path = str(write_rows(tmp_path / "a.jsonl", [{"instruction": "a", "output": None}] * 2))
    with pytest.raises(UserError) as raised:
        load(path)
    assert str(raised.value) == f"data.train: nothing is left of '{path}' (2 no_output)"


def test_counts_are_written_for_people():
    assert counts({"no_output": 2, "not_drawn": 1}) == "2 no_output, 1 not_drawn"
    assert counts({}) == "no rows"
