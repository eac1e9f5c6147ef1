from collections.abc import Callable

import pytest

from fedhds.data.skew import summarise
from fedhds.types import Example

Make = Callable[..., Example]


def test_summary_matches_one_made_by_hand(make: Make) -> None:
    a, b = make(task="a"), make(task="b")
    clients = [("one", [a, a, a, b]), ("two", [b, b]), ("none", [])]
    # The whole is half a, half b. one: (|3/4 - 1/2| + |1/4 - 1/2|) / 2 = 1/4; two: 1/2.
    assert summarise(clients) == {
        "clients": 3,
        "empty_clients": 1,
        "samples_min": 0,
        "samples_median": 2,
        "samples_max": 4,
        "tasks_per_client": 1.5,
        "total_variation": pytest.approx(0.375),
    }


def test_equal_mixtures_have_no_distance(make: Make) -> None:
    mixture = [make(task=task) for task in "aabc"]
    assert summarise([("one", mixture), ("two", mixture * 2)])["total_variation"] == 0


def test_one_task_a_client_is_one_minus_its_share(make: Make) -> None:
    clients = [(task, [make(task=task)] * 5) for task in "abcd"]
    # Each client: (|1 - 1/4| + 3 * 1/4) / 2 = 3/4.
    assert summarise(clients)["total_variation"] == pytest.approx(0.75)


@pytest.mark.parametrize("clients", [[], [("none", [])]])
def test_nothing_is_all_zeros(clients: list[tuple[str, list[Example]]]) -> None:
    summary = summarise(clients)
    assert summary.pop("clients") == summary.pop("empty_clients") == len(clients)
    assert not any(summary.values())
