"""Streams of random numbers: apart from each other, the same everywhere, leaving no trace."""

import hashlib
from contextlib import suppress

import pytest
import torch

from fedhds.rng import derive, generator, torch_stream

STREAM = {"seed": 0, "purpose": "pick", "client": 1, "round": 2}


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"purpose": "select"}, {"client": 2}, {"round": 3}]
)
def test_streams_differ_in_each_of_their_names(change):
    one, other = generator(**STREAM), generator(**STREAM | change)
    assert one.integers(2**32, size=4).tolist() != other.integers(2**32, size=4).tolist()


def test_client_and_round_are_not_confused():
    seeds = {derive(0, "pick", client, round) for client in range(30) for round in range(30)}
    assert len(seeds) == 900
    assert derive(1, "1|pick") != derive(1, "pick", 1)


def test_known_values_stay_the_same():
    # By hand: the first 8 bytes of the digest, big-endian, without the lowest bit.
    digest = hashlib.sha256(b"7|pick|1|2").hexdigest()
    assert derive(7, "pick", 1, 2) == int(digest[:16], 16) // 2
    assert derive(0, "sample-clients", round=1) == 9152690769214136431
    drawn = generator(0, "sample-clients", round=1).integers(100, size=5)
    assert drawn.tolist() == [5, 97, 81, 26, 65]


@pytest.mark.parametrize("seed", [0, -1, 2**80])
def test_any_seed_gives_63_bits(seed):
    assert 0 <= derive(seed, "pick") < 2**63


def test_same_torch_stream_draws_the_same():
    drawn = []
    for _ in range(2):
        with torch_stream(**STREAM):
            drawn.append(torch.rand(3).tolist())
    assert drawn[0] == drawn[1]


def test_torch_state_is_restored_even_after_an_error():
    before = torch.get_rng_state()
    with suppress(ZeroDivisionError), torch_stream(**STREAM):
        torch.rand(1)
        raise ZeroDivisionError
    assert torch.equal(torch.get_rng_state(), before)
