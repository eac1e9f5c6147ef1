"""Coverage, redundancy and the greedy ceiling, on points in the plane and on random ones."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedhds.evaluation.coverage import (
    DRAWS,
    compare,
    coverage,
    cut,
    redundancy,
)
from fedhds.rng import generator
from fedhds.selection._facility_location import facility_location


def at(*degrees):
    """Points on the unit circle."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def random_points(count, seed=0, dimensions=5):
    points = generator(seed, "points").normal(size=(count, dimensions))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


# At 0, 60 and 90 degrees: cos 60 = 1/2, cos 90 = 0, cos 30 = sqrt(3)/2.
POINTS = at(0, 60, 90)


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ([0], (1 + 1 / 2 + 0) / 3),
        ([1], (1 / 2 + 1 + math.sqrt(3) / 2) / 3),
        ([2, 0], (1 + math.sqrt(3) / 2 + 1) / 3),
        ([0, 1, 2], 1),
    ],
)
def test_coverage_is_the_mean_of_each_samples_highest_cosine(chosen, expected):
    assert coverage(POINTS, np.array(chosen)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [([0, 2], 0), ([0, 1], 1 / 2), ([0, 1, 2], (1 / 2 + math.sqrt(3)) / 3)],
)
def test_redundancy_is_the_mean_of_each_members_highest_cosine_to_another(chosen, expected):
    assert redundancy(POINTS, np.array(chosen)) == pytest.approx(expected, abs=1e-7)


def test_two_alike_are_wholly_redundant_and_one_alone_has_no_redundancy():
    assert redundancy(at(30, 30), np.array([0, 1])) == pytest.approx(1)
    assert math.isnan(redundancy(POINTS, np.array([0])))


def test_blocks_change_nothing(monkeypatch):
    points, chosen = random_points(50), np.arange(0, 50, 3)
    whole = coverage(points, chosen), redundancy(points, chosen)
    monkeypatch.setattr("fedhds.evaluation.coverage.BLOCK", 40)
    assert (coverage(points, chosen), redundancy(points, chosen)) == pytest.approx(whole)


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 30), st.integers(0, 1000))
def test_ceiling_begins_with_the_best_single_sample_and_grows(count, seed):
    points = random_points(count, seed)
    found, _ = facility_location(points, count)
    reached = [coverage(points, found[:size]) for size in range(1, count + 1)]
    assert reached[0] >= max(coverage(points, np.array([i])) for i in range(count)) - 1e-6
    assert all(later >= sooner - 1e-7 for sooner, later in pairwise(reached))
    assert reached[-1] == pytest.approx(1)


def test_copies_and_samples_like_nothing_are_chosen_once_each():
    points = np.concatenate([at(0, 0, 90, 90), np.zeros((2, 2), np.float32)])
    found, _ = facility_location(points, 9)
    assert sorted(found.tolist()) == list(range(6))
    # one of each direction comes first; what is like nothing is covered by none
    assert {int(i) // 2 for i in found[:2]} == {0, 1}
    assert coverage(points, found) == pytest.approx(4 / 6)


TASKS = {"tasks": ["a", "a", "b", "", "c", "c"]}


def test_coresets_are_judged_beside_chance_and_the_ceiling():
    points = random_points(6)
    rows = compare(points, {"mine": np.array([0, 2, 3])}, TASKS, seed=1)
    assert list(rows) == ["mine", "ceiling", "random draws"]
    mine, ceiling, chance = rows.values()
    assert mine["coverage"] == pytest.approx(coverage(points, np.array([0, 2, 3])), abs=1e-6)
    assert mine["gain"] == pytest.approx(mine["coverage"] - chance["coverage"], abs=2e-6)
    assert mine["share"] == pytest.approx(mine["gain"] / ceiling["gain"], abs=1e-5)
    assert ceiling["share"] == 1
    assert mine["tasks"] == 2  # a and b; the third has none
    assert chance["coverage_sd"] > 0
    assert rows == compare(points, {"mine": np.array([3, 0, 2])}, TASKS, seed=1)


def test_chance_is_the_mean_of_twenty_draws():
    points, rng = random_points(40), generator(5, "judge random")
    rows = compare(points, {"mine": np.arange(4)}, {}, seed=5)
    draws = [coverage(points, rng.choice(40, 4, replace=False)) for _ in range(DRAWS)]
    chance = rows["random draws"]
    assert (DRAWS, chance["coverage"]) == (20, pytest.approx(np.mean(draws), abs=1e-6))
    assert chance["coverage_sd"] == pytest.approx(np.std(draws, ddof=1), abs=1e-6)


def test_everything_is_no_better_than_chance_and_has_no_share():
    rows = compare(random_points(6), {"all": np.arange(6)}, TASKS, seed=0)
    assert [row["coverage"] for row in rows.values()] == [1, 1, 1]
    assert (rows["all"]["gain"], rows["all"]["share"]) == (0, None)
    assert rows["random draws"]["coverage_sd"] == 0


def test_one_sample_has_no_redundancy():
    rows = compare(random_points(6), {"one": np.array([4])}, {}, seed=0)
    assert [row["redundancy"] for row in rows.values()] == [None, None, None]


@pytest.mark.parametrize("coresets", [{}, {"none": []}, {"one": [1], "two": [1, 2]}])
def test_coresets_of_different_sizes_and_empty_ones_are_refused(coresets):
    with pytest.raises(ValueError, match="one size"):
        compare(random_points(6), {n: np.array(c) for n, c in coresets.items()}, {}, 0)


def test_union_is_cut_to_a_size_by_a_seeded_draw():
    chosen = np.arange(100, 150)
    drawn = cut(chosen, 10, seed=3)
    assert drawn.tolist() == sorted(set(drawn.tolist()) & set(chosen.tolist()))
    assert len(drawn) == 10
    assert np.array_equal(drawn, cut(chosen, 10, seed=3))
    assert not np.array_equal(drawn, cut(chosen, 10, seed=4))
    assert np.array_equal(cut(chosen, 60, seed=3), chosen)
