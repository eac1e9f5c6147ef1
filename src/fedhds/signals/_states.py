"""Reading something of the states after every layer: the shared half of two signals."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import Cache

from fedhds.batching import Batch
from fedhds.models import LanguageModel, forward


def layers_of(model: LanguageModel) -> nn.ModuleList:
    """Find the stack of layers, whatever an architecture calls it.

    Raises
    ------
    ValueError
        If there is none of the length that the model's config says.
    """
    decoder, count = model.decoder, model.base.config.get_text_config().num_hidden_layers
    for module in decoder.modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return module
    raise ValueError(f"{type(decoder).__name__} has no list of {count} layers to read")


def read_states(
    model: LanguageModel,
    layers: nn.ModuleList,
    batch: Batch,
    pick: Callable[[Tensor], Tensor],
    cache: Cache | None = None,
) -> NDArray[np.float32]:
    """Run one batch and pick something of what transformers' ``output_hidden_states`` gives.

    Hooks pick from each layer as it passes, so that the states of all tokens live no longer
    than the forward pass needs them.

    Parameters
    ----------
    pick : callable
        Takes states of the batch's own tokens, padding included but no virtual tokens, of
        shape (batch, longest, width); returns what is kept of them, shape (batch, ..., width).
    cache : Cache, optional
        What stands before the batch, of as many rows; it is used up.

    Returns
    -------
    ndarray of float32, shape (batch, ..., n_layers + 1, width)
        Of the input of the first layer and the output of every layer, the last one after the
        final norm. A final projection to another width (OPT-350M) is left out.

    Raises
    ------
    ValueError
        If a number is not finite.
    """
    kept: list[Tensor] = []

    def keep(states: Tensor) -> None:
        kept.append(pick(states[:, -batch.tokens.shape[1] :]))

    def before(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        keep(args[0] if args else kwargs["hidden_states"])

    def after(layer: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        keep(output[0] if isinstance(output, tuple) else output)
        if cache is not None:  # no later token will look at this layer's
            cache.layers[len(kept) - 2].reset()

    def finish(decoder: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        keep(output.last_hidden_state)
        last, final = kept.pop(-2), kept[-1]
        if final.shape != last.shape:
            kept[-1] = last

    with ExitStack() as hooks:
        hooks.callback(layers[0].register_forward_pre_hook(before, with_kwargs=True).remove)
        for layer in layers:
            hooks.callback(layer.register_forward_hook(after).remove)
        hooks.callback(model.decoder.register_forward_hook(finish).remove)
        _run(model, batch, cache)
    found: NDArray[np.float32] = torch.stack(kept, -2).float().cpu().numpy()
    if not np.isfinite(found).all():
        raise ValueError("the model's hidden states are not finite; a wider number type may help")
    return found


def _run(model: LanguageModel, batch: Batch, cache: Cache | None) -> None:
    """Run the layers without the head.

    A causal model needs no mask against padding on the right, and is faster without. Only
    peft knows how to put a prompt of virtual tokens in front: then the whole model runs.
    """
    if model.virtual_tokens:
        forward(model.model, batch, keep=1)
    else:
        model.decoder(batch.tokens, past_key_values=cache, use_cache=cache is not None)
