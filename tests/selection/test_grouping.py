import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedhds.rng import generator
from fedhds.selection._grouping import NOISE, hdbscan, kmeans, weighted_means


def heaps(*centres, size=8):
    rng = generator(0, "heaps")
    return np.concatenate([rng.normal(c, 0.1, (size, 2)) for c in centres])


def test_groups_are_numbered_by_their_first_point():
    points = heaps((5, 5), (0, 0))
    labels, _ = hdbscan(points, 5)
    assert labels[0] == 0
    assert set(labels[8:].tolist()) <= {1, NOISE}


def test_fewer_points_than_a_group_are_noise():
    labels, probabilities = hdbscan(np.zeros((3, 2)), 4)
    assert labels.tolist() == [NOISE] * 3
    assert probabilities.tolist() == [0.0] * 3


def test_kmeans_finds_the_heaps_and_everything_belongs_to_one():
    labels, memberships = kmeans(heaps((5, 5), (0, 0), (9, 0)), 3, generator(0, "k"))
    assert labels.tolist() == [0] * 8 + [1] * 8 + [2] * 8
    assert memberships.tolist() == [1.0] * 24


def test_group_of_one_is_none():
    points = np.array([[0.0], [0.1], [9.0], [5.0], [5.1]])
    labels, memberships = kmeans(points, 3, generator(0, "k"))
    assert labels.tolist() == [0, 0, NOISE, 1, 1]
    assert memberships.tolist() == [1, 1, 0, 1, 1]


@pytest.mark.parametrize(("distinct", "groups"), [(0, 0), (1, 1), (2, 2), (5, 4)])
def test_kmeans_never_makes_more_groups_than_points_differ(distinct, groups):
    points = np.repeat(np.arange(distinct, dtype=float)[:, None], 3, axis=0)
    labels, _ = kmeans(points, 4, generator(0, "k"))
    assert len(set(labels.tolist())) == groups


def test_weighted_means_by_hand():
    # group 0: (1 * 0 + 3 * 4) / 4 = 3; group 1: its only point; the noise point is ignored
    points = np.array([[0.0], [4.0], [7.0], [99.0]])
    means = weighted_means(points, np.array([0, 0, 1, NOISE]), np.array([1.0, 3.0, 0.5, 0.0]))
    assert means.tolist() == [[3.0], [7.0]]


@given(st.lists(st.integers(-1, 3), min_size=1, max_size=30))
def test_unweighted_means_agree_with_numpy(labels):
    _, codes = np.unique([label for label in labels if label != NOISE], return_inverse=True)
    numbered = np.full(len(labels), NOISE)
    numbered[np.array(labels) != NOISE] = codes
    points = generator(0, "points").normal(size=(len(labels), 2))
    expected = [points[numbered == g].mean(axis=0) for g in range(numbered.max() + 1)]
    means = weighted_means(points, numbered, np.ones(len(labels)))
    assert np.allclose(means, np.array(expected).reshape(-1, 2))
