import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedhds.rng import generator
from fedhds.selection._facility_location import CANDIDATES, facility_location

# Products: a a = b b = 1, a b = 0, and .5 of c with each of the three. From nothing (-1) all
# are alike: a raises by 2 + 1 + 1.5, b by as much, c by 3 times 1.5.
A, B, C = [1.0, 0.0], [0.0, 1.0], [0.5, 0.5]
POINTS = np.array([A, B, C], np.float32)


def choose(size=3, **options):
    order, gains = facility_location(POINTS, size, **options)
    return order.tolist(), gains.tolist()


def test_each_choice_gains_most_and_ties_go_to_the_first():
    # after a, b raises itself from 0 to 1; c would raise b by .5, and nothing else
    assert choose() == ([0, 1, 2], [4.5, 1.0, 0.0])


def test_weights_say_what_counts():
    # b weighs 3: a raises by 2 + 3 + 1.5, b by 1 + 6 + 1.5, c by 1.5 + 4.5 + 1.5; then a by 1
    assert choose(weights=np.array([1, 3, 1])) == ([1, 0, 2], [8.5, 1.0, 0.0])


def test_what_is_covered_already_gains_nothing():
    assert choose(covered=np.array([A], np.float32)) == ([1, 0, 2], [1.0, 0.0, 0.0])


def test_much_that_is_covered_is_all_looked_at():
    covered = np.repeat([[-1.0, 0.0]], CANDIDATES, axis=0)
    order, gains = choose(covered=np.append(covered, [A, B], axis=0).astype(np.float32))
    assert (order, gains) == ([0, 1, 2], [0.0, 0.0, 0.0])


@pytest.mark.parametrize(("least", "chosen"), [(0, 3), (0.5, 2), (1, 2), (1.01, 1), (99, 1)])
def test_choice_ends_where_none_gains_enough_but_takes_one(least, chosen):
    assert len(choose(least=least)[0]) == chosen


@pytest.mark.parametrize(("size", "chosen"), [(0, 0), (1, 1), (9, 3)])
def test_no_more_are_chosen_than_wanted_or_there(size, chosen):
    assert len(choose(size)[0]) == chosen


def test_nothing_is_chosen_of_nothing():
    order, gains = facility_location(np.zeros((0, 2), np.float32), 3)
    assert (order.tolist(), gains.tolist()) == ([], [])


def naive(points, size, weights, covered):
    """Compute every gain anew for every choice."""
    reached = np.max([np.full(len(points), -1.0), *(covered @ points.T)], axis=0)
    order, gains = [], []
    for _ in range(size):
        all_gains = np.maximum(points @ points.T - reached, 0) @ weights
        all_gains[order] = -1
        order.append(int(all_gains.argmax()))
        gains.append(all_gains[order[-1]])
        reached = np.maximum(reached, points @ points[order[-1]])
    return order, gains


@given(st.integers(1, 3 * CANDIDATES), st.integers(0, 3), st.integers(0, 2**32))
def test_lazy_choice_is_the_naive_one(count, known, seed):
    rng = generator(seed, "points")
    # eighths, whose products and sums are exact, so that equal gains are equal in both
    drawn = rng.integers(-4, 5, (count + known, 3)) / 8
    points, covered = drawn[:count].astype(np.float32), drawn[count:].astype(np.float32)
    weights = rng.integers(1, 9, count)
    size = min(count, 12)
    order, gains = facility_location(points, size, weights, covered)
    assert (order.tolist(), gains.tolist()) == naive(points, size, weights, covered)
    fewer, _ = facility_location(points, size // 2, weights, covered)
    assert fewer.tolist() == order[: size // 2].tolist()
