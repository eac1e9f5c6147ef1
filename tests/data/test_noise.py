import copy
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedhds.data.noise import corrupt, duplicate
from fedhds.types import Example, UserError

Make = Callable[..., Example]


def build(answers: list[list[str]]) -> list[list[Example]]:
    """Give each client examples with these answers; instructions are all different."""
    return [
        [Example(f"{client}.{n}", "", text, "t", (text,), {"n": n}) for n, text in enumerate(texts)]
        for client, texts in enumerate(answers)
    ]


federations = st.lists(st.lists(st.sampled_from(["a", "A ", "b", "c"]), max_size=8), max_size=5)
shares = st.floats(0, 1)


@given(federations, shares)
def test_duplicates_are_distinct_examples_of_others(answers: list[list[str]], share: float) -> None:
    clients = build(answers)
    for index, (old, new) in enumerate(zip(clients, duplicate(clients, share, 1), strict=True)):
        copies = new[len(old) :]
        others = sum(map(len, clients)) - len(old)
        assert new[: len(old)] == old
        assert len(copies) == min(round(share * len(old)), others)
        assert len({example.instruction for example in copies}) == len(copies)
        assert not any(example.instruction.startswith(f"{index}.") for example in copies)
        assert all(example.row["duplicate"] is True for example in copies)


@given(federations, shares)
def test_share_of_answers_becomes_wrong(answers: list[list[str]], share: float) -> None:
    clients = build([*answers, ["x", "y", "z", "w"]])  # so that a wrong answer always exists
    for old, new in zip(clients, corrupt(clients, share, 1), strict=True):
        assert [example.instruction for example in new] == [example.instruction for example in old]
        pairs = list(zip(old, new, strict=True))
        marked = [(before, after) for before, after in pairs if "corrupted" in after.row]
        assert len(marked) == round(share * len(old))
        for before, after in marked:
            assert before.output.strip().casefold() != after.output.strip().casefold()
            assert after.references == (after.output,)
            assert after.row == {**before.row, "corrupted": True}
        assert all(b == a for b, a in pairs if "corrupted" not in a.row)


def test_answers_move_within_a_client_where_they_can() -> None:
    # Of six answers no more than three are equal, so each can go to a different one.
    clients = build([["yes", "yes", "yes", "no", "no", "maybe"], ["other"]])
    for seed in range(20):
        new = corrupt(clients, 1.0, seed)[0]
        assert Counter(e.output for e in new) == Counter(e.output for e in clients[0])


@pytest.mark.parametrize(("share", "count"), [(1.0, 3), (0.34, 1)])
def test_client_of_equal_answers_borrows_wrong_ones(share: float, count: int) -> None:
    new = corrupt(build([["Yes", "yes", " YES"], ["other", "x", "y"]]), share, 1)[0]
    wrong = [example.output for example in new if "corrupted" in example.row]
    assert len(wrong) == count
    assert set(wrong) <= {"other", "x", "y"}


def test_answer_that_is_accepted_anyway_is_not_wrong() -> None:
    both = Example("q", "", "4", "t", ("4", "four"))
    same = Example("r", "", "Four", "t", ("Four",))
    other = Example("s", "", "5", "t", ("5",))
    for seed in range(20):
        first = corrupt([[both, same], [other]], 0.5, seed)[0]
        assert [e.output for e in first if "corrupted" in e.row] == ["5"]


def test_no_wrong_answer_anywhere_is_refused() -> None:
    with pytest.raises(UserError, match="all examples have the same answer"):
        corrupt(build([["yes"], ["Yes "]]), 1.0, 1)


@pytest.mark.parametrize("noise", [duplicate, corrupt])
def test_noise_is_repeatable_and_leaves_its_input(
    noise: Callable[[list[list[Example]], float, int], list[list[Example]]],
) -> None:
    clients = build([list("abcdefgh"), list("ijklmnop")])
    before = copy.deepcopy(clients)
    assert noise(clients, 0.5, 1) == noise(clients, 0.5, 1)
    assert noise(clients, 0.5, 1) != noise(clients, 0.5, 2)
    assert clients == before
    assert noise(clients, 0.0, 1) == clients
