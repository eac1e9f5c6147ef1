"""Instruction-following difficulty, and the samples it prefers."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fedhds.rng import generator
from fedhds.selection._alignment import ira
from fedhds.selection.ifd import IFD, ifd
from fedhds.types import Signals

LOSSES = st.lists(st.tuples(st.floats(0, 12, width=32), st.floats(0, 12, width=32)), max_size=20)


def signals_of(pairs):
    with_prompt, alone = np.array(pairs, np.float32).reshape(len(pairs), 2).T
    return Signals(len(pairs), {"loss_with_prompt": with_prompt, "loss_uninstructed": alone})


def pick(pairs, quota):
    received = {"quota": np.array([quota])}
    chosen = IFD().pick(signals_of(pairs), received, {}, generator(0, "ifd"))
    return chosen.indices.tolist()


@given(LOSSES)
def test_alignment_is_minus_its_logarithm(pairs):
    losses = np.array(pairs, np.float32).reshape(len(pairs), 2).T
    np.testing.assert_allclose(ira(*losses), -np.log(ifd(*losses)), atol=1e-5)


def test_it_is_the_ratio_of_two_perplexities():
    # perplexities exp(1) and exp(3) of one response: their ratio is exp(-2)
    np.testing.assert_allclose(ifd(np.array([1]), np.array([3])), np.exp([-2]))


def test_highest_below_one_comes_first():
    # ratios exp(-2), exp(-.5), exp(-1)
    assert pick([(1, 3), (1, 1.5), (1, 2)], 1) == [1]


def test_what_misleads_comes_last_the_least_misleading_first():
    # ratios exp(2), exp(-1), 1, exp(1)
    pairs = [(3, 1), (1, 2), (1, 1), (2, 1)]
    assert [pick(pairs, count) for count in (1, 2, 3)] == [[1], [1, 2], [1, 2, 3]]


def test_of_equal_samples_the_first_are_taken():
    assert pick([(1, 2)] * 4, 2) == [0, 1]
