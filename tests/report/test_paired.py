"""Paired intervals: what is estimated, from which runs, and how wide the intervals are."""

import math
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from made import columns, finished, group, scored, stopped

from fedhds.report.paired import differences, half_width, steadied


def compared(ours, theirs):
    """Compare scores of shape (seeds, tasks); return the comparison of Rouge-L."""
    return differences([scored("fedhds", ours.tolist()), scored("random", theirs.tolist())])[0]


@st.composite
def two(draw):
    shape = draw(array_shapes(min_dims=2, max_dims=2, max_side=4))
    scores = arrays(np.float64, shape, elements=st.floats(0, 1))
    return draw(scores), draw(scores)


@settings(max_examples=25, deadline=None)
@given(two())
def test_interval_holds_the_mean_difference(scores):
    found = compared(*scores)
    assert found.difference == pytest.approx((scores[0] - scores[1]).mean(), abs=1e-12)
    assert found.low <= found.difference <= found.high


@settings(max_examples=10, deadline=None)
@given(two())
def test_equal_groups_do_not_differ(scores):
    found = compared(scores[0], scores[0])
    assert (found.difference, found.real) == (0, False)


@settings(max_examples=10, deadline=None)
@given(two())
def test_swapping_group_and_reference_flips_the_signs(scores):
    one, other = compared(*scores), compared(*reversed(scores))
    assert (other.difference, other.low, other.high) == pytest.approx(
        (-one.difference, -one.high, -one.low), abs=1e-12
    )


@settings(max_examples=10, deadline=None)
@given(two(), st.floats(0, 0.5))
def test_constant_added_to_all_scores_moves_the_difference_by_it(scores, constant):
    one, other = compared(*scores), compared(scores[0] + constant, scores[1])
    assert other.difference == pytest.approx(one.difference + constant, abs=1e-9)


def test_interval_goes_no_further_than_rouge_l_can():
    found = compared(np.array([[0.9, 0.1], [0.1, 0.9]]), np.array([[0.5, 0.2], [0.9, 0.1]]))
    assert (found.low, found.high) == (-1, 1)
    (_, loss) = differences([scored("fedhds", [[0.1]]), scored("random", [[0.2]])])
    assert (loss.low, loss.high) == (-math.inf, math.inf)  # one sample, one seed


def test_order_of_groups_and_runs_does_not_matter():
    rng = np.random.default_rng(0)
    groups = [scored(name, rng.random((3, 4)).tolist()) for name in ("random", "a", "b")]
    expected = set(differences(groups))
    for seed in range(3):
        order = random.Random(seed)
        mixed = [replace(one, runs=tuple(order.sample(one.runs, 3))) for one in groups]
        assert set(differences(order.sample(mixed, 3))) == expected


def test_means_are_those_of_the_summary():
    ours = columns([1, 0, 0.5], ["a", "a", "b"], [2, 4, 3], [1, 2, 3])
    theirs = columns([0, 0, 0.3], ["a", "a", "b"], [1, 1, 1], [1, 2, 3])
    rouge_l, loss = differences(
        [group("fedhds", finished(0, ours)), group("random", finished(0, theirs))]
    )
    assert rouge_l.difference == pytest.approx(1.5 / 3 - 0.3 / 3)
    assert loss.difference == pytest.approx(9 / 6 - 3 / 6)
    assert (rouge_l.better, loss.better) == (True, False)
    assert (rouge_l.units, rouge_l.unit) == (2, "task")


def test_width_joins_both_variances_with_students_quantiles():
    # Quantiles at 97.5 % from tables: 4.303 of 2 degrees of freedom, 2.262 of 9.
    expected = math.sqrt(4.3027**2 * 0.04 + 2.2622**2 * 0.01)
    assert half_width(0.04, 0.01, 2, 10, 1) == pytest.approx(expected, rel=1e-4)
    # One seed leaves tasks alone; 2.8214 is the quantile at 99 %: two and a half comparisons.
    assert half_width(9.0, 0.01, 0, 10, 2.5) == pytest.approx(0.28214, rel=1e-4)
    assert half_width(0.0, 0.0, 0, 1, 1) == math.inf


def test_bootstrap_over_tasks_agrees_with_the_variance_of_a_mean():
    rng = np.random.default_rng(1)
    ours, theirs = rng.random((2, 3, 20)) / 2
    found, cells = compared(ours, theirs), ours - theirs
    over_seeds = cells.mean(1).var(ddof=1) / 3
    over_tasks = cells.mean(0).var(ddof=1) / 20
    # 2,000 draws know a variance to 3 %, of which the width has less than half.
    expected = half_width(over_seeds, over_tasks, 2, 20, 2)
    assert found.high - found.difference == pytest.approx(expected, rel=0.05)


def test_variance_over_seeds_is_no_smaller_than_the_mean_of_all_comparisons():
    # Means weighted by 2, 2 and 1 degrees of freedom: (2 * 1 + 2 * 4 + 6) / 5 = 3.2. The last
    # comparison is over one seed. Freedom: mean(2, 2, 1) / (1/4 + 3/12) = (5/3) * 2.
    steady, freedom = steadied(np.array([[1.0, 4, 6, 9]]), np.array([3, 3, 2, 1]))
    np.testing.assert_allclose(steady, [[3.2, 4, 6, 0]])
    assert freedom == pytest.approx(10 / 3)


