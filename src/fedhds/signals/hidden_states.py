"""The state of a sample's last token after every layer, embeddings included.

Source: Qin et al., "Federated Data-Efficient Instruction Tuning for Large Language Models",
arXiv 2410.10926 (ACL Findings 2025), the features that FedHDS fuses.
Deviations from the published code: real batches, of which the last *real* token is read
and not the last position; no logits; only one token per layer is ever kept; and what all
samples begin with is read once.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import Cache

from fedhds.batching import Batch, by_length, pad
from fedhds.key_values import Beginning
from fedhds.models import LanguageModel, forward, inference
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
    config = model.base.config.get_text_config()
    layers = _layers(model.decoder, config.num_hidden_layers)
    sequences = [(*sample.prompt, *sample.response) for sample in samples]
    states = np.empty((len(samples), len(layers) + 1, config.hidden_size), np.float32)
    with inference(model.model):
        beginning = Beginning.of(model, sequences)
        own = [sequence[beginning.length :] for sequence in sequences]
        batches = by_length([len(sequence) for sequence in own], batch_size, model.device)
        for chosen in progress.track(batches, "hidden states", len(batches)):
            batch = pad([own[i] for i in chosen], model.filler, model.device)
            states[chosen] = _last_states(model, layers, batch, beginning)
            if not np.isfinite(states[chosen]).all():
                raise ValueError(
                    "the model's hidden states are not finite; a wider number type may help"
                )
    return states


def _layers(decoder: nn.Module, count: int) -> nn.ModuleList:
    """Find the stack of ``count`` layers, whatever an architecture calls it."""
    for module in decoder.modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return module
    raise ValueError(f"{type(decoder).__name__} has no list of {count} layers to read")


def _last_states(
    model: LanguageModel, layers: nn.ModuleList, batch: Batch, beginning: Beginning
) -> NDArray[np.float32]:
    """Run one batch; return its last tokens' states, shape (batch, n_layers + 1, width).

    Hooks pick one token from each layer as it passes, so that the states of all the other
    tokens live no longer than the forward pass needs them.
    """
    rows = torch.arange(len(batch.mask), device=batch.mask.device)
    last = batch.mask.sum(1) - 1
    kept: list[Tensor] = []
    cache = beginning.of_rows(len(batch.mask))

    def pick(states: Tensor) -> Tensor:
        return states[rows, last + states.shape[1] - batch.mask.shape[1]]

    def before(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        kept.append(pick(args[0] if args else kwargs["hidden_states"]))

    def after(layer: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        kept.append(pick(output[0] if isinstance(output, tuple) else output))
        if cache is not None:  # no later token will look at this layer's
            cache.layers[len(kept) - 2].reset()

    def finish(decoder: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        final = pick(output.last_hidden_state)
        if final.shape == kept[-1].shape:
            kept[-1] = final

    with ExitStack() as hooks:
        hooks.callback(layers[0].register_forward_pre_hook(before, with_kwargs=True).remove)
        for layer in layers:
            hooks.callback(layer.register_forward_hook(after).remove)
        hooks.callback(model.decoder.register_forward_hook(finish).remove)
        _run(model, batch, cache)
    states: NDArray[np.float32] = torch.stack(kept, 1).float().cpu().numpy()
    return states


def _run(model: LanguageModel, batch: Batch, cache: Cache | None) -> None:
    """Run the layers without the head.

    A causal model needs no mask against padding on the right, and is faster without. Only
    peft knows how to put a prompt of virtual tokens in front: then the whole model runs.
    """
    if model.virtual_tokens:
        forward(model.model, batch, keep=1)
    else:
        model.decoder(batch.tokens, past_key_values=cache, use_cache=cache is not None)
