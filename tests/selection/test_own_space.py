"""The space of one client's own samples."""

import numpy as np
import pytest

from fedhds.rng import generator
from fedhds.selection._own_space import own_space


def states_of(kinds):
    """Mean states of two layers, alike within a kind but for a little, and far from zero."""
    rng = generator(0, "kinds")
    centres = 3 + rng.normal(size=(max(kinds) + 1, 2, 2, 16))
    return (centres[kinds] + 0.01 * rng.normal(size=(len(kinds), 2, 2, 16))).astype(np.float32)


def test_rows_have_unit_length_and_set_kinds_apart():
    states = states_of([0, 1, 1, 2, 2, 2])
    rows = own_space(states)
    assert (rows.dtype, rows.shape) == (np.float32, (6, 256))
    assert np.linalg.norm(rows, axis=1) == pytest.approx([1] * 6, abs=1e-5)
    cosines = rows @ rows.T
    assert cosines[1, 2] > 0.99
    assert cosines[0, 1] < 0.5
    assert np.array_equal(rows, own_space(states))
    assert not np.allclose(rows, own_space(states, seed=1))


def test_prompts_and_responses_count_alike():
    states = states_of([0, 1, 2, 3])
    prompts, responses = states.copy(), states.copy()
    prompts[3, 0], responses[3, 1] = states[2, 0], states[2, 1]
    for alike in (prompts, responses):  # of samples 2 and 3 one half is the same
        rows = own_space(alike)
        assert 0.2 < rows[2] @ rows[3] < 0.7


@pytest.mark.parametrize("count", [0, 1, 3])
def test_what_is_all_alike_is_zeros(count):
    rows = own_space(np.ones((count, 2, 3, 4), np.float32))
    assert rows.shape == (count, 256)
    assert not rows.any()
