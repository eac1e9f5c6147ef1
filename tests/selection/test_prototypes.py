import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedhds.rng import generator
from fedhds.selection._grouping import NOISE
from fedhds.selection._prototypes import (
    by_centrality,
    describe,
    in_unit_ball,
    merge_small,
    prototype,
)
from fedhds.selection._shared_space import of_unit_length


def on_a_line(*places):
    return np.array([[place, 0.0] for place in places], np.float32)


@pytest.mark.parametrize(
    ("places", "labels", "merged"),
    [
        # three and three are enough
        ([0, 0, 0, 9, 9, 9], [0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1]),
        # two at 4 are nearer to those at 0 than to those at 9
        ([0, 0, 0, 4, 4, 9, 9, 9], [0, 0, 0, 1, 1, 2, 2, 2], [0, 0, 0, 0, 0, 1, 1, 1]),
        # what is in no group stays, and counts for none, even where it lies within one
        ([0, 0, 0, 0, 9, 9, 9], [0, 0, NOISE, 0, 1, 1, 1], [0, 0, NOISE, 0, 1, 1, 1]),
        # the lone one first: with the two at 6 (mean 6.67) it is enough, and nothing more merges
        ([0, 0, 0, 6, 6, 8], [0, 0, 0, 1, 1, 2], [0, 0, 0, 1, 1, 1]),
        # of two at least: of equals the first begins, so 0 joins 1; then 5 is nearer to 9 than
        # to their mean .5
        ([0, 1, 5, 9], [0, 1, 2, 3], [0, 0, 1, 1]),
    ],
)
def test_small_groups_join_the_nearest(places, labels, merged):
    least = 2 if len(places) == 4 else 3
    assert merge_small(on_a_line(*places), np.array(labels), least).tolist() == merged


def test_a_chain_of_merges_ends_with_enough():
    # 0 joins 1: two of mean .5; the smallest is now 3, which is nearer to them than to 9
    found = merge_small(on_a_line(0, 1, 3, 9, 9, 9), np.array([0, 1, 2, 3, 3, 3]), 3)
    assert found.tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("labels", [[NOISE] * 4, [0, 0, NOISE, NOISE]])
def test_where_too_few_are_grouped_all_are_one_group(labels):
    assert merge_small(on_a_line(0, 1, 5, 9), np.array(labels), 3).tolist() == [0] * 4


@given(st.lists(st.integers(-1, 6), min_size=3, max_size=40), st.integers(2, 3))
def test_no_group_is_below_the_least(labels, least):
    points = generator(0, "points").normal(size=(len(labels), 2))
    _, numbered = np.unique(labels, return_inverse=True)
    numbered = numbered - (min(labels) == NOISE)  # every number from 0 on occurs
    found = merge_small(points, numbered, least)
    assert np.bincount(found[found != NOISE]).min() >= least
    if (numbered != NOISE).sum() >= least:
        assert ((found == NOISE) == (numbered == NOISE)).all()
        pairs = set(zip(numbered.tolist(), found.tolist(), strict=True))
        assert len(pairs) == len(set(numbered.tolist()))  # groups are joined and never parted


# Unit vectors at 0, 36.9, 53.1 and 90 degrees; the mean of all points to 45.
FAN = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8], [0, 1]], np.float32)


def test_nearest_to_the_mean_direction_comes_first():
    # of the first three the mean is (2.4, 1.4) / 3: products .8, .92, .853
    assert by_centrality(FAN, np.array([0, 1, 2])).tolist() == [1, 2, 0]


def test_equals_come_in_their_order():
    assert by_centrality(np.ones((3, 2), np.float32), np.array([0, 1, 2])).tolist() == [0, 1, 2]


def test_better_half_comes_first_and_is_what_has_to_be_stood_for():
    # 2 and 3 are above the median of 2.5; their mean is (.3, .9), and both are as near to it;
    # of the others 1 is nearer than 0
    quality = np.array([1.0, 2.0, 4.0, 3.0])
    found = by_centrality(FAN, np.arange(4), quality).tolist()
    assert (set(found[:2]), found[2:]) == ({2, 3}, [1, 0])


def test_prototype_is_the_mean_of_the_least_number():
    assert np.allclose(prototype(FAN, np.array([1, 2, 0]), 2), [0.7, 0.7])
    assert np.allclose(prototype(FAN, np.array([1, 2, 0]), 3), [0.8, 1.4 / 3])


def test_groups_are_described_in_their_order():
    told = describe(FAN, np.array([1, 0, 0, 1]), None, 2)
    # both groups' means lie at 45 degrees
    assert np.allclose(told["prototypes"], [[0.7, 0.7], [0.5, 0.5]])
    assert told["sizes"].tolist() == [2, 2]
    assert [set(told["members"][:2]), set(told["members"][2:])] == [{1, 2}, {0, 3}]


@pytest.mark.parametrize(
    ("labels", "sizes"),
    [
        # three of four would leave one: the prototype is of all four
        ([0, 0, 0, 0], [4]),
        # three and three of seven would leave one: the prototypes are of three and of all four
        ([0, 0, 0, 1, 1, 1, 1], [3, 4]),
        # one in no group: the only group takes it in, of two groups the smaller is left out
        ([0, 0, 0, NOISE], [4]),
        ([0, 0, 0, 1, 1, 1, 1, NOISE], [4]),
        # three in no group are enough
        ([0, 0, 0, NOISE, NOISE, NOISE], [3]),
    ],
)
def test_what_the_prototypes_leave_over_is_none_or_enough(labels, sizes):
    points = of_unit_length(generator(0, "left over").normal(size=(len(labels), 5)))
    told = describe(points, np.array(labels), None, 3)
    assert told["sizes"].tolist() == sizes
    # how many samples a prototype is of: as many as it takes of the group to give that mean
    ends = np.cumsum(told["sizes"])
    groups = zip(told["prototypes"], np.split(told["members"], ends[:-1]), strict=True)
    depths = [
        next(n for n in range(3, len(m) + 1) if np.allclose(points[m[:n]].mean(axis=0), mean))
        for mean, m in groups
    ]
    left = len(labels) - sum(depths)
    assert left == 0 or left >= 3


def test_no_groups_are_described_as_none():
    told = describe(FAN, np.full(4, NOISE), None, 2)
    assert [told[name].shape for name in ("prototypes", "sizes", "members")] == [(0, 2), (0,), (0,)]


def test_no_prototype_is_a_samples_point():
    points = of_unit_length(generator(0, "points").normal(size=(60, 5)).astype(np.float32))
    told = describe(points, np.arange(60) % 12, None, 3)
    gaps = np.linalg.norm(told["prototypes"][:, None] - points, axis=2)
    assert gaps.min() > 1e-3


def test_rows_longer_than_one_are_shortened():
    points = np.array([[3, 4], [0.3, 0.4], [0, 0], [1, 0]], np.float32)
    assert np.allclose(in_unit_ball(points), [[0.6, 0.8], [0.3, 0.4], [0, 0], [1, 0]])
