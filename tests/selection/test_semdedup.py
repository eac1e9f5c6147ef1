import numpy as np
import pytest

from fedhds.rng import generator
from fedhds.selection._grouping import NOISE
from fedhds.selection.semdedup import FIRST, SemDeDup, redundancy
from fedhds.types import Signals


def chosen(method, states, **received):
    signals = Signals(len(states), {"mean_states": states})
    return method.pick(signals, received, {}, generator(0, "pick")).indices


def distinct(count):
    return generator(0, "states").normal(size=(count, 2, 3, 16)).astype(np.float32)


def on_circle(*degrees):
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_redundancy_is_the_highest_cosine_to_one_farther_from_the_centre():
    # the mean lies near 16.6 degrees: from it 40 is farthest, then 0, then 10
    found = redundancy(on_circle(0, 10, 40), np.zeros(3, np.int64))
    assert found == pytest.approx([np.cos(np.radians(40)), np.cos(np.radians(10)), FIRST])


def test_groups_are_not_compared_and_what_is_in_none_repeats_nothing():
    found = redundancy(on_circle(0, 0, 0, 0, 0), np.array([0, 1, NOISE, 1, NOISE]))
    assert found.tolist() == [FIRST, FIRST, FIRST, 1, FIRST]


def test_blocks_of_a_large_group_are_compared_with_all_before_them():
    points = generator(0, "points").normal(size=(1100, 4))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    order = np.argsort(points @ points.mean(axis=0), kind="stable")
    cosines = np.tril((points @ points.T)[np.ix_(order, order)] + 1, -1) - 1
    found = redundancy(points, np.zeros(1100, np.int64))
    assert np.allclose(found[order], cosines.max(axis=1))


@pytest.mark.parametrize("group_size", [4, 100])
@pytest.mark.parametrize("received", [{"quota": np.array([20])}, {}], ids=["budget", "threshold"])
def test_exact_copies_go_first(group_size, received):
    copies = [3, 17, 3, 8, 3]
    states = distinct(20)[[*range(20), *copies]]
    kept = chosen(SemDeDup(similarity=1.0, group_size=group_size), states, **received)
    assert len(kept) == 20
    assert sorted({*range(20), *copies}) == sorted([*range(20), *copies][i] for i in kept)


def test_near_copies_go_by_the_threshold():
    # 1e-2 off at each number of size 1: an angle of about 1e-2, whose cosine is above .999
    noise = 0.01 * generator(0, "noise").normal(size=(5, 2, 3, 16))
    states = np.concatenate([distinct(20), distinct(20)[:5] + noise]).astype(np.float32)
    assert len(chosen(SemDeDup(similarity=0.95), states)) == 20
    assert len(chosen(SemDeDup(similarity=1.0), states)) == 25


def test_budget_goes_before_the_threshold():
    states = np.repeat(distinct(1), 9, axis=0)
    assert len(chosen(SemDeDup(), states)) == 1
    assert len(chosen(SemDeDup(), states, quota=np.array([7]))) == 7


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"similarity": 0.0}, "similarity must be above 0 and at most 1"),
        ({"similarity": 1.1}, "similarity must be above 0 and at most 1"),
        ({"similarity": float("nan")}, "similarity must be above 0 and at most 1"),
        ({"group_size": 1}, "group_size must be at least 2"),
    ],
)
def test_options_out_of_range_are_refused(options, named):
    with pytest.raises(ValueError, match=named):
        SemDeDup(**options)
