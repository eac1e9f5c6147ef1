from fractions import Fraction

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from fedhds.selection._budget import apportion, by_weight, take_turns

SIZES = st.lists(st.integers(0, 50), min_size=1, max_size=20)


def test_largest_remainders_decide():
    # 7 * 10/35 = 2, 7 * 11/35 = 2.2, 7 * 14/35 = 2.8 -> the seventh goes to the last
    assert apportion(7, [10, 11, 14]).tolist() == [2, 2, 3]


def test_ties_go_to_the_earlier_part():
    assert apportion(1, [3, 3]).tolist() == [1, 0]


@given(SIZES, st.integers(0, 1200))
def test_shares_are_exact_and_within_sizes(sizes, budget):
    shares = apportion(budget, sizes)
    assert shares.sum() == min(budget, sum(sizes))
    assert (shares <= np.array(sizes)).all()
    assert (shares >= 0).all()


@given(SIZES, st.integers(0, 1200))
def test_no_share_is_a_whole_sample_off_its_proportion(sizes, budget):
    budget = min(budget, sum(sizes))
    exact = np.array(sizes) * budget / max(sum(sizes), 1)
    assert (np.abs(apportion(budget, sizes) - exact) < 1).all()


PARTS = st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 50)), min_size=1, max_size=12)


@given(PARTS, st.integers(0, 700))
def test_shares_by_weight_are_exact_and_within_limits(parts, budget):
    weights, limits = (np.array(numbers) for numbers in zip(*parts, strict=True))
    shares = by_weight(budget, weights, limits)
    assert shares.sum() == min(budget, limits.sum())
    assert (shares <= limits).all()
    assert (shares[weights == 0] == 0).all() or (shares == limits)[weights > 0].all()


@given(PARTS, st.integers(0, 700))
@example([(0.0, 1), (2.2250738585072014e-308, 5)], 5)
def test_no_part_by_weight_would_rather_have_what_another_got(parts, budget):
    # Sainte-Laguë: a sample more would stand for more weight than the least that was given one;
    # in fractions, as the smallest floats divided have no digits left
    weights, limits = (np.array(numbers) for numbers in zip(*parts, strict=True))
    shares = by_weight(budget, weights, limits).tolist()
    each = list(zip(map(Fraction, weights.tolist()), shares, limits.tolist(), strict=True))
    half = Fraction(1, 2)
    wanted = [weight / (share + half) for weight, share, limit in each if share < limit]
    got = [weight / (share - half) for weight, share, _ in each if share]
    assert not wanted or not got or max(wanted) <= min(got) * (1 + Fraction(1, 10**9))


def test_what_a_full_part_cannot_take_goes_to_the_others_by_weight():
    assert by_weight(9, np.array([1.0, 2.0, 6.0]), np.array([9, 9, 3])).tolist() == [2, 4, 3]


def test_parts_without_weight_give_in_turn_when_all_others_are_full():
    assert by_weight(5, np.array([0.0, 1.0, 0.0]), np.array([9, 2, 1])).tolist() == [2, 2, 1]


@given(st.lists(st.integers(0, 3), max_size=12), st.data())
def test_turns_are_as_if_one_sample_was_given_after_the_other(owners, data):
    capacity = data.draw(st.lists(st.integers(0, 9), min_size=4, max_size=4))
    order = data.draw(st.permutations(range(len(owners))))
    budget = data.draw(st.integers(0, 40))
    left, given_by_hand = list(capacity), [0] * len(owners)
    for group in list(order) * 10:  # no group has more than 9 to give
        if left[owners[group]] and sum(given_by_hand) < budget:
            left[owners[group]] -= 1
            given_by_hand[group] += 1
    arrays = (np.array(numbers, np.int64) for numbers in (order, owners, capacity))
    assert take_turns(budget, *arrays).tolist() == given_by_hand
