"""Coreset-Cent on features whose groups are plain to see."""

import numpy as np
import pytest

from fedhds.rng import generator
from fedhds.selection.coreset_cent import CoresetCent, _in_turn, representatives
from fedhds.types import Signals


def heaps(sizes, gap=100.0):
    """Features in well separated heaps, one heap after the other."""
    rng = generator(0, "heaps")
    parts = [rng.normal(i * gap, 1.0, (n, 8)) for i, n in enumerate(sizes)]
    return np.concatenate(parts).astype(np.float32)


def chosen(features, budget):
    return representatives(features, budget, generator(0, "test"))


# On a line: group 0 at 0, 1, 3 (centre 4/3), group 1 at 10, 11, 12, 14 (centre 11.75), and
# 50 in none. From the centres: 1 is .33 away, then 0 by 1.33, then 3 by 1.67; 12 is .25
# away, then 11 by .75, 10 by 1.75, 14 by 2.25. Group 1 is the larger and goes first.
LINE = np.array([[0, 0], [1, 0], [3, 0], [10, 0], [11, 0], [12, 0], [14, 0], [50, 0]], np.float32)
LABELS = np.array([0, 0, 0, 1, 1, 1, 1, -1])


def test_groups_give_their_nearest_in_turn_the_larger_first_and_noise_last():
    order = _in_turn(LINE, LABELS, np.ones(8))
    assert order.tolist() == [5, 1, 4, 0, 3, 2, 6, 7]


def test_centres_are_weighted_by_membership():
    # all weight of group 0 on its last point: the centre is there
    weights = np.array([0, 0, 1, 1, 1, 1, 1, 0])
    assert _in_turn(LINE, LABELS, weights)[1] == 2


@pytest.mark.parametrize("budget", [0, 1, 5, 60, 100])
def test_smaller_budgets_are_the_beginnings_of_larger_ones(budget):
    features = heaps([20, 20, 20])
    everything, _ = chosen(features, 60)
    assert sorted(everything) == list(range(60))
    assert chosen(features, budget)[0].tolist() == everything[:budget].tolist()


def test_one_of_each_group_without_a_budget():
    positions, groups = chosen(heaps([30, 30]), None)
    assert len(positions) == groups >= 2
    assert {int(position) // 30 for position in positions} == {0, 1}


def test_samples_without_any_group_count_as_one():
    for features in (np.zeros((9, 4), np.float32), heaps([1]), heaps([3])):
        positions, groups = chosen(features, None)
        assert len(positions) == 1
        assert groups <= 1
    assert "count as one" in CoresetCent().remarks({"groups": np.array([0])})[0]


def test_positions_are_the_clients_own():
    # client 4 holds the first heap and client 7 the second, and client 5 nothing
    parts = {4: heaps([30]), 5: np.zeros((0, 8), np.float32), 7: heaps([30]) + 100}
    method, rng = CoresetCent(), generator(0, "test")
    _, replies = method.choose({}, {c: {"features": p} for c, p in parts.items()}, 9, rng)
    expected, _ = representatives(np.concatenate(list(parts.values())), 9, generator(0, "test"))
    named = [c * 100 + p for c, reply in replies.items() for p in reply["positions"]]
    assert named == [400 + p if p < 30 else 700 + p - 30 for p in sorted(expected)]
    assert method.pick(Signals(30), replies[7], {}, rng).indices.tolist() == [
        *replies[7]["positions"]
    ]


def test_features_are_those_of_all_layers():
    states = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    summary, memory = CoresetCent().send(
        Signals(2, {"hidden_states": states}), {}, {}, generator(0, "test")
    )
    assert summary["features"].tolist() == states.reshape(2, 12).tolist()
    assert memory == {}
