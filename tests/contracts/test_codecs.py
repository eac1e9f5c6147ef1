"""What every codec must keep to."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from tiny import tiny_adapter, tiny_language_model

from fedhds import registry
from fedhds.federation.messages import ADAPTER, BadMessage, Content, Part, pack, unpack
from fedhds.models import adapter_arrays, set_adapter_arrays
from fedhds.rng import generator

SHAPES = [(2, 7), (7, 2), (3, 3), (5,), (1,), (), (2, 3, 4), (0, 3), (3, 0), (0,)]
# beyond these a codec may refuse: tuning that gets there has long failed
NUMBERS = st.floats(-(2.0**100), 2.0**100, width=32)
ADAPTERS = arrays(np.float32, array_shapes(max_dims=3, max_side=6), elements=NUMBERS)


@pytest.fixture(params=registry.names("codec"))
def codec(request):
    return registry.load("codec", request.param)()


def adapter():
    rng = generator(0, "codecs")
    return {str(shape): rng.normal(size=shape).astype(np.float32) for shape in SHAPES}


def travel(codec, arrays, like=None):
    """Encode arrays, send them through a real message, and return them as they were received."""
    schemas = {ADAPTER: codec.schema(like or arrays)}
    sent = pack(Content(arrays={ADAPTER: codec.encode(arrays)}))
    return codec.decode(unpack(sent, Part(required=(ADAPTER,)), schemas).arrays[ADAPTER])


def test_names_shapes_and_dtypes_come_back(codec):
    back = travel(codec, adapter())
    assert {n: (a.shape, a.dtype.name) for n, a in back.items()} == {
        name: (array.shape, "float32") for name, array in adapter().items()
    }


def test_what_is_encoded_is_left_as_it_was(codec):
    given_arrays, before = adapter(), adapter()
    codec.encode(given_arrays)
    assert all(np.array_equal(given_arrays[name], before[name]) for name in before)


def test_untrained_parameters_stay_zero(codec):
    zeros = {name: np.zeros_like(array) for name, array in adapter().items()}
    assert not any(array.any() for array in travel(codec, zeros).values())


def test_exact_one_gives_every_bit_back(codec):
    back = travel(codec, adapter())
    same = all(np.array_equal(back[name], array) for name, array in adapter().items())
    assert same == codec.exact


@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("shape", [(2, 7), (7, 2), (5,)])
def test_what_is_not_finite_is_refused_on_arrival(codec, shape, value):
    array = np.ones(shape, np.float32)
    array[-1] = value
    with pytest.raises(BadMessage, match="out of range"):
        travel(codec, {"w": array})


def test_no_bits_of_what_is_no_number_pass(codec):
    bits = np.array([0x7FFFFFFF, 0xFFFFFFFF, 0x7F800001, 0xFF800001, 0x7FBFFFFF], np.uint32)
    for each in bits.view(np.float32):
        with pytest.raises(BadMessage, match="out of range"):
            travel(codec, {"w": np.array([[1, each]], np.float32)})


@pytest.mark.parametrize("shape", [(2, 8), (7, 2), (14,), (2, 7, 1)])
def test_another_shape_is_refused(codec, shape):
    with pytest.raises(BadMessage):
        travel(codec, {"w": np.ones(shape, np.float32)}, like={"w": np.ones((2, 7), np.float32)})


@pytest.mark.parametrize("kind", registry.names("adapter"))
def test_every_kind_of_adapter_can_be_sent(codec, kind):
    model = tiny_language_model(adapter=tiny_adapter(kind)).model
    sent = adapter_arrays(model)
    set_adapter_arrays(model, travel(codec, sent))
    for name, array in adapter_arrays(model).items():
        # the largest are some tenths; half a step of either codec is below a hundredth of that
        assert np.allclose(array, sent[name], atol=np.abs(sent[name]).max() / 100)


@pytest.mark.parametrize("name", registry.names("codec"))
@given(array=ADAPTERS)
@example(array=np.array([3.37465e-39], np.float32))
@example(array=np.array([127 * 2.0**-126, 2.0**-126], np.float32))
def test_what_was_received_is_encoded_as_the_same_again(name, array):
    codec = registry.load("codec", name)()
    once = travel(codec, {"w": array})
    assert np.array_equal(travel(codec, once)["w"], once["w"])
