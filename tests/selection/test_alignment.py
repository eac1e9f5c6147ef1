"""Losses of two spans and what they tell together."""

import numpy as np
import pytest

from fedhds.selection._alignment import ira


def test_ira_is_minus_the_logarithm_of_ifd():
    bare, prompted = np.array([4.0, 0.25, 11.0, 2.0]), np.array([1.5, 3.0, 11.0, 0.0])
    # IFD is the perplexity with the instruction over that without
    ifd = np.exp(prompted) / np.exp(bare)
    assert np.allclose(ira(np.float32(prompted), np.float32(bare)), -np.log(ifd), atol=1e-5)


def test_no_samples_have_no_ira():
    assert ira(np.zeros(0), np.zeros(0)).shape == (0,)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_losses_that_are_not_finite_are_refused(value):
    for bare, prompted in (([1, value], [1, 1]), ([1, 1], [1, value]), ([value], [value])):
        with pytest.raises(ValueError, match="losses hold non-finite"):
            ira(np.array(prompted), np.array(bare))
