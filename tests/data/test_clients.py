from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedhds.data.clients import build_clients, split_validation
from fedhds.data.partition.iid import IidPartition
from fedhds.data.partition.task import TaskPartition
from fedhds.types import ClientData, Example, Sample, UserError

Make = Callable[..., Example]


def encode(examples: list[Example]) -> tuple[list[Sample], int]:
    """Give every example two tokens; the output "long" does not fit."""
    kept = [example for example in examples if example.output != "long"]
    return [Sample(example, (1,), (2,)) for example in kept], len(examples) - len(kept)


def build(examples: list[Example], **changes: Any) -> tuple[list[ClientData], dict[str, int]]:
    options: dict[str, Any] = {
        "per_client": None,
        "duplicates": 0.0,
        "corrupted": 0.0,
        "validation": 0.0,
    }
    options |= {"partition": TaskPartition(), "encode": encode, "seed": 1}
    clients, dropped = build_clients(examples, **{**options, **changes})
    return clients, dict(dropped)


def outputs(samples: tuple[Sample, ...]) -> list[str]:
    return [sample.example.output for sample in samples]


@given(st.integers(0, 60), st.floats(0, 0.5))
def test_validation_takes_its_share_and_keeps_the_order(count: int, share: float) -> None:
    samples = [Sample(Example("", "", str(n), "", ()), (n,), (n,)) for n in range(count)]
    train, validation = split_validation(samples, share, 1, 0)
    expected = max(1, round(share * count)) if share > 0 and count >= 10 else 0
    assert len(validation) == expected
    assert sorted([*train, *validation], key=lambda sample: sample.prompt) == samples
    for part in (train, validation):
        assert list(part) == sorted(part, key=lambda sample: sample.prompt)


def test_validation_differs_between_clients_but_not_between_calls() -> None:
    samples = [Sample(Example("", "", str(n), "", ()), (n,), (n,)) for n in range(100)]
    assert split_validation(samples, 0.2, 1, 0) == split_validation(samples, 0.2, 1, 0)
    assert split_validation(samples, 0.2, 1, 0) != split_validation(samples, 0.2, 1, 1)


def test_examples_reach_their_client_in_order(make: Make) -> None:
    examples = [make(output, task=task) for output, task in [("1", "b"), ("2", "a"), ("3", "b")]]
    clients, dropped = build(examples)
    assert [(client.name, outputs(client.train)) for client in clients] == [
        ("a", ["2"]),
        ("b", ["1", "3"]),
    ]
    assert dropped == {}


def test_clients_are_drawn_down_to_per_client(make: Make) -> None:
    examples = [
        make(f"{n:02d}", task=task) for task, size in [("a", 30), ("b", 4)] for n in range(size)
    ]
    (a, b), dropped = build(examples, per_client=5)
    assert (len(a.train), len(b.train)) == (5, 4)
    assert outputs(a.train) == sorted(outputs(a.train))
    assert outputs(a.train) != ["00", "01", "02", "03", "04"]
    assert dropped == {"over_per_client": 25}


def test_cut_away_responses_are_counted_and_empty_clients_stay(make: Make) -> None:
    clients, dropped = build([make("long", task="a"), make("1", task="b"), make("long", task="b")])
    assert [(client.name, len(client.train)) for client in clients] == [("a", 0), ("b", 1)]
    assert dropped == {"response_cut_away": 2}


def test_all_clients_are_encoded_at_once(make: Make) -> None:
    given: list[int] = []

    def encode_counted(examples: list[Example]) -> tuple[list[Sample], int]:
        given.append(len(examples))
        return encode(examples)

    answers = [("1", "a"), ("long", "b"), ("2", "b"), ("long", "c"), ("3", "c"), ("long", "c")]
    examples = [make(output, task=task) for output, task in answers]
    clients, dropped = build(examples, encode=encode_counted)
    assert given == [6]
    assert [outputs(client.train) for client in clients] == [["1"], ["2"], ["3"]]
    assert dropped == {"response_cut_away": 3}


def test_noise_and_validation_are_applied(make: Make) -> None:
    examples = [make(str(n)) for n in range(40)]
    clients, _ = build(
        examples, partition=IidPartition(2), duplicates=0.5, corrupted=0.1, validation=0.2
    )
    for client in clients:
        # 20 examples and 10 copies; 3 of the 30 wrong; 6 of the 30 held out.
        assert (len(client.train), len(client.validation)) == (24, 6)
        rows = [sample.example.row for sample in (*client.train, *client.validation)]
        assert sum("duplicate" in row for row in rows) == 10
        assert sum("corrupted" in row for row in rows) == 3


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (
            ["long"] * 3,
            "data.train: nothing is left after filtering: 1 over_per_client, 2 response_cut_away",
        ),
        ([], "data.train: nothing is left after filtering: there were no examples"),
    ],
)
def test_nothing_left_is_refused(make: Make, outputs: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build([make(output) for output in outputs], per_client=2)
