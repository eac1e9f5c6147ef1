import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fedhds.codecs.bfloat16 import BFloat16
from fedhds.codecs.float32 import Float32

CODEC = BFloat16()
LARGEST = 255 * 2.0**120
"""Eight bits of ones, the first of them 2^127."""

FINITE = st.floats(-LARGEST, LARGEST, width=32, allow_subnormal=True)


def back(array):
    return CODEC.decode(CODEC.encode({"w": array}))["w"]


@given(arrays(np.float32, st.integers(1, 40), elements=FINITE))
def test_numbers_are_at_most_half_a_step_away(array):
    # eight significant bits: a step is 2^-7 of the power of two below, half of it 2^-8;
    # below 2^-126 all steps are 2^-133
    bound = np.maximum(np.abs(array.astype(np.float64)) * 2.0**-8, 2.0**-134)
    assert (np.abs(back(array).astype(np.float64) - array) <= bound).all()


@given(arrays(np.float32, st.integers(1, 40), elements=FINITE))
def test_it_rounds_as_torch_does(array):
    expected = torch.from_numpy(array.copy()).to(torch.bfloat16).to(torch.float32).numpy()
    assert np.array_equal(back(array), expected)  # which takes -0 for 0


@pytest.mark.parametrize(
    ("bits", "rounded"),
    [(0x3F808000, 0x3F800000), (0x3F818000, 0x3F820000), (0x3F808001, 0x3F810000)],
    ids=["tie-to-even-below", "tie-to-even-above", "above-the-tie"],
)
def test_ties_go_to_the_even_one(bits, rounded):
    array = np.array([bits, bits | 0x80000000], np.uint32).view(np.float32)
    assert back(array).view(np.uint32).tolist() == [rounded, rounded | 0x80000000]


def test_it_takes_half_the_bytes():
    adapter = {"w": np.ones((8, 100), np.float32)}
    sizes = [codec.encode(adapter)["w"].nbytes for codec in (CODEC, Float32())]
    assert sizes == [1600, 3200]
