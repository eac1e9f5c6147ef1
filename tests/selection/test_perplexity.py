"""Choosing by the loss of the response after its prompt."""

import numpy as np
import pytest

from fedhds.rng import generator
from fedhds.selection.perplexity import Perplexity
from fedhds.types import Signals


def pick(losses, quota, **options):
    signals = Signals(len(losses), {"loss_with_prompt": np.array(losses, np.float32)})
    received = {"quota": np.array([quota])}
    chosen = Perplexity(**options).pick(signals, received, {}, generator(0, "perplexity"))
    return chosen.indices.tolist()


@pytest.mark.parametrize(
    ("prefer", "expected"),
    [
        ("low", [1, 3]),  # .1 and .2
        ("high", [0, 4]),  # 4 and 3
        ("middle", [2, 3]),  # 1 is the third of five; .2 and 3 stand beside it, .2 comes first
    ],
)
def test_samples_of_the_preferred_perplexity_are_taken(prefer, expected):
    assert pick([4, 0.1, 1, 0.2, 3], 2, prefer=prefer) == expected


def test_of_equal_samples_the_first_are_taken():
    assert pick([1, 1, 1, 1], 2) == [0, 1]


def test_nothing_but_the_loss_after_the_prompt_is_read():
    assert Perplexity().reads() == {"loss_with_prompt": ("base", "loss_with_prompt")}
