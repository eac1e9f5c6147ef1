import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from fedhds.rng import generator
from fedhds.selection._race import BLOCK, PROJECTIONS, counted, density, hashed


def unit_rows(count, dimensions=32):
    rows = generator(0, "rows").normal(size=(count, dimensions))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def together(points, bandwidth, buckets):
    """Return the share of rows in which the first two points fall into one bucket."""
    one, other = hashed(points[:2], 4000, buckets, bandwidth, 0)
    return (one == other).mean()


@settings(max_examples=20)
@given(st.lists(st.integers(0, BLOCK + 90), max_size=3))
def test_counts_of_parts_add_up_to_the_counts_of_all_exactly(cuts):
    points = unit_rows(BLOCK + 90)
    parts = np.split(points, sorted(cuts))
    sketches = [counted(hashed(part, 20, 64, 0.5, 0), 64) for part in parts]
    assert np.array_equal(sum(sketches), counted(hashed(points, 20, 64, 0.5, 0), 64))


def test_each_row_counts_every_point_once():
    counts = counted(hashed(unit_rows(50), 7, 11, 0.5, 0), 11)
    assert counts.shape == (7, 11)
    assert counts.dtype == np.int32
    assert counts.sum(axis=1).tolist() == [50] * 7


@pytest.mark.parametrize("bandwidth", [0.5, 1.75, 4.0])
@pytest.mark.parametrize("gap", [0.1, 0.5, 1.0])
def test_near_points_share_buckets_as_often_as_the_hash_promises(gap, bandwidth):
    # Datar et al. 2004, section 3.2, for each of the hashes a row joins
    ratio = bandwidth / gap
    one = 1 - 2 * norm.cdf(-ratio)
    one -= 2 / (np.sqrt(2 * np.pi) * ratio) * (1 - np.exp(-(ratio**2) / 2))
    expected = one**PROJECTIONS
    points = np.zeros((2, 32), np.float32)
    points[1, 5] = gap
    # four standard deviations of 4,000 rows, and a bucket in 2**20 shared by chance
    margin = 4 * np.sqrt(expected * (1 - expected) / 4000) + 1e-3
    assert together(points, bandwidth, 2**20) == pytest.approx(expected, abs=margin)


def test_far_points_share_a_bucket_by_chance_alone():
    # one bucket of 4, within four standard deviations of 4,000 rows
    margin = 4 * np.sqrt(0.25 * 0.75 / 4000)
    assert together(unit_rows(2), 0.01, 4) == pytest.approx(0.25, abs=margin)


def test_other_seed_is_another_hash():
    one, other = (hashed(unit_rows(30), 20, 64, 0.5, seed) for seed in (0, 1))
    assert (one == other).mean() < 0.1


@pytest.mark.parametrize("buckets", [64, 2048])
def test_density_is_the_number_of_copies_whatever_shares_a_bucket_by_chance(buckets):
    # at so small a bandwidth nothing but copies is near. Of the 40 others and the 10 copies, by
    # chance in a bucket together, a mean over 1,000 rows has a variance of at most
    # (40 + 10**2) / buckets / 1,000: at 64 buckets a deviation of .05, and .3 is six of them
    points = unit_rows(41)[[*range(40), *[40] * 10]]
    found = hashed(points, 1000, buckets, 0.01, 0)
    estimated = density(found, counted(found, buckets))
    assert (estimated >= 1).all()
    assert estimated[:40] == pytest.approx(np.ones(40), abs=0.3)
    assert estimated[40:] == pytest.approx(np.full(10, 10), abs=0.3)


def test_no_points_count_nothing():
    found = hashed(unit_rows(0), 5, 8, 1.0, 0)
    assert found.shape == (0, 5)
    assert not counted(found, 8).any()
    assert density(found, counted(found, 8)).shape == (0,)
