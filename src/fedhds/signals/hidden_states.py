"""The state of a sample's last token after every layer, embeddings included.

Source: Qin et al., "Federated Data-Efficient Instruction Tuning for Large Language Models",
arXiv 2410.10926 (ACL Findings 2025), the features that FedHDS fuses.
Deviations from the published code: real batches, of which the last *real* token is read
and not the last position; no logits; only one token per layer is ever kept; and what all
samples begin with is read once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fedhds.batching import Batch, by_length, pad
from fedhds.key_values import Beginning
from fedhds.models import LanguageModel, inference
from fedhds.signals._states import layers_of, read_states
from fedhds.types import Progress, Sample


def compute(
    model: LanguageModel, samples: Sequence[Sample], batch_size: int, progress: Progress
) -> NDArray[np.float32]:
    """Read the hidden states of the last token of prompt and response.

    Parameters
    ----------
    model : LanguageModel
        Read without dropout, with its adapter, of whatever kind.
    batch_size : int
        Samples per forward pass at most; it does not change the numbers beyond rounding.

    Returns
    -------
    ndarray of float32, shape (n_samples, n_layers + 1, width)
        What transformers gives with ``output_hidden_states=True`` at the last token: the
        input of the first layer, the output of every layer, the last one after the final
        norm. A final projection to another width (OPT-350M) is left out.

    Raises
    ------
    ValueError
        If a state is not finite, or the model's layers cannot be found.
    """
    layers, width = layers_of(model), model.base.config.get_text_config().hidden_size
    sequences = [(*sample.prompt, *sample.response) for sample in samples]
    states = np.empty((len(samples), len(layers) + 1, width), np.float32)
    with inference(model.model):
        beginning = Beginning.of(model, sequences)
        own = [sequence[beginning.length :] for sequence in sequences]
        batches = by_length([len(sequence) for sequence in own], batch_size, model.device)
        for chosen in progress.track(batches, "hidden states", len(batches)):
            batch = pad([own[i] for i in chosen], model.filler, model.device)
            cache = beginning.of_rows(len(chosen))
            states[chosen] = read_states(model, layers, batch, partial(_last, batch), cache)
    return states


def _last(batch: Batch, states: Tensor) -> Tensor:
    """Pick the last real token of each row, shape (batch, width)."""
    rows = torch.arange(len(batch.mask), device=batch.mask.device)
    return states[rows, batch.mask.sum(1) - 1]
