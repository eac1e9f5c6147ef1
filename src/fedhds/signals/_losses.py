"""The mean loss of responses with something in front of them: the shared half of two signals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fedhds.losses import losses
from fedhds.models import LanguageModel, vocabulary
from fedhds.types import Progress, Sample


def mean_losses(
    model: LanguageModel,
    samples: Sequence[Sample],
    batch_size: int,
    progress: Progress,
    description: str,
) -> NDArray[np.float32]:
    """Average the negative log likelihood over each sample's response tokens, its EOS included.

    Every response token is predicted: where there is no prompt, `first_token` stands in front,
    and a response that leaves it no position loses its last token. So with and without its
    prompt a sample's loss is of the same tokens, and the two may be subtracted.

    Returns
    -------
    ndarray of float32, shape (n_samples,)
        Natural logarithms. A sample without a response, as a proxy's are whose positions the
        prompt fills, has the loss of a blind guess, the logarithm of the vocabulary's size: so
        it does not look easy, and the two losses differ by nothing.

    Raises
    ------
    ValueError
        If a loss is not finite.
    """
    read = [sample if sample.prompt else _begun(sample, model) for sample in samples]
    read_at = [position for position, sample in enumerate(read) if sample.response]
    found = losses(model, [read[i] for i in read_at], batch_size, progress, description)
    means = np.full(len(samples), math.log(vocabulary(model.base)), np.float32)
    means[read_at] = found[:, 0] / found[:, 1]
    if not np.isfinite(means).all():
        raise ValueError("the model's losses are not finite; a wider number type may help")
    return means


def without_prompt(sample: Sample) -> Sample:
    """Leave the prompt out."""
    return replace(sample, prompt=())


def first_token(model: LanguageModel) -> int:
    """Return what a text begins with: BOS, or EOS where the tokenizer has no BOS.

    Models without BOS were trained on texts set apart by EOS, which they so see before each.
    A BOS that was added to the tokenizer alone has no embedding.
    """
    begin, end = model.tokenizer.bos_token_id, model.tokenizer.eos_token_id
    return int(end if begin is None or begin >= vocabulary(model.base) else begin)


def _begun(sample: Sample, model: LanguageModel) -> Sample:
    """Put the first token where the prompt would be, within the model's positions."""
    room = None if model.longest is None else model.longest - 1
    return replace(sample, prompt=(first_token(model),), response=sample.response[:room])
