from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fedhds.rng import generator
from fedhds.selection.k_center import KCenter, farthest_first
from fedhds.types import Signals

PLACE = st.tuples(st.integers(-9, 9), st.integers(-9, 9))
POINTS = st.lists(PLACE, min_size=1, max_size=8).map(np.array)


def radius(points, chosen):
    gaps = np.linalg.norm(points[:, None] - points[list(chosen)][None], axis=2)
    return gaps.min(axis=1).max()


def test_each_choice_is_the_farthest_from_those_before():
    # mean 3.25: the nearest is 2; then 10 is 8 away and 0 is 2; then 0 is 2 away and 1 is 1
    points = np.array([[0.0], [1.0], [2.0], [10.0]])
    assert farthest_first(points, 4).tolist() == [2, 3, 0, 1]


@given(POINTS, st.integers(1, 3))
def test_nobody_is_left_more_than_twice_as_far_as_need_be(points, count):
    best = min(
        radius(points, some) for some in combinations(range(len(points)), min(count, len(points)))
    )
    assert radius(points, farthest_first(points, count)) <= 2 * best + 1e-9


@given(POINTS, st.integers(0, 9))
def test_smaller_choices_are_the_beginnings_of_larger_ones(points, count):
    everything = farthest_first(points, 99)
    assert sorted(everything) == list(range(len(points)))
    assert farthest_first(points, count).tolist() == everything[:count].tolist()


@given(POINTS, st.data())
def test_copies_come_last(points, data):
    doubled = points[data.draw(st.permutations([*range(len(points))] * 2))]
    different = len(np.unique(points, axis=0))
    first = doubled[farthest_first(doubled, different)]
    assert len(np.unique(first, axis=0)) == different


def test_of_equally_far_points_the_first_is_taken():
    assert farthest_first(np.full((5, 3), 0.1), 3).tolist() == [0, 1, 2]
    corners = np.array([[0.0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
    assert farthest_first(corners, 2).tolist() == [0, 1]


def test_clients_share_of_the_budget_covers_all_its_topics():
    # five topics of eight samples each, a tenth of a topic's own length off: two of a topic are
    # nearer to each other than two of different ones
    rng = generator(0, "topics")
    topics = np.tile(np.arange(5), 8)
    states = rng.normal(size=(5, 2, 3, 16))[topics] + 0.1 * rng.normal(size=(40, 2, 3, 16))
    signals = Signals(40, {"mean_states": states.astype(np.float32)})
    chosen = KCenter().pick(signals, {"quota": np.array([5])}, {}, generator(0, "pick"))
    assert sorted(topics[chosen.indices]) == [0, 1, 2, 3, 4]
