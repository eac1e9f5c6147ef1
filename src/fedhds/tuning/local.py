"""One client's training in one round: the adapter learns the coreset's responses.

Source: Qin et al., "Federated Data-Efficient Instruction Tuning for Large Language Models",
arXiv 2410.10926 (ACL Findings 2025), and its published code: a fresh Adam in every round,
batch 1, one epoch, loss on the response and EOS only.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fedhds.losses import predicted, response_losses
from fedhds.models import LanguageModel
from fedhds.rng import generator, torch_stream
from fedhds.tuning.options import TuningOptions
from fedhds.types import Progress, Sample

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}
"""The optimizers by name, with torch's defaults but for the learning rate."""


@dataclass(frozen=True)
class TuningResult:
    """What one client's training came to.

    Attributes
    ----------
    loss : float
        Mean over the response tokens seen, unweighted, before each step; 0 if there were none.
    steps : int
        Optimizer steps taken.
    passes : int
        Forward and backward passes of single samples.
    skipped : int
        Steps left out for a loss or gradient that was not finite, or for having no
        response token of positive weight.
    samples : int
        Distinct samples of the steps taken: those that changed the adapter.
    """

    loss: float
    steps: int
    passes: int
    skipped: int
    samples: int


def tune(
    model: LanguageModel,
    samples: Sequence[Sample],
    weights: NDArray[np.float32],
    options: TuningOptions,
    seed: int,
    client: int,
    round: int,
    progress: Progress,
) -> TuningResult:
    """Train the adapter in place.

    A step minimises the mean over its response tokens, each with its sample's weight:
    ``sum_i w_i sum_t loss_it / sum_i w_i tokens_i`` over all samples of the step, however
    they are spread over forward passes.

    Parameters
    ----------
    model : LanguageModel
        Its trainable parameters change; its training mode is restored.
    samples : sequence of Sample
        The coreset.
    weights : ndarray of float32, shape (n_samples,)
        Finite and not negative.
    seed, client, round : int
        Order and dropout depend on these three alone.

    Returns
    -------
    TuningResult
        All zero for an empty coreset.

    Raises
    ------
    ValueError
        If the weights do not fit the samples, or nothing is trainable.
    """
    if weights.shape != (len(samples),) or not (np.isfinite(weights) & (weights >= 0)).all():
        raise ValueError(f"tuning needs {len(samples)} finite weights that are not negative")
    parameters = [p for p in model.model.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError("the model has no trainable parameter")
    if not samples:
        return TuningResult(0.0, 0, 0, 0, 0)
    lr = options.lr * options.lr_decay ** (round - 1)
    optimizer = OPTIMIZERS[options.optimizer](parameters, lr=lr)  # type: ignore[call-arg]
    tokens = np.array([predicted(sample) for sample in samples])
    loss, seen, steps, passes, skipped = 0.0, 0, 0, 0, 0
    learnt: set[int] = set()
    with (
        torch_stream(seed, "tuning", client, round, model.device),
        _training(model.model),
        _checkpointing(model, options.gradient_checkpointing),
    ):
        orders = _orders(len(samples), options, generator(seed, "tuning-order", client, round))
        for step in progress.track(orders, "tuning", _steps(len(samples), options)):
            total = float(weights[step] @ tokens[step])
            if total == 0:
                skipped += 1
                continue
            optimizer.zero_grad()
            summed = _backward(model, samples, weights / total, step, options.batch_size)
            passes += len(step)
            norm = torch.nn.utils.clip_grad_norm_(parameters, options.clip or math.inf)
            if math.isfinite(summed) and norm.isfinite():
                optimizer.step()
                loss, seen, steps = loss + summed, seen + int(tokens[step].sum()), steps + 1
                learnt.update(step[weights[step] * tokens[step] > 0].tolist())
            else:
                skipped += 1
    return TuningResult(loss / seen if seen else 0.0, steps, passes, skipped, len(learnt))


def _backward(
    model: LanguageModel,
    samples: Sequence[Sample],
    weights: NDArray[np.float32],
    step: NDArray[np.int64],
    batch_size: int,
) -> float:
    """Add one step's gradient up, batch by batch; return its unweighted loss, summed."""
    summed = torch.zeros((), device=model.device)
    for start in range(0, len(step), batch_size):
        batch = step[start : start + batch_size]
        losses = response_losses(model, [samples[i] for i in batch])
        loss = losses @ torch.as_tensor(weights[batch], device=model.device)
        torch.autograd.backward(loss)
        summed += losses.detach().sum()
    return summed.item()


def _steps(size: int, options: TuningOptions) -> int:
    """Count the optimizer steps of one round."""
    epoch = math.ceil(size / (options.batch_size * options.accumulation))
    return options.steps or options.epochs * epoch


def _orders(
    size: int, options: TuningOptions, rng: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Yield the positions of each step's samples, shuffled anew in every epoch."""
    length = options.batch_size * options.accumulation
    epochs = (rng.permutation(size) for _ in count())
    steps = (order[start : start + length] for order in epochs for start in range(0, size, length))
    return islice(steps, _steps(size, options))


@contextmanager
def _training(model: torch.nn.Module) -> Iterator[None]:
    """Run a block in training mode, then restore the mode before."""
    before = model.training
    model.train()
    try:
        yield
    finally:
        model.train(before)


@contextmanager
def _checkpointing(model: LanguageModel, wanted: bool) -> Iterator[None]:
    """Run a block with gradient checkpointing, which works with a frozen base if not reentrant."""
    if not wanted:
        yield
        return
    base: Any = model.base
    with warnings.catch_warnings():
        # transformers renamed it in the middle of version 5.
        warnings.simplefilter("ignore", FutureWarning)
        base.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    try:
        yield
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            base.gradient_checkpointing_disable()
