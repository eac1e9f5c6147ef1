"""Places of samples in a plane."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedhds.evaluation import layout as module
from fedhds.evaluation.layout import layout
from fedhds.rng import generator


def clustered(sizes, seed=0):
    """Draw unit rows about as many orthogonal directions as there are sizes."""
    rng = np.random.default_rng(seed)
    centres = np.repeat(np.eye(len(sizes), 12), sizes, axis=0)
    rows = centres + rng.normal(0, 0.05, centres.shape)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def nearest_alike(places, labels):
    """Count the samples whose nearest other one is of their own cluster."""
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    return (labels[distances.argmin(1)] == labels).sum()


def test_what_is_alike_lies_together():
    rows, labels = clustered((30, 30, 30)), np.repeat(range(3), 30)
    assert nearest_alike(layout(rows, generator(0, "test")), labels) == 90


def test_samples_beside_the_landmarks_lie_amid_their_like(monkeypatch):
    monkeypatch.setattr(module, "LANDMARKS", 45)
    rows, labels = clustered((30, 30, 30)), np.repeat(range(3), 30)
    assert nearest_alike(layout(rows, generator(0, "test")), labels) >= 88


def test_same_generator_gives_the_same_map_and_leaves_the_rows():
    rows = clustered((9, 9))
    before = rows.copy()
    one, other = (layout(rows, generator(3, "test")) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(rows, before)


@pytest.mark.parametrize(
    "rows",
    [np.zeros((0, 3)), np.zeros((7, 3)), np.ones((4, 1)), np.eye(3), np.ones((9, 1))],
    ids=["none", "zeros", "one-number", "three", "alike"],
)
def test_too_few_different_samples_keep_their_first_numbers(rows):
    places = layout(rows.astype(np.float32), generator(0, "test"))
    assert places.shape == (len(rows), 2)
    np.testing.assert_array_equal(places[:, : min(2, rows.shape[1])], rows[:, :2])


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.integers(0, 9))
def test_every_sample_has_a_place_within_the_frame(sizes, seed):
    places = layout(clustered(sizes, seed), generator(seed, "test"))
    assert places.shape == (sum(sizes), 2)
    assert np.isfinite(places).all()
    assert np.abs(places).max(initial=0) <= 1 + 1e-6
