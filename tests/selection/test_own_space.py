import numpy as np
import pytest

from fedhds.rng import generator
from fedhds.selection._own_space import own_space


def states(count):
    return generator(0, "states").normal(size=(count, 2, 3, 16)).astype(np.float32)


def test_samples_lie_around_their_own_mean_at_length_one():
    # all samples have much in common, which is taken away: 200 directions' mean is of a length
    # of about 1 / sqrt(200) = .07, and of 1 if what is common stays
    points = own_space(states(200) + 10)
    assert points.dtype == np.float32
    assert np.allclose(np.linalg.norm(points, axis=1), 1, atol=1e-5)
    assert np.linalg.norm(points.mean(axis=0)) < 0.3


def test_prompt_and_response_count_alike_whatever_their_lengths():
    longer = states(20)
    longer[:, 1] *= 100
    assert np.allclose(own_space(longer), own_space(states(20)), atol=1e-4)


def test_both_prompt_and_response_tell_samples_apart():
    for span in (0, 1):
        half = states(20)
        half[:, span] = half[0, span]
        assert np.unique(own_space(half), axis=0).shape == (20, 256)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_samples_without_any_difference_lie_at_the_mean(count):
    alike = np.repeat(states(1), count, axis=0)
    assert own_space(alike).shape == (count, 256)
    assert not own_space(alike).any()


def test_other_seed_is_another_projection():
    assert not np.allclose(own_space(states(5), 1), own_space(states(5)), atol=0.1)


def test_what_is_not_finite_is_refused():
    broken = states(3)
    broken[1, 1, 2, 3] = np.nan
    with pytest.raises(ValueError, match="mean states hold non-finite"):
        own_space(broken)
