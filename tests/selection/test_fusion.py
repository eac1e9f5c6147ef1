import numpy as np
import pytest

from fedhds.rng import generator
from fedhds.selection._fusion import fuse

FUSIONS = ("tsne", "pca", "kernel-pca", "none")
RNG = generator(0, "fusion")


def features(count=20, width=6):
    return generator(0, "f").normal(size=(count, width))


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("count", [0, 1, 3])
def test_too_few_samples_lie_at_the_origin(fusion, count):
    expected = 5 if fusion == "none" else 2
    assert fuse(np.ones((count, 5)), fusion, 2, RNG).tolist() == [[0.0] * expected] * count


@pytest.mark.parametrize("fusion", FUSIONS)
def test_samples_that_differ_by_rounding_lie_at_the_origin(fusion):
    alike = np.full((9, 3), 7.0)
    alike[0, 0] += 1e-7
    assert not fuse(alike, fusion, 2, RNG).any()


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("dimensions", [1, 2, 5])
def test_same_seed_gives_the_same_points_in_as_many_dimensions(fusion, dimensions):
    one, same = (fuse(features(), fusion, dimensions, generator(0, "t")) for _ in range(2))
    assert np.array_equal(one, same)
    assert one.shape == (20, 6 if fusion == "none" else dimensions)
    assert one.dtype == np.float32


@pytest.mark.parametrize("fusion", FUSIONS)
def test_more_dimensions_than_samples_work(fusion):
    fused = fuse(features(4, 7), fusion, 6, RNG)
    assert fused.shape == (4, 7 if fusion == "none" else 6)
    assert np.isfinite(fused).all()


def test_pca_keeps_the_directions_of_largest_variance():
    # nearly all variance lies along (3, 4) / 5, so the first coordinate is the position on it
    along = np.linspace(-1, 1, 11)
    points = np.outer(along, [3.0, 4.0]) + np.outer(np.cos(9 * along), [-0.004, 0.003])
    first = fuse(points, "pca", 1, RNG)[:, 0]
    assert np.allclose(np.abs(first), np.abs(5 * along), atol=0.02)


@pytest.mark.parametrize("fusion", ["pca", "kernel-pca"])
def test_directions_that_are_not_there_are_zero(fusion):
    # five points span four directions around their mean at most; the sixth is missing
    fused = fuse(features(5, 3 if fusion == "pca" else 8), fusion, 6, RNG)
    assert fused.shape == (5, 6)
    assert not fused[:, 5].any()


def test_kernel_pca_parts_what_no_line_can():
    # a ring around a heap: along any line they overlap, by distance to the heap they do not
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    ring = 5 * np.c_[np.cos(angles), np.sin(angles)]
    heap = generator(0, "heap").normal(0, 0.3, (40, 2))
    first = fuse(np.concatenate([ring, heap]), "kernel-pca", 3, RNG)
    gaps = [abs(c[:40].mean() - c[40:].mean()) / (c[:40].std() + c[40:].std()) for c in first.T]
    assert max(gaps) > 2


def test_scale_of_the_features_does_not_matter_to_kernel_pca():
    small, large = (fuse(scale * features(), "kernel-pca", 2, RNG) for scale in (0.01, 1000))
    assert np.allclose(small, large, atol=1e-4)


@pytest.mark.parametrize("scale", [1e-20, 1e20])
def test_features_whose_squares_leave_the_number_range_are_laid_out(scale):
    features = generator(0, "scale").normal(size=(12, 40)).astype(np.float32)
    plain, scaled = (
        fuse(each, "tsne", 2, generator(0, "map"))
        for each in (features, (features * np.float32(scale)))
    )
    assert np.isfinite(scaled).all()
    assert np.ptp(plain, axis=0).min() > 0
    assert np.ptp(scaled, axis=0).min() > 0
