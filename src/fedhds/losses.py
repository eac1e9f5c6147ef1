"""The negative log likelihood of responses: what tuning lowers, evaluation tells, signals read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from fedhds.batching import by_length, pad
from fedhds.models import LanguageModel, forward, inference
from fedhds.types import Progress, Sample

_IGNORED = -100
"""The label that no loss is taken of."""


def predicted(sample: Sample) -> int:
    """Count the response tokens a model predicts: all, but the first if nothing precedes it."""
    return len(sample.response) if sample.prompt else max(len(sample.response) - 1, 0)


def response_losses(model: LanguageModel, samples: Sequence[Sample]) -> torch.Tensor:
    """Sum the negative log likelihood of each sample's response, its EOS included.

    Neither the prompt nor padding counts. Logits are computed from the first response on
    only, where the model can leave out the rest: with large vocabularies they dominate
    the memory.

    Parameters
    ----------
    samples : sequence of Sample
        One batch, none of them empty.

    Returns
    -------
    tensor of float32, shape (batch,)
        Natural logarithms; differentiable unless gradients are off. Divided by `predicted`
        it is the usual loss of a sample.
    """
    sequences = [(*sample.prompt, *sample.response) for sample in samples]
    batch = pad(sequences, model.filler, model.device)
    prompts = torch.tensor([len(sample.prompt) for sample in samples], device=model.device)
    places = torch.arange(batch.tokens.shape[1], device=model.device)
    answers = batch.mask.bool() & (places >= prompts[:, None])
    labels = batch.tokens.masked_fill(~answers, _IGNORED)
    first = max(1, min(len(sample.prompt) for sample in samples))
    keep = batch.tokens.shape[1] - first + 1
    # Counted from the end, for prompt tuning puts virtual tokens in front.
    logits, labels = (
        forward(model.model, batch, keep).logits[:, -keep:-1].float(),
        labels[:, first:],
    )
    losses = cross_entropy(
        logits.flatten(0, 1), labels.flatten(), ignore_index=_IGNORED, reduction="none"
    )
    return losses.view_as(labels).sum(1)


def losses(
    model: LanguageModel,
    samples: Sequence[Sample],
    batch_size: int,
    progress: Progress,
    description: str = "losses",
) -> NDArray[np.float64]:
    """Sum each response's negative log likelihood, without dropout.

    Parameters
    ----------
    batch_size : int
        Samples per forward pass at most; it does not change the numbers beyond rounding.

    Returns
    -------
    ndarray of float64, shape (n_samples, 2)
        The sum over the response's tokens (EOS included, natural logarithm), and how many
        these are.
    """
    result = np.zeros((len(samples), 2))
    result[:, 1] = [predicted(sample) for sample in samples]
    batches = by_length([sample.length for sample in samples], batch_size, model.device)
    with inference(model.model):
        for chosen in progress.track(batches, description, len(batches)):
            summed = response_losses(model, [samples[i] for i in chosen])
            result[chosen, 0] = summed.cpu().numpy()
    return result
