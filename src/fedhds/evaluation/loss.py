"""The negative log likelihood of the reference answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fedhds.batching import by_length
from fedhds.models import LanguageModel, inference, predicted, response_losses
from fedhds.types import Progress, Sample


def losses(
    model: LanguageModel, samples: Sequence[Sample], batch_size: int, progress: Progress
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
        for chosen in progress.track(batches, "evaluation: loss", len(batches)):
            summed = response_losses(model, [samples[i] for i in chosen])
            result[chosen, 0] = summed.cpu().numpy()
    return result
