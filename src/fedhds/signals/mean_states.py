"""The mean state of a sample's prompt and of its response after every layer, embeddings included.

Source: mean pooling as of sentence encoders, Reimers and Gurevych, "Sentence-BERT: Sentence
Embeddings using Siamese BERT-Networks", arXiv 1908.10084 (EMNLP 2019).
Deviations: of a causal model, after every layer, and of prompt and response apart, which is
our own; so the mean of either is at hand, and that of both by their numbers of tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fedhds.batching import by_length, pad
from fedhds.models import LanguageModel, inference
from fedhds.signals._states import layers_of, read_states
from fedhds.types import Progress, Sample


def compute(
    model: LanguageModel, samples: Sequence[Sample], batch_size: int, progress: Progress
) -> NDArray[np.float32]:
    """Average the hidden states over the prompt's and over the response's tokens.

    Parameters and errors as in `hidden_states`.

    Returns
    -------
    ndarray of float32, shape (n_samples, 2, n_layers + 1, width)
        First the prompt's, then the response's, its EOS included, as the model reads them one
        after the other; layers as in `hidden_states`. Zeros where there is no token. Sums are
        float32 for narrower models, too.
    """
    layers, width = layers_of(model), model.base.config.get_text_config().hidden_size
    means = np.empty((len(samples), 2, len(layers) + 1, width), np.float32)
    batches = by_length([sample.length for sample in samples], batch_size, model.device)
    with inference(model.model):
        for chosen in progress.track(batches, "mean states", len(batches)):
            held = [samples[i] for i in chosen]
            sequences = [(*sample.prompt, *sample.response) for sample in held]
            batch = pad(sequences, model.filler, model.device)
            lengths = [(len(sample.prompt), len(sample.response)) for sample in held]
            means[chosen] = read_states(model, layers, batch, partial(_means, lengths))
    return means


def _means(lengths: Sequence[tuple[int, int]], states: Tensor) -> Tensor:
    """Average each row's two spans, shape (batch, 2, width); what pads is not even looked at."""
    spans = [
        span
        for row, both in zip(states, lengths, strict=True)
        for span in row[: sum(both)].split(both)
    ]
    means = [span.sum(0, dtype=torch.float32) / max(1, len(span)) for span in spans]
    return torch.stack(means).view(len(lengths), 2, -1)
