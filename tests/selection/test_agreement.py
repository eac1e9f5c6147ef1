import numpy as np
import pytest

from fedhds.rng import generator
from fedhds.selection import _agreement
from fedhds.selection._agreement import agreement

EACH = 15


def two_tasks(noise=0.3):
    """Make states whose prompts and responses are each near those of their task."""
    rng = generator(0, "tasks")
    centres = rng.normal(size=(2, 2, 3, 32))
    states = np.repeat(centres, EACH, axis=0) + noise * rng.normal(size=(2 * EACH, 2, 3, 32))
    return states.astype(np.float32)


@pytest.mark.parametrize("wrong", [0, 7, 22])
def test_answer_of_another_task_agrees_least(wrong):
    states = two_tasks()
    states[wrong, 1] = states[(wrong + EACH) % (2 * EACH), 1]
    found = agreement(states, 0)
    assert found.argmin() == wrong
    # it is with those that it is not like, and apart from those that it is
    assert found[wrong] < 0 < np.delete(found, wrong).min()


def test_right_answers_agree_about_as_the_tasks_are_apart():
    # Centred on their mean, responses of two tasks point in opposite directions, c and -c, up
    # to noise: neighbours give c, all 29 others (14 c - 15 c) / 29, so 1.03 c of c below 1.
    found = agreement(two_tasks(noise=0.01), 0)
    assert np.allclose(found, 1 + 1 / 29, atol=0.02)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_cannot_disagree(count):
    assert agreement(two_tasks()[:count], 0).tolist() == [0.0] * count


def test_identical_samples_all_agree_alike():
    assert agreement(np.ones((5, 2, 3, 8), np.float32), 0).tolist() == [0.0] * 5


@pytest.mark.parametrize("block", [1, 4, 29])
def test_blocks_change_nothing(monkeypatch, block):
    whole = agreement(two_tasks(), 0)
    monkeypatch.setattr(_agreement, "BLOCK", block)
    assert np.allclose(agreement(two_tasks(), 0), whole, atol=1e-6)


def test_states_that_are_not_finite_are_refused():
    states = two_tasks()
    states[3, 1, 0, 0] = np.inf
    with pytest.raises(ValueError, match="mean states hold non-finite"):
        agreement(states, 0)
