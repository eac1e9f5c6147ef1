import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedhds.evaluation.bootstrap import interval

values = st.lists(st.floats(-1, 1), min_size=1, max_size=20).map(np.array)


@given(values)
@settings(max_examples=25)
def test_lies_within_the_values(differences):
    low, high = interval(differences, seed=0, draws=50)
    assert differences.min() - 1e-12 <= low <= high <= differences.max() + 1e-12


def test_matches_the_normal_interval_of_a_large_sample():
    differences = np.random.default_rng(0).normal(0.3, 1.0, 2000)
    # mean -+ 1.96 sd / sqrt(n)
    half = 1.96 * differences.std() / np.sqrt(2000)
    expected = differences.mean() - half, differences.mean() + half
    assert interval(differences, seed=0) == pytest.approx(expected, abs=0.004)


def test_a_higher_level_is_wider():
    differences = np.arange(20.0)
    narrow, wide = interval(differences, 0, level=0.5), interval(differences, 0, level=0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_depends_on_the_seed_alone():
    differences = np.arange(20.0)
    assert interval(differences, 3) == interval(differences, 3) != interval(differences, 4)


def test_one_sample_has_no_width():
    assert interval(np.array([0.25]), seed=0) == (0.25, 0.25)


@pytest.mark.parametrize(
    ("differences", "level", "message"), [([], 0.9, "one sample"), ([1], 1.0, "level")]
)
def test_refuses_what_has_no_interval(differences, level, message):
    with pytest.raises(ValueError, match=message):
        interval(np.array(differences), 0, level=level)
