"""The base model with its tokenizer and adapter, and the adapter as named arrays.

What travels of an adapter is its trainable parameters by name. peft's own state dict is
not used for that: it drops the encoder of P-tuning. The peft format is written for users.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import os
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import PeftModel, get_peft_model, load_peft_weights, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.pytorch_utils import Conv1D

from fedhds.batching import Batch
from fedhds.pretrained import brief
from fedhds.rng import torch_stream
from fedhds.types import Adapter, Array, Arrays, UserError

MERGED = 64 * 2**20
"""Bytes of weights that are copied at most to have LoRA's products added to them."""


@dataclass(frozen=True)
class LanguageModel:
    """A causal language model, its tokenizer and its device.

    ``model`` has one trainable adapter, or none where it only serves as a frozen proxy or
    scorer; a scorer may be an encoder with a decoder, too.
    """

    model: PeftModel | PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    device: torch.device

    @property
    def base(self) -> PreTrainedModel:
        """The causal language model itself; injected adapters (LoRA) stay active in it."""
        return base_of(self.model)

    @property
    def decoder(self) -> torch.nn.Module:
        """The stack of layers under the head; injected adapters stay active in it."""
        decoder: torch.nn.Module = self.base.get_decoder()  # type: ignore[no-untyped-call]
        return decoder

    @cached_property
    def fingerprint(self) -> str:
        """A digest of configuration, weights and tokenizer: of what the model makes of a text.

        Without the weights of adapters inside its layers (see `without_adapter`).
        """
        digest = sha256(self.base.config.to_json_string().encode())
        words = sorted(self.tokenizer.get_vocab().items())
        digest.update(repr((words, self.tokenizer.chat_template)).encode())
        for name, tensor in _own_tensors(self.model):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.contiguous().cpu().view(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()

    @cached_property
    def trainable(self) -> dict[str, torch.nn.Parameter]:
        """The trainable parameters by name: found once, as a walk costs more than copying them."""
        return _trainable(self.model)

    @cached_property
    def views(self) -> dict[str, Array] | None:
        """The same as arrays that share their memory; None where NumPy cannot see it."""
        places = {(p.device.type, p.dtype) for p in self.trainable.values()}
        if places != {("cpu", torch.float32)}:
            return None
        return {name: parameter.detach().numpy() for name, parameter in self.trainable.items()}

    @property
    def filler(self) -> int:
        """The token that pads: the tokenizer's own, else EOS (masked either way).

        A padding token that was added to the tokenizer alone has no embedding.
        """
        pad, end = self.tokenizer.pad_token_id, self.tokenizer.eos_token_id
        return int(end if pad is None or pad >= vocabulary(self.base) else pad)

    @property
    def virtual_tokens(self) -> int:
        """How many of the model's positions the adapter takes before the prompt."""
        config = self.model.peft_config["default"] if isinstance(self.model, PeftModel) else None
        return int(getattr(config, "num_virtual_tokens", 0))

    @property
    def longest(self) -> int | None:
        """The most tokens there are positions for; None if the model's config does not say."""
        available = positions(self.base.config)
        return None if available is None else available - self.virtual_tokens


def base_of(model: PeftModel | PreTrainedModel) -> PreTrainedModel:
    """Return the causal language model that an adapter was added to, or the model itself."""
    inner: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    base: PreTrainedModel = inner
    return base


def _own_tensors(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the weights from before adapters came into the layers, by the names of then."""
    adapters = tuple(
        f"{name}.{part}."
        for name, layer in model.named_modules()
        if isinstance(layer, BaseTunerLayer)
        for part in layer.adapter_layer_names
    )
    for name, tensor in model.state_dict().items():
        if not name.startswith(adapters):
            yield name.replace(".base_layer.", "."), tensor


def vocabulary(base: PreTrainedModel) -> int:
    """Count the tokens that a model has embeddings of."""
    embeddings: Any = base.get_input_embeddings()
    return int(embeddings.weight.shape[0])


def positions(config: Any) -> int | None:
    """Read how many positions a model's config allows; None if it does not say."""
    text = config.get_text_config()
    # T5's positions are relative: its config says how many it was trained with, if anything
    said = (getattr(text, name, None) for name in ("max_position_embeddings", "n_positions"))
    value = next((number for number in said if number is not None), None)
    return None if value is None else int(value)


def add_adapter(base: PreTrainedModel, adapter: Adapter, seed: int) -> PeftModel:
    """Add an adapter with seeded initial values; only it is trainable, in float32.

    Raises
    ------
    UserError
        If the adapter does not fit the model: a target module that is not there, or an
        architecture that peft's way does not work with.
    """
    with torch_stream(seed, "adapter", device=base.device), warnings.catch_warnings():
        # peft asks for a property that transformers 5 has renamed; users cannot help it.
        warnings.simplefilter("ignore", FutureWarning)
        try:
            model: PeftModel = get_peft_model(base, adapter.peft_config(base))
            _check_works(model)
        except Exception as error:
            if adapter.injected:
                raise UserError(f"adapter.target_modules: {brief(error)}") from error
            raise UserError(
                f"adapter.kind: {type(adapter).__name__} does not work with a model of type "
                f"'{base.config.model_type}': {brief(error)}"
            ) from error
    return model


def _check_works(model: PeftModel) -> None:
    """Run one token, for peft finds out only then whether an architecture suits it."""
    with numberless(model):
        token = torch.ones(1, 1, dtype=torch.int64, device=model.device)
        output = forward(model, Batch(token, token), keep=1)
    if not output.logits.requires_grad:
        raise ValueError("nothing of the adapter reaches its output")


def forward(model: PeftModel | PreTrainedModel, batch: Batch, keep: int) -> Any:
    """Run a batch with its adapter; logits of the last ``keep`` tokens alone where possible."""
    known = inspect.signature(base_of(model).forward).parameters
    options = {"logits_to_keep": keep} if "logits_to_keep" in known else {}
    return model(batch.tokens, attention_mask=batch.mask, use_cache=False, **options)


@contextlib.contextmanager
def numberless(model: torch.nn.Module) -> Iterator[None]:
    """Run a block in which a model on the ``meta`` device computes shapes alone.

    Some models look at the numbers of their masks, which that device alone does not bear.
    """
    if next(model.parameters()).device.type != "meta":
        yield
        return
    # it would print the stack of what fails, which the caller puts into a sentence
    logging.getLogger("torch._subclasses.fake_tensor").setLevel(logging.CRITICAL)
    with FakeTensorMode(allow_non_fake_inputs=True), torch.device("meta"):
        yield


def adapter_arrays(model: LanguageModel | torch.nn.Module) -> dict[str, Array]:
    """Copy the trainable parameters out as float32 arrays, by name, in the model's order."""
    if isinstance(model, LanguageModel) and model.views is not None:
        return {name: view.copy() for name, view in model.views.items()}
    return {
        name: parameter.detach().to("cpu", torch.float32).numpy().copy()
        for name, parameter in _trainable(model).items()
    }


def set_adapter_arrays(model: LanguageModel | torch.nn.Module, arrays: Arrays) -> None:
    """Write named arrays into the trainable parameters; names and shapes must match exactly.

    Raises
    ------
    ValueError
        If a name is missing, unknown, or its shape differs.
    """
    views = model.views if isinstance(model, LanguageModel) else None
    parameters: Mapping[str, Any] = views or _trainable(model)
    if parameters.keys() != arrays.keys():
        odd = sorted(parameters.keys() ^ arrays.keys())
        raise ValueError(f"the adapter's parameters differ from the model's: {odd[0]}")
    with torch.no_grad():
        for name, parameter in parameters.items():
            array = arrays[name]
            if parameter.shape != array.shape:
                raise ValueError(f"{name} has shape {array.shape}, not {tuple(parameter.shape)}")
            if views is not None:
                parameter[...] = array
            else:
                parameter.copy_(torch.from_numpy(np.asarray(array, order="C")))


def _trainable(model: LanguageModel | torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    if isinstance(model, LanguageModel):
        return model.trainable
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def save_adapter(model: PeftModel | PreTrainedModel, folder: Path, base_name: str) -> None:
    """Write the adapter in peft's format (safetensors), naming its base model."""
    if not isinstance(model, PeftModel):
        raise TypeError("the model has no adapter to save")
    model.peft_config["default"].base_model_name_or_path = base_name
    model.save_pretrained(str(folder), safe_serialization=True)


def load_adapter(model: PeftModel | PreTrainedModel, folder: Path) -> None:
    """Load an adapter that `save_adapter` wrote into a model like its own, for evaluation."""
    if not isinstance(model, PeftModel):
        raise TypeError("the model has no adapter to load into")
    # Of P-tuning the file holds the finished embeddings, which no encoder is to change.
    model.peft_config["default"].inference_mode = True
    set_peft_model_state_dict(model, load_peft_weights(str(folder), device="cpu"))


def set_threads(threads: int | None) -> int:
    """Set torch's thread count (None: every core this process may use) and return it.

    Sums of floats depend on how they are split, so the count is part of a run's identity.
    """
    count = threads or usable_cores()
    torch.set_num_threads(count)
    return count


def usable_cores() -> int:
    """Count the cores this process may use; all of them where the system cannot tell."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@contextlib.contextmanager
def inference(model: torch.nn.Module) -> Iterator[None]:
    """Run a block without dropout and gradients, then restore the model as it was."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad(), _merged(model):
            yield
    finally:
        model.train(training)


@contextlib.contextmanager
def without_adapter(model: torch.nn.Module) -> Iterator[None]:
    """Run a block in which layers compute as before adapters came into them, to the bit.

    An adapter in front of the prompt is none of the layers': `base_of` the model has it not.
    """
    layers = [
        layer
        for layer in model.modules()
        if isinstance(layer, BaseTunerLayer) and not layer.disable_adapters
    ]
    try:
        for layer in layers:
            layer.enable_adapters(False)
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)


@contextlib.contextmanager
def _merged(model: torch.nn.Module) -> Iterator[None]:
    """Run a block with LoRA's products added to the weights, where these are small.

    Beside small weights the many small products take a quarter of the time. Not in narrow
    numbers, which would round them away; nor in shared weights, where others would see them.
    """
    held = [(layer, layer.get_base_layer().weight) for layer in mergeable(model)]
    originals = [weight.data for _, weight in held]
    try:
        for layer, weight in held:
            weight.data = weight.data.clone()
            layer.merge()
        yield
    finally:
        # taken out again by subtraction, the weights would not be what they were
        for (layer, weight), original in zip(held, originals, strict=True):
            weight.data = original
            layer.merged_adapters.clear()


def mergeable(model: torch.nn.Module) -> list[Any]:
    """Find the LoRA layers in use whose products are added to their weights while reading.

    None where a copy of all these weights would be larger than `MERGED`.
    """
    uses = Counter(id(p) for _, p in model.named_parameters(remove_duplicate=False))
    found: list[Any] = []
    for layer in model.modules():
        if isinstance(layer, LoraLayer) and not (layer.merged or layer.disable_adapters):
            inner = layer.get_base_layer()
            whole = isinstance(inner, torch.nn.Linear | Conv1D)
            if whole and inner.weight.dtype == torch.float32 and uses[id(inner.weight)] == 1:
                found.append(layer)
    size = sum(layer.get_base_layer().weight.nbytes for layer in found)
    return found if size <= MERGED else []
