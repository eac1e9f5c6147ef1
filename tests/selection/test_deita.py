"""Choosing by complexity, quality and unlikeness."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fedhds.rng import generator
from fedhds.selection.deita import Deita, unlike
from fedhds.types import Signals

# unit rows of the plane: 1 is 8 degrees from 0 (a cosine of 0.99), 2 at right angles, 3 opposite
ROWS = np.array([[np.cos(a), np.sin(a)] for a in np.radians([0, 8, 90, 180])], np.float32)


def pick(ratings, states, quota, **options):
    signals = Signals(
        len(ratings),
        {"ratings": np.array(ratings, np.float32), "base/mean_states": np.array(states)},
    )
    received = {"quota": np.array([quota])}
    return Deita(**options).pick(signals, received, {}, generator(0, "test")).indices.tolist()


def states_of(kinds):
    """Mean states of two layers, alike within a kind but for a little."""
    rng = generator(0, "kinds")
    centres = rng.normal(size=(max(kinds) + 1, 2, 2, 16))
    return (centres[kinds] + 0.01 * rng.normal(size=(len(kinds), 2, 2, 16))).astype(np.float32)


def test_score_is_complexity_times_quality():
    # 2 * 5 = 10, 3 * 4 = 12, 6 * 1 = 6, 1 * 6 = 6
    ratings = [(2, 5), (3, 4), (6, 1), (1, 6)]
    chosen = [pick(ratings, states_of([0, 1, 2, 3]), quota) for quota in (1, 2, 3, 4)]
    assert chosen == [[1], [0, 1], [0, 1, 2], [0, 1, 2, 3]]  # of equals the first


def test_copies_of_what_is_taken_are_passed_over():
    ratings, kinds = [(6, 6), (5, 6), (5, 5), (4, 4), (1, 1)], [0, 0, 1, 0, 2]
    chosen = [pick(ratings, states_of(kinds), quota) for quota in (1, 2, 3, 4, 5)]
    # one of each kind, by score; then 1 and 3, which were passed over
    assert chosen == [[0], [0, 2], [0, 2, 4], [0, 1, 2, 4], [0, 1, 2, 3, 4]]


def test_high_similarity_passes_over_nothing():
    ratings, kinds = [(6, 6), (5, 6), (5, 5), (4, 4)], [0, 0, 1, 2]
    assert pick(ratings, states_of(kinds), 2, similarity=0.999999) == [0, 1]


@pytest.mark.parametrize(
    ("similarity", "order", "count", "expected"),
    [
        (0.9, [0, 1, 2, 3], 2, [0, 2]),
        (0.995, [0, 1, 2, 3], 2, [0, 1]),
        (0.9, [1, 0, 3, 2], 4, [1, 3, 2, 0]),
        (0.9, [0, 1, 2, 3], 0, []),
        (0.9, [0, 1, 2, 3], 9, [0, 2, 3, 1]),
    ],
)
def test_samples_are_taken_in_order_unless_too_similar(similarity, order, count, expected):
    assert unlike(ROWS, np.array(order), similarity, count).tolist() == expected


def one_by_one(rows, similarity, count):
    """Compare each sample with all that were taken, and with no more than that."""
    taken, passed = [], []
    for sample in range(len(rows)):
        near = any(rows[sample] @ rows[other] >= similarity for other in taken)
        (passed if near else taken).append(sample)
    return (taken + passed)[:count]


VECTORS = arrays(np.float32, st.tuples(st.integers(0, 12), st.just(2)), elements=st.integers(-3, 3))


@given(VECTORS, st.integers(0, 15), st.sampled_from([0.123, 0.789, 0.95]))
def test_choice_is_that_of_comparing_one_by_one(vectors, count, similarity):
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    chosen = unlike(rows, np.arange(len(rows)), similarity, count).tolist()
    assert chosen == one_by_one(rows, similarity, count)
    assert len(set(chosen)) == min(count, len(rows))


@pytest.mark.parametrize("similarity", [0, -0.5, 1, 1.5, float("nan")])
def test_similarity_out_of_range_is_refused(similarity):
    with pytest.raises(ValueError, match=r"^similarity must be above 0 and below 1$"):
        Deita(similarity=similarity)
