"""Samples are ranked by what knowledge makes of their losses, and diverse ones are chosen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedhds.rng import generator
from fedhds.selection._own_space import own_space
from fedhds.selection.recost import PARTS, STRIDE, WINDOW, Recost, diverse, ranked
from fedhds.types import Signals

# RPE -.5, 1.5, -2, 5. By the largest first, PE ranks 4, 3, 2, 1, PEK 3, 4, 1, 2 and RPE 3, 2, 4,
# 1: the sums of the last two are 6, 6, 5, 3, and PE's ranks less PEK's 1, -1, 1, -1.
ALONE = np.array([1, 2, 4, 8], np.float32)
INFORMED = np.array([1.5, 0.5, 6, 3], np.float32)


def choose(alone, informed, states, quota, **options):
    names = ("loss_with_prompt", "knowledge/loss_with_prompt", "mean_states")
    signals = Signals(len(alone), dict(zip(names, (alone, informed, states), strict=True)))
    received = {"quota": np.array([quota])}
    return Recost(**options).pick(signals, received, {}, generator(0, "test")).indices.tolist()


@pytest.mark.parametrize(
    ("rule", "order"),
    [("rank-sum", [3, 2, 0, 1]), ("relative", [3, 1, 0, 2]), ("rank-shift", [1, 3, 0, 2])],
)
def test_rules_order_as_derived_by_hand(rule, order):
    assert ranked(ALONE, INFORMED, rule).tolist() == order


def test_equal_values_share_their_rank():
    # RPE is 0 for all but the last, so those three share rank 3 (the mean of 2, 3 and 4); PEK
    # ranks them 3, 2, 1, and the last 4: sums 6, 5, 4 and 5, the tie by position
    alone = np.array([1.0, 2.0, 3.0, 1.0], np.float32)
    informed = np.array([1.0, 2.0, 3.0, 0.5], np.float32)
    assert ranked(alone, informed, "rank-sum").tolist() == [2, 1, 3, 0]


@pytest.mark.parametrize("rule", ["relative", "rank-shift"])
def test_rounding_of_two_readings_is_no_gain(rule):
    alone = np.array([2, 3, 1], np.float32)
    informed = alone + np.array([1e-6, -1e-6, 0], np.float32)
    assert ranked(alone, informed, rule).tolist() == [0, 1, 2]


@given(st.lists(st.tuples(*[st.integers(0, 5)] * 2), max_size=12))
def test_rules_do_not_depend_on_the_unit_of_the_losses(losses):
    alone, informed = np.array(losses, np.float64).reshape(-1, 2).T
    for rule in ("rank-sum", "relative", "rank-shift"):
        order = ranked(alone, informed, rule)
        assert sorted(order) == list(range(len(losses)))
        assert order.tolist() == ranked(alone * 2, informed * 2, rule).tolist()


def circle(*degrees):
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_the_farthest_within_a_window_follows_the_best():
    # three picks of one each, from the ranks 0-9, 2-11 and 4-13: first the best, then the one
    # opposite (of two the better), then of ranks from 4 on the one at a right angle to both
    points = circle(0, 1, 2, 180, 180, 3, 90, 4, 5, 6, 7, 8)
    assert diverse(np.arange(12), points, 3).tolist() == [0, 3, 6]


def test_a_window_that_moved_on_does_not_look_back():
    # the second of two picks is from rank 2 on, so rank 1 is not chosen though it is farthest
    points = circle(0, 180, *[10] * 9, 90)
    assert diverse(np.arange(12), points, 2).tolist() == [0, 11]


def test_order_decides_between_windows():
    count, quota = 2000, 2 * PARTS
    rng = generator(0, "points")
    order, points = rng.permutation(count), circle(*rng.uniform(0, 360, count))
    each = quota // PARTS
    ranks = np.argsort(order)[diverse(order, points, quota)]
    starts = np.repeat(np.arange(PARTS), each) * STRIDE * each
    assert (ranks >= starts).all()
    assert (ranks < starts + WINDOW * each).all()


def test_samples_that_are_all_alike_are_chosen_by_order():
    # each window gives its best, two further than the one before
    alike = np.zeros((20, 3), np.float32)
    assert diverse(np.arange(20)[::-1], alike, 3).tolist() == [19, 17, 15]


@given(st.integers(0, 30), st.integers(0, 40), st.integers(0, 3))
def test_as_many_as_wanted_are_chosen_each_once(count, quota, seed):
    rng = generator(seed, "points")
    chosen = diverse(rng.permutation(count), circle(*rng.integers(0, 4, count) * 90), quota)
    assert len(set(chosen.tolist())) == len(chosen) == min(quota, count)
    assert set(chosen.tolist()) <= set(range(count))


def test_what_is_left_at_the_lists_end_follows_in_order():
    # of four samples three: two windows (from 0 and from 2) give one each, then the better left
    points = circle(0, 10, 20, 180)
    assert diverse(np.arange(4), points, 3).tolist() == [0, 3, 1]


@pytest.mark.parametrize(("rule", "best"), [("rank-sum", 3), ("relative", 3), ("rank-shift", 1)])
def test_the_best_is_chosen_first(rule, best):
    states = generator(0, "states").normal(size=(4, 2, 3, 8)).astype(np.float32)
    assert choose(ALONE, INFORMED, states, 1, rerank=rule) == [best]


def test_of_the_good_those_are_chosen_that_differ():
    # "relative" ranks by position; samples 0 to 4 have the states of one kind, 5 of another
    kinds = generator(0, "kinds").normal(size=(2, 2, 3, 8)).astype(np.float32)
    informed = np.arange(6, dtype=np.float32)
    assert choose(informed * 0 + 9, informed, kinds[[0] * 5 + [1]], 2, rerank="relative") == [0, 5]


def test_the_second_reading_is_with_knowledge_and_the_default_is_by_what_it_helps():
    assert Recost().reads()["knowledge/loss_with_prompt"] == ("knowledge", "loss_with_prompt")
    assert Recost().rerank == "relative"


@pytest.mark.parametrize("quota", [0, 2, 5])
def test_a_choice_of_none_or_all_reads_nothing(quota):
    received = {"quota": np.array([quota])}
    chosen = Recost().pick(Signals(2), received, {}, generator(0, "test"))
    assert len(chosen) == min(quota, 2)


def test_a_space_of_ones_own_is_centred_and_of_unit_rows():
    states = 9 + generator(0, "states").normal(size=(7, 2, 3, 8)).astype(np.float32)
    placed = own_space(states)
    np.testing.assert_allclose(np.linalg.norm(placed, axis=1), 1, rtol=1e-5)
    assert (placed @ placed.T).mean() < 0.1  # before centring all point the same way: 0.99
    assert own_space(states[:0]).shape == (0, placed.shape[1])
    assert not own_space(np.ones_like(states)).any()
