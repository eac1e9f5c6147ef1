import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import random_samples, sample

from fedhds.evaluation.generation import generate
from fedhds.evaluation.scores import Scores, choose, evaluate
from fedhds.losses import losses
from fedhds.types import Silent

SCORES = Scores(
    ("a", "b", "a"), np.array([0.5, 1.0, 0.0]), np.array([6.0, 1.0, 2.0]), np.array([3.0, 2.0, 1.0])
)
tasks = st.lists(st.sampled_from("abc"), max_size=20)


def of_tasks(names):
    return [sample([i + 4], [5], task) for i, task in enumerate(names)]


def test_means():
    assert SCORES.rouge_l_mean == 0.5
    assert SCORES.loss_mean == 1.5  # (6 + 1 + 2) / (3 + 2 + 1)


def test_per_task():
    assert SCORES.per_task() == {
        "a": {"n": 2, "rouge_l": 0.25, "loss": 2.0},  # (6 + 2) / (3 + 1)
        "b": {"n": 1, "rouge_l": 1.0, "loss": 0.5},
    }


def test_means_of_nothing_are_not_a_number():
    nothing = Scores((), np.array([]), np.array([]), np.array([]))
    assert math.isnan(nothing.rouge_l_mean)
    assert math.isnan(nothing.loss_mean)


def test_survives_json():
    back = Scores.from_dict(json.loads(json.dumps(SCORES.as_dict())))
    assert back.as_dict() == SCORES.as_dict()
    assert back.rouge_l.dtype == np.float64


def test_evaluate_scores_greedy_answers(model, samples):
    answers = generate(model, [one.prompt for one in samples], 6, 2, Silent())
    wanted = [
        sample(one.prompt, one.response, "t", ("no such answer", text))
        for one, text in zip(samples, answers, strict=True)
    ]
    scores = evaluate(model, wanted, 6, 3, Silent())
    assert scores.rouge_l_mean == 1.0
    expected = losses(model, samples, 1, Silent())
    np.testing.assert_allclose(scores.loss_sums, expected[:, 0], rtol=1e-4)


def test_evaluate_of_nothing(model):
    assert evaluate(model, [], 4, 2, Silent()).as_dict() == {
        "tasks": [],
        "rouge_l": [],
        "loss_sums": [],
        "token_counts": [],
    }


def test_choose_all():
    samples = random_samples(5)
    assert choose(samples, None, seed=0) == samples


@given(tasks, st.integers(1, 5))
def test_choose_takes_so_many_of_each_task_in_order(names, per_task):
    samples = of_tasks(names)
    chosen = choose(samples, per_task, seed=0)
    positions = [samples.index(one) for one in chosen]
    assert positions == sorted(set(positions))
    for task in set(names):
        taken = sum(one.example.task == task for one in chosen)
        assert taken == min(per_task, names.count(task))


@given(tasks)
def test_choose_of_one_task_ignores_the_others(names):
    samples = of_tasks(names)
    together = [one for one in choose(samples, 2, seed=1) if one.example.task == "a"]
    assert together == choose([one for one in samples if one.example.task == "a"], 2, seed=1)


@pytest.mark.parametrize("seed", range(3))
def test_choose_draws_by_seed(seed):
    samples = of_tasks("a" * 50)
    drawn = choose(samples, 10, seed)
    assert drawn == choose(samples, 10, seed) != choose(samples, 10, seed + 1)
