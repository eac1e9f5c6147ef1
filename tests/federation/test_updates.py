import numpy as np
import pytest

from fedhds import registry
from fedhds.federation.updates import decode_update, encode_update
from fedhds.rng import generator

ROUNDS = 100


@pytest.fixture(params=registry.names("codec"))
def codec(request):
    return registry.load("codec", request.param)()


def test_small_changes_add_up(codec):
    # one step of 8 significant bits is .0078 at 1, and an int8 one is as much: a change of
    # 1e-4 would never be seen if the adapter itself were rounded
    own = {"w": np.array([[1.0, -1.0, 1.0]], np.float32)}
    change = np.array([[1e-4, 1e-4, -1e-4]], np.float32)
    for _ in range(ROUNDS):
        received = codec.decode(codec.encode(own))
        trained = {"w": received["w"] + change}
        own = decode_update(codec, encode_update(codec, trained, received), own)
    # each is at most 2^-8 of itself away, and adding it loses 2^-24 of 1; so does training
    off = np.abs(own["w"] - np.array([[1.01, -0.99, 0.99]]))
    assert off.max() <= 0.01 * 2**-8 + ROUNDS * 2 * 2**-24


def test_exact_codec_sends_the_adapter_itself():
    codec, rng = registry.load("codec", "float32")(), generator(0, "updates")
    received, trained, own = ({"w": rng.normal(size=(3, 4)).astype(np.float32)} for _ in range(3))
    encoded = encode_update(codec, trained, received)
    assert np.array_equal(encoded["w"], trained["w"])
    # sums of what was subtracted would differ in the last bits
    assert np.array_equal(decode_update(codec, encoded, own)["w"], trained["w"])
