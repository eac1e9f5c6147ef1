import numpy as np
import pytest

from fedhds.rng import generator
from fedhds.selection._shared_space import agree, moments, of_unit_length, place, project


def features(count, parts=2, width=40, name="features"):
    return generator(0, name).normal(size=(count, parts, width)).astype(np.float32)


def test_same_seed_is_the_same_space_on_every_client():
    alike = features(1)
    one = project([np.concatenate([alike, features(3)])], 16, 7)
    other = project([np.concatenate([alike, features(5, name="others")])], 16, 7)
    assert np.allclose(one[0], other[0], atol=1e-6)
    assert not np.allclose(one[0], project([alike], 16, 8)[0], atol=0.1)


def test_inner_products_are_kept():
    # of unit vectors an inner product's error has a standard deviation of at most
    # sqrt(2 / dimensions) = .022, and 190 pairs stay within five of them
    rows = features(20)
    exact = of_unit_length(rows).reshape(20, -1) / np.sqrt(2)  # two parts count half each
    projected = project([rows], 4096, 0)[:, 0]
    assert np.abs(projected @ projected.T - exact @ exact.T).max() < 5 * 0.022


def test_a_part_counts_by_its_direction_alone():
    rows = features(4)
    louder = rows * np.array([[[1.0], [1000.0]]], np.float32)
    assert np.allclose(project([rows], 16, 0), project([louder], 16, 0), atol=1e-5)


def test_parts_of_zeros_add_nothing():
    rows = features(1)
    half = rows.copy()
    half[:, 1] = 0
    both, first = (np.linalg.norm(project([r], 4096, 0)) for r in (rows, half))
    # of two equal shares one is left: 1 and sqrt(1/2), each within a tenth
    assert (both, first) == (pytest.approx(1, abs=0.1), pytest.approx(0.5**0.5, abs=0.1))
    assert not project([np.zeros_like(rows)], 16, 0).any()


def test_kinds_have_matrices_of_their_own():
    rows = features(3)
    assert not np.allclose(*project([rows, rows], 16, 0).swapaxes(0, 1), atol=0.1)


@pytest.mark.parametrize("second", [False, True])
def test_moments_pooled_are_those_of_all_samples(second):
    projected = features(9, 2, 3)
    parts = [moments(projected[:2], True), moments(projected[2:], True)]
    space = agree(parts, np.array([2, 7]), 6)
    rows = projected.reshape(9, 6)
    assert np.allclose(space["mean"], rows.mean(axis=0), atol=1e-6)
    # all directions are kept: they make the covariance diagonal, the largest variance first
    variances = space["basis"].T @ np.cov(rows.T, bias=True) @ space["basis"]
    assert np.allclose(variances, np.diag(np.diag(variances)), atol=1e-5)
    assert (np.diff(np.diag(variances)) <= 1e-5).all()


def test_a_client_without_samples_has_no_say():
    some = moments(features(5, 1, 4), False)
    nothing = moments(np.zeros((0, 1, 4), np.float32), False)
    assert not nothing["mean"].any()
    space = agree([nothing, some], np.array([0, 5]), 4)
    assert np.allclose(space["mean"], some["mean"])


def test_basis_is_the_direction_of_most_variance():
    # (-2, 1, 5), (2, -1, 5): all variance is along (2, -1, 0) / sqrt(5); the common 5 is none
    rows = np.array([[[-2, 1, 5]], [[2, -1, 5]]], np.float32)
    space = agree([moments(rows, True)], np.array([2]), 1)
    assert np.allclose(space["basis"][:, 0], np.array([2, -1, 0]) / 5**0.5)


def test_basis_is_orthonormal_and_its_signs_are_fixed():
    space = agree([moments(features(30, 2, 4), True)], np.array([30]), 5)
    basis = space["basis"]
    assert np.allclose(basis.T @ basis, np.eye(5), atol=1e-5)
    assert (basis[np.abs(basis).argmax(axis=0), np.arange(5)] > 0).all()


SPACES = [{}, {"mean": np.full(6, 0.5, np.float32)}, {"basis": np.eye(6, 2, dtype=np.float32)}]


@pytest.mark.parametrize("space", SPACES, ids=["random", "centred", "pca"])
def test_rows_are_of_unit_length_or_zero(space):
    projected = features(5, 2, 3)
    projected[3] = space.get("mean", np.zeros(6)).reshape(2, 3)  # what differs from nothing
    lengths = np.linalg.norm(place(projected, space, [0.5, 0.5]), axis=1)
    assert np.allclose(lengths, [1, 1, 1, 0, 1], atol=1e-6)


@pytest.mark.parametrize("second", [False, True])
def test_what_all_samples_have_alike_is_no_direction(second):
    # products of equal rows are equal up to rounding alone
    projected = project([np.repeat(features(1), 7, axis=0)], 16, 0)
    space = agree([moments(projected, second)], np.array([7]), 8)
    assert not place(projected, space, [1.0]).any()


def test_shares_say_how_much_a_kind_counts():
    # directions (1, 0) and (0, 1) with shares .8 and .2: lengths sqrt(.8) and sqrt(.2), 1 in all
    projected = np.array([[[7, 0], [0, 3]]], np.float32)
    assert np.allclose(place(projected, {}, [0.8, 0.2]) ** 2, [[0.8, 0.2]])
