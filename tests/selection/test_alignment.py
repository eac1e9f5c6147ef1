"""Losses of two spans and what they tell together."""

import numpy as np
import pytest

from fedhds.selection._alignment import ira
from fedhds.types import Signals


def signals(alone, prompted):
    arrays = {"loss_alone": np.float32(alone), "loss_with_prompt": np.float32(prompted)}
    return Signals(len(alone), arrays)


def test_ira_is_minus_the_logarithm_of_ifd():
    alone, prompted = np.array([4.0, 0.25, 11.0, 2.0]), np.array([1.5, 3.0, 11.0, 0.0])
    # IFD is the perplexity with the prompt over that without
    ifd = np.exp(prompted) / np.exp(alone)
    assert np.allclose(ira(signals(alone, prompted)), -np.log(ifd), atol=1e-5)


def test_no_samples_have_no_ira():
    assert ira(signals([], [])).shape == (0,)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_losses_that_are_not_finite_are_refused(value):
    for alone, prompted in (([1, value], [1, 1]), ([1, 1], [1, value]), ([value], [value])):
        with pytest.raises(ValueError, match="losses hold non-finite"):
            ira(signals(alone, prompted))
