"""How much memory an experiment takes on its device, estimated without loading a weight.

Counted on a model without numbers: its parameters, and the outputs of its innermost modules
in one forward pass, which is about what autograd keeps of it (0.9 to 1.4 times, measured on
the tested architectures; 0.7 of a mixture of experts, whose experts are one module).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from fedhds.batching import Batch, most
from fedhds.models import base_of, forward, mergeable, numberless
from fedhds.tuning.options import TuningOptions

OPTIMIZER_STATES: Mapping[str, int] = {"adam": 2, "adamw": 2, "sgd": 0}
"""Numbers that an optimizer keeps for each trainable one."""

QUANTISED: Mapping[str, float] = {"4bit": 0.5 + 4 / 64, "8bit": 1.0}
"""Bytes of a number in a linear layer; 4-bit ones have a scale of four bytes for each 64."""

HOLES: Mapping[str, float] = {"cpu": 2.0}
"""How much more a device's allocator takes than is asked of it, by its type.

Measured with glibc: 1.7 to 1.9 times; with gradient checkpointing up to 6, of little then.
"""

EXACT = 4
"""Bytes of a float32, which adapters, gradients and losses are in."""

SUMMED = 8
"""Bytes of a float64, which adapters are summed in."""

PASSING = 6
"""Copies of an adapter while it is added and the next comes: in messages, read, as an array.

Measured by ``benchmarks/aggregation.py``, where a client's own is a seventh.
"""


@dataclass(frozen=True)
class Shapes:
    """The largest batches of an experiment, in tokens of the tuned model.

    Attributes
    ----------
    sample, response, prompt : int
        The longest training sample, response, and prompt that is answered.
    answer : int
        Tokens that are generated at most.
    batch : int
        Samples of an evaluation's batch.
    """

    sample: int
    response: int
    prompt: int
    answer: int
    batch: int


def estimate(
    model: Any,
    shapes: Shapes,
    tuning: TuningOptions,
    device: str,
    quantization: str | None = None,
    frozen: int = 0,
) -> dict[str, int]:
    """Estimate the bytes on the device by part; ``peak`` is the most at any time.

    Parameters
    ----------
    model : PreTrainedModel or PeftModel
        With its adapter, on the ``meta`` device.
    device : str
        The type of the device that it will be on.
    quantization : {"4bit", "8bit"} or None
        How the linear layers of the base will be stored.
    frozen : int
        Bytes of the weights of a proxy and a scorer; 0 without either.
    """
    base: Any = base_of(model)
    width, holes = base.dtype.itemsize, HOLES.get(device, 1.0)
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    # logits in the model's own numbers, in float32, and their gradient
    logits = shapes.response * base.config.get_text_config().vocab_size * (width + 2 * EXACT)
    training = _kept(model, base, shapes, tuning) + tuning.batch_size * logits
    # keys and values are copied when rows come together or leave
    generated = (shapes.prompt + shapes.answer) * _cached(base)
    scored = most(shapes.sample, shapes.batch, device)
    copied = sum(layer.get_base_layer().weight.nbytes for layer in mergeable(model))
    parts = {
        "weights": _weights(model, base, quantization),
        "frozen": frozen,
        "adapter": trainable * EXACT * (2 + OPTIMIZER_STATES[tuning.optimizer]),
        "training": round(training * holes),
        "evaluation": copied + round(max(scored * logits, 2 * shapes.batch * generated) * holes),
    }
    working = max(parts["training"], parts["evaluation"])
    resting = parts["weights"] + parts["frozen"] + parts["adapter"]
    return parts | {"peak": resting + working}


def weights(base: Any) -> int:
    """Return the bytes of a model's weights as they are."""
    return _bytes(base.parameters())


def merging(trainable: int, clients: int, holds: Literal["one adapter", "all adapters"]) -> int:
    """Return the bytes that the server takes to merge the adapters of a round.

    They are the sums and what is on its way to them; where a method holds all adapters, these
    besides.
    """
    held = clients if holds == "all adapters" else 0
    return trainable * (SUMMED + (PASSING + held) * EXACT)


def _weights(model: Any, base: Any, quantization: str | None) -> int:
    """Return the bytes of the frozen weights, the linear layers quantised or not."""
    frozen: list[nn.Parameter] = [p for p in model.parameters() if not p.requires_grad]
    if quantization is None:
        return _bytes(frozen)
    head = base.get_output_embeddings()
    small = {
        parameter
        for module in base.modules()
        if isinstance(module, nn.Linear) and module is not head
        for parameter in module.parameters(recurse=False)
    }
    numbers = sum(parameter.numel() for parameter in frozen if parameter in small)
    others = _bytes(parameter for parameter in frozen if parameter not in small)
    return round(numbers * QUANTISED[quantization]) + others


def _bytes(parameters: Iterable[nn.Parameter]) -> int:
    return sum(parameter.numel() * parameter.element_size() for parameter in parameters)


def _kept(model: Any, base: Any, shapes: Shapes, tuning: TuningOptions) -> int:
    """Return the bytes that autograd keeps of one batch's forward pass, the head apart."""
    total = 0

    def count(module: nn.Module, args: Any, output: Any) -> None:
        nonlocal total
        if isinstance(output, torch.Tensor):
            total += output.numel() * output.element_size()

    head = base.get_output_embeddings()
    leaves = [m for m in model.modules() if m is not head and not any(True for _ in m.children())]
    _forward(model, leaves, count, tuning.batch_size, shapes.sample)
    if not tuning.gradient_checkpointing:
        return total
    text = base.config.get_text_config()
    layers = text.num_hidden_layers
    # what enters each layer is kept, and one layer at a time is computed again
    entering: int = tuning.batch_size * shapes.sample * text.hidden_size * base.dtype.itemsize
    return int(layers * entering + total // layers)


def _forward(
    model: Any, modules: list[nn.Module], hook: Callable[..., None], batch: int, length: int
) -> None:
    """Run one batch through a model without numbers, with a hook after some modules."""
    handles = [module.register_forward_hook(hook) for module in modules]
    before = model.training
    model.train()
    try:
        with torch.no_grad(), numberless(model):
            tokens = torch.ones((batch, length), dtype=torch.int64)
            forward(model, Batch(tokens, tokens), keep=1)
    finally:
        model.train(before)
        for handle in handles:
            handle.remove()


def _cached(base: Any) -> int:
    """Return the bytes of keys and values that a token leaves while text is generated."""
    config = base.config.get_text_config()
    heads = config.num_attention_heads
    groups = getattr(config, "num_key_value_heads", None) or heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    size: int = 2 * config.num_hidden_layers * groups * width * base.dtype.itemsize
    return size
