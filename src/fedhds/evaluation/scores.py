"""Scores of a model on samples: computed, summed up per task, and kept as plain data."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedhds.evaluation.generation import generate
from fedhds.evaluation.rouge_l import score
from fedhds.losses import losses
from fedhds.models import LanguageModel, inference
from fedhds.rng import generator
from fedhds.types import Progress, Sample


@dataclass(frozen=True)
class Scores:
    """Parallel columns, one entry per sample.

    Attributes
    ----------
    tasks : tuple of str
        The task each sample belongs to.
    rouge_l : ndarray of float64, shape (n_samples,)
        Rouge-L F1 of the model's answer, 0 to 1.
    loss_sums, token_counts : ndarray of float64, shape (n_samples,)
        Negative log likelihood of the reference answer, and its tokens.
    """

    tasks: tuple[str, ...]
    rouge_l: NDArray[np.float64]
    loss_sums: NDArray[np.float64]
    token_counts: NDArray[np.float64]

    @property
    def rouge_l_mean(self) -> float:
        """Mean Rouge-L over samples; NaN without samples."""
        return _ratio(self.rouge_l.sum(), len(self.rouge_l))

    @property
    def loss_mean(self) -> float:
        """Mean loss over tokens; NaN without tokens."""
        return _ratio(self.loss_sums.sum(), self.token_counts.sum())

    def per_task(self) -> dict[str, dict[str, float]]:
        """Sum up each task as ``{"n", "rouge_l", "loss"}``, in the order tasks first appear."""
        rows: dict[str, list[int]] = defaultdict(list)
        for position, task in enumerate(self.tasks):
            rows[task].append(position)
        return {
            task: {
                "n": len(chosen),
                "rouge_l": _ratio(self.rouge_l[chosen].sum(), len(chosen)),
                "loss": _ratio(self.loss_sums[chosen].sum(), self.token_counts[chosen].sum()),
            }
            for task, chosen in rows.items()
        }

    def as_dict(self) -> dict[str, list[Any]]:
        """Return the columns as lists that JSON can hold exactly."""
        return {
            "tasks": list(self.tasks),
            "rouge_l": self.rouge_l.tolist(),
            "loss_sums": self.loss_sums.tolist(),
            "token_counts": self.token_counts.tolist(),
        }

    @classmethod
    def from_dict(cls, columns: Mapping[str, Sequence[Any]]) -> Scores:
        """Build the scores that ``as_dict`` described."""
        names = ("rouge_l", "loss_sums", "token_counts")
        return cls(tuple(columns["tasks"]), *(np.array(columns[n], np.float64) for n in names))


def evaluate(
    model: LanguageModel,
    samples: Sequence[Sample],
    max_new_tokens: int,
    batch_size: int,
    progress: Progress,
) -> Scores:
    """Score a model's greedy answers, and the references under it.

    Parameters
    ----------
    max_new_tokens : int
        Tokens an answer may have (the paper: 128).
    batch_size : int
        Samples at a time; it does not change the scores beyond rounding.

    Raises
    ------
    ValueError
        If a prompt is longer than the model allows.
    """
    with inference(model.model):
        prompts = [sample.prompt for sample in samples]
        answers = generate(model, prompts, max_new_tokens, batch_size, progress)
        likelihoods = losses(model, samples, batch_size, progress, "evaluation: loss")
    rouge = [
        score(answer, sample.example.references)
        for answer, sample in zip(answers, samples, strict=True)
    ]
    tasks = tuple(sample.example.task for sample in samples)
    return Scores(tasks, np.array(rouge, np.float64), likelihoods[:, 0], likelihoods[:, 1])


def choose(samples: Sequence[Sample], per_task: int | None, seed: int) -> list[Sample]:
    """Draw at most ``per_task`` samples of each task without replacement, in their order.

    A task's draw depends on its name and its own samples alone, so that adding a task
    leaves the others' as they were. None takes all.
    """
    if per_task is None:
        return list(samples)
    rows: dict[str, list[int]] = defaultdict(list)
    for position, sample in enumerate(samples):
        rows[sample.example.task].append(position)
    drawn: list[int] = []
    for task, positions in rows.items():
        rng = generator(seed, f"evaluation {task}")
        drawn.extend(rng.permutation(positions)[:per_task].tolist())
    return [samples[position] for position in sorted(drawn)]


def _ratio(total: float, count: float) -> float:
    """Divide, NaN if there is nothing to divide by."""
    return float(total / count) if count else math.nan
