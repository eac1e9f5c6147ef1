import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from fedhds.codecs.int8 import LARGEST_SCALE, SCALE, Int8

CODEC = Int8()
FINITE = st.floats(-float(np.float32(1e38)), float(np.float32(1e38)), width=32)


def scales_of(array):
    """Return the scales of an array's numbers, in its shape."""
    scales = CODEC.encode({"w": array})["w" + SCALE]
    if array.ndim == 2:
        along = 0 if array.shape[0] > array.shape[1] else 1
        return np.broadcast_to(np.expand_dims(scales, along), array.shape)
    return np.broadcast_to(scales, array.shape)


def back(array):
    return CODEC.decode(CODEC.encode({"w": array}))["w"]


@given(arrays(np.float32, array_shapes(max_dims=2, max_side=8), elements=FINITE))
def test_numbers_are_at_most_half_a_scale_away(array):
    # by rounding; a line whose largest is too small for a scale is lost: 127 * 2^-126
    error = np.abs(back(array).astype(np.float64) - array)
    assert (error <= np.maximum(scales_of(array).astype(np.float64) / 2, 127 * 2.0**-126)).all()


@given(arrays(np.float32, (3, 5), elements=st.floats(0, 2.0**100, width=32)))
def test_scale_is_hardly_above_its_lines_largest_part(array):
    # sixteen significant bits, rounded up: by 2^-15 of it at most
    exact = array.max(axis=1).astype(np.float64) / 127
    scales = CODEC.encode({"w": array})["w" + SCALE]
    assert (scales <= exact * (1 + 2.0**-15)).all()


@pytest.mark.parametrize(
    ("array", "steps", "scales"),
    [
        ([[127, -64, 0.4, 0.6, 0]], [[127, -64, 0, 1, 0]], [1]),
        # lines lie along the longer side: here one for each column
        ([[127, 0.5], [3, 0], [1, -63.5]], [[127, 1], [3, 0], [1, -127]], [1, 0.5]),
        ([[0, 0, 0], [0, 254, 3]], [[0, 0, 0], [0, 127, 2]], [0, 2]),  # 1.5 goes to even 2
        ([254, 1, 3], [127, 0, 2], [2]),  # .5 goes to 0
    ],
    ids=["one-line", "columns", "zeros", "one-dimension"],
)
def test_numbers_are_counted_in_scales(array, steps, scales):
    encoded = CODEC.encode({"w": np.array(array, np.float32)})
    assert encoded["w" + SCALE].tolist() == pytest.approx(scales, rel=2**-15)
    assert encoded["w"].tolist() == steps


def test_lines_do_not_touch_each_other():
    # numbers a million times smaller than others keep their digits, in both factors of LoRA
    small = np.linspace(-1e-6, 1e-6, 40, dtype=np.float32)
    for array in (np.stack([small, 1e6 * small]), np.stack([small, 1e6 * small], axis=1)):
        line = back(array)[0] if array.shape[0] == 2 else back(array)[:, 0]
        assert np.abs(line - small).max() <= 1.001e-6 / 127 / 2


def test_factors_of_lora_take_hardly_more_than_a_quarter():
    rank, width = 8, 512
    adapter = {"a": np.ones((rank, width)), "b": np.ones((width, rank))}
    adapter = {name: array.astype(np.float32) for name, array in adapter.items()}
    # a byte a number, and four for each of the eight lines
    size = sum(array.nbytes for array in CODEC.encode(adapter).values())
    assert size == 2 * (rank * width + 4 * rank)


def test_scale_that_could_overflow_is_refused_by_the_schema():
    spec = CODEC.schema({"w": np.ones(3, np.float32)})["w" + SCALE]
    assert spec.high == LARGEST_SCALE
    assert np.isfinite(np.float32(127) * np.float32(LARGEST_SCALE))