def test_one_comparison_keeps_its_own_variance_and_students_freedom():
    steady, freedom = steadied(np.array([0.3]), np.array([4]))
    assert (steady.tolist(), freedom) == ([0.3], 3)
    assert steadied(np.array([0.3]), np.array([1])) == (np.zeros(1), 0)


def test_groups_are_told_in_all_comparisons_together():
    rng = np.random.default_rng(2)
    groups = [scored(name, rng.random((3, 5)).tolist()) for name in ("random", "a", "b", "c")]
    few, many = differences(groups[:2]), differences(groups)
    assert [one.family for one in (few[0], many[0])] == [2, 6]
    assert half_width(1, 1, 2, 5, 6) > half_width(1, 1, 2, 5, 2)


def test_consistent_difference_over_three_seeds_and_many_tasks_is_real():
    rng = np.random.default_rng(3)
    theirs = rng.random((3, 30))
    found = compared(theirs + 0.1 + 0.01 * rng.random((3, 30)), theirs)
    assert found.real
    assert found.better


def test_difference_that_one_seed_makes_is_not_real():
    theirs = np.full((3, 30), 0.2)
    ours = theirs + np.array([[0.0], [0.0], [0.3]])
    assert not compared(ours, theirs).real


def test_each_measure_has_the_width_of_its_own_variance():
    rng = np.random.default_rng(4)
    made = [
        group(
            name,
            *(
                finished(
                    seed,
                    columns([0.5] * 4, loss_sums=rng.random(4).tolist() if name == "a" else None),
                )
                for seed in range(3)
            ),
        )
        for name in ("a", "random")
    ]
    rouge_l, loss = differences(made)
    assert rouge_l.low == rouge_l.high == 0
    assert loss.high - loss.low > 0.1


def test_bootstrap_over_few_tasks_has_the_variance_of_a_mean():
    rng = np.random.default_rng(5)
    ours, theirs = rng.random((2, 1, 4)) / 8
    found = compared(ours, theirs)
    expected = half_width(0.0, (ours - theirs)[0].var(ddof=1) / 4, 0, 4, 2)
    assert found.high - found.difference == pytest.approx(expected, rel=0.1)


def test_runs_scored_on_different_samples_are_no_pair():
    ours, theirs = columns([0.1, 0.2, 0.3], ["a", "b", "b"]), columns([0.1, 0.2], ["a", "b"])
    assert differences([group("a", finished(0, ours)), group("random", finished(0, theirs))]) == ()


def test_seeds_without_a_partner_on_the_same_data_are_left_out_and_counted():
    scores = columns([0.1, 0.2])
    ours = group("fedhds", *(finished(seed, scores) for seed in (0, 1, 2)))
    other = finished(1, scores, data="other")
    theirs = group("random", finished(0, scores), other, stopped(2), finished(3, scores))
    found = differences([ours, theirs])[0]
    assert (found.seeds, found.left_out) == (1, 3)  # 1: other data, 2: failed, 3: never run


def test_groups_that_share_no_seed_and_runs_without_unseen_tasks_are_not_compared():
    scores = columns([0.1, 0.2])
    theirs = group("random", finished(0, scores))
    assert differences([group("fedhds", finished(1, scores)), theirs]) == ()
    assert differences([group("fedhds", finished(0)), theirs]) == ()
    with_one = [group("fedhds", finished(1, scores)), theirs, group("a", finished(0, scores))]
    assert {(one.label, one.family) for one in differences(with_one)} == {("a", 2)}


@pytest.mark.parametrize("tasks", [["", "", ""], ["one", "one", "one"]])
def test_samples_are_the_units_where_all_are_of_one_task(tasks):
    ours, theirs = columns([0.5, 0.6, 0.9], tasks), columns([0.1, 0.2, 0.3], tasks)
    found = differences([group("a", finished(0, ours)), group("random", finished(0, theirs))])[0]
    assert (found.units, found.unit) == (3, "sample")
    assert found.difference == pytest.approx(0.8 / 3 + 0.2)  # (0.4 + 0.4 + 0.6) / 3


def test_seeds_may_hold_different_tasks():
    held = [["a", "b"], ["c", "d"], ["a", "d", "e"]]
    ours, theirs = (
        group(name, *(finished(s, columns([score] * len(t), t)) for s, t in enumerate(held)))
        for name, score in (("fedhds", 0.5), ("random", 0.2))
    )
    found = differences([ours, theirs])[0]
    assert (found.difference, found.units) == (pytest.approx(0.3), 5)
    # All tasks of all seeds differ by the same, which leaves no width whatever the weights.
    assert (found.low, found.high) == (pytest.approx(0.3), pytest.approx(0.3))


def test_score_that_is_not_a_number_makes_nothing_real():
    ours = columns([0.1, 0.2], loss_sums=[1.0, math.nan])
    theirs = columns([0.1, 0.2])
    loss = differences([group("a", finished(0, ours)), group("random", finished(0, theirs))])[1]
    assert math.isnan(loss.difference)
    assert not loss.real
