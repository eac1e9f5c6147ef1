"""Choosing by a judging model's yes."""

import numpy as np
import pytest

from fedhds.rng import generator
from fedhds.selection.ask_llm import AskLLM
from fedhds.types import Signals


def pick(likely, quota):
    signals = Signals(len(likely), {"yes_probability": np.array(likely, np.float32)})
    received = {"quota": np.array([quota])}
    return AskLLM().pick(signals, received, {}, generator(0, "test")).indices.tolist()


def test_the_likeliest_are_taken():
    assert pick([0.1, 0.9, 0.3, 0.8], 2) == [1, 3]


@pytest.mark.parametrize(("quota", "expected"), [(0, []), (1, [1]), (2, [1, 2]), (3, [0, 1, 2])])
def test_of_equals_the_first_are_taken(quota, expected):
    assert pick([0.2, 0.5, 0.5, 0.2], quota) == expected


def test_tiny_probabilities_are_still_ranked():
    # a model that would rather say something else gives yes less than half precision holds
    assert pick([1e-30, 3e-30, 2e-30], 1) == [1]
