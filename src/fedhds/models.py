"""The base model with its tokenizer and adapter, and the adapter as named arrays.

What travels of an adapter is its trainable parameters by name. peft's own state dict is
not used for that: it drops the encoder of P-tuning. The peft format is written for users.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model, load_peft_weights, set_peft_model_state_dict
from torch.nn.functional import cross_entropy
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.pytorch_utils import Conv1D
from transformers.utils import logging as transformers_logging

from fedhds.batching import pad
from fedhds.rng import torch_stream
from fedhds.types import Arrays, Sample, UserError

EMBEDDED = "embedded"
"""The name of the tiny Llama that ships with the package."""

_IGNORED = -100
"""The label that no loss is taken of."""


@dataclass(frozen=True)
class LanguageModel:
    """A causal language model, its tokenizer and its device.

    ``model`` has one trainable adapter, or none where it only serves as a frozen proxy.
    """

    model: PeftModel | PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    device: torch.device

    @property
    def base(self) -> PreTrainedModel:
        """The causal language model itself; injected adapters (LoRA) stay active in it."""
        model: Any = self.model
        if isinstance(model, PeftModel):
            model = model.get_base_model()
        base: PreTrainedModel = model
        return base

    @property
    def filler(self) -> int:
        """The token that pads: the tokenizer's own, else EOS (masked either way)."""
        tokenizer = self.tokenizer
        pad = tokenizer.pad_token_id
        return int(tokenizer.eos_token_id if pad is None else pad)

    @property
    def longest(self) -> int | None:
        """The most tokens the model has positions for; None if its config does not say."""
        return positions(self.base.config)


def positions(config: Any) -> int | None:
    """Read how many positions a model's config allows; None if it does not say."""
    text = config.get_text_config()
    value = getattr(text, "max_position_embeddings", None)
    return None if value is None else int(value)


def locate(name: str) -> str:
    """Turn a model's name into what transformers loads: a folder or a hub id.

    A name that looks like a path, or whose first part is a folder here, is never tried
    as a hub id.

    Raises
    ------
    UserError
        If it is a path and there is no model folder.
    """
    if name == EMBEDDED:
        return str(files("fedhds") / "assets" / "tiny-llama")
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise UserError(f"model.name: the folder '{name}' has no config.json")
        return str(path)
    looks_like_path = (
        path.is_absolute()
        or name.startswith(("~", "."))
        or name.endswith("/")
        or name.count("/") > 1
        or "\\" in name
        or ("/" in name and Path(name.split("/")[0]).exists())
    )
    if looks_like_path or path.exists():
        raise UserError(f"model.name: there is no model folder '{name}'")
    return name


def load_tokenizer(
    name: str, revision: str | None, trust_remote_code: bool
) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a model; it must know an end-of-sequence token.

    Raises
    ------
    UserError
        If there is none at ``name``, or if it has no EOS token.
    """
    with _loading(f"the tokenizer of '{name}'"):
        tokenizer = AutoTokenizer.from_pretrained(
            locate(name), revision=revision, trust_remote_code=trust_remote_code
        )
    if tokenizer.eos_token_id is None:
        raise UserError(
            f"model.name: the tokenizer of '{name}' has no EOS token, so no response could ever end"
        )
    loaded: PreTrainedTokenizerBase = tokenizer
    return loaded


def load_config(name: str, revision: str | None, trust_remote_code: bool) -> Any:
    """Load a model's configuration alone (parameters and errors as in `load_tokenizer`)."""
    with _loading(f"the model '{name}'"):
        return AutoConfig.from_pretrained(
            locate(name), revision=revision, trust_remote_code=trust_remote_code
        )


def load_base(
    name: str,
    revision: str | None = None,
    trust_remote_code: bool = False,
    dtype: str = "auto",
    device: str = "auto",
) -> PreTrainedModel:
    """Load a causal language model from safetensors (never from a pickle).

    Parameters
    ----------
    dtype : {"auto", "float32", "float16", "bfloat16"}
        ``auto`` is bfloat16 on CUDA and float32 elsewhere.
    device : str
        ``auto`` is CUDA where there is one, else the CPU; otherwise torch's name.

    Raises
    ------
    UserError
        If there is no whole model of that kind at ``name``.
    """
    target = resolve_device(device)
    if dtype == "auto":
        dtype = "bfloat16" if target.type == "cuda" else "float32"
    # it would draw across our own
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    with _loading(f"the model '{name}'"):
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            locate(name),
            revision=revision,
            trust_remote_code=trust_remote_code,
            dtype=getattr(torch, dtype),
            use_safetensors=True,
            output_loading_info=True,
        )
    model, found = loaded
    if missing := sorted(found["missing_keys"]):  # transformers would draw them at random
        raise UserError(f"model.name: '{name}' has no weights for {missing[0]} of its own model")
    moved: PreTrainedModel = model.to(target)
    return moved


def resolve_device(device: str) -> torch.device:
    """Turn ``auto`` or torch's name of a device into a device that is there."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        target = torch.device(device)
        torch.zeros(1, device=target).item()  # "meta" fails here, as it holds no numbers
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"model.device: '{device}' is not usable here: {_brief(error)}") from error
    return target


def add_lora(
    base: PreTrainedModel,
    seed: int,
    rank: int = 8,
    alpha: int = 16,
    dropout: float = 0.05,
    target_modules: list[str] | None = None,
) -> PeftModel:
    """Add a LoRA adapter (Hu et al., 2022) with seeded initial values; only it is trainable.

    ``target_modules`` None adapts every linear layer but the output head, which for Llama
    is the paper's list (q, k, v, o, gate, up, down).

    Raises
    ------
    UserError
        If a named target module is not in the model.
    """
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=target_modules or "all-linear",
        bias="none",
        task_type="CAUSAL_LM",
        # GPT-2 stores its linear layers transposed.
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in base.modules()),
    )
    with torch_stream(seed, "adapter", device=base.device), warnings.catch_warnings():
        # peft asks for a property that transformers 5 has renamed; users cannot help it.
        warnings.simplefilter("ignore", FutureWarning)
        try:
            model = get_peft_model(base, config)
        except ValueError as error:
            raise UserError(f"adapter.target_modules: {_brief(error)}") from error
    adapted: PeftModel = model
    return adapted


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
    known = inspect.signature(model.base.forward).parameters
    options = {"logits_to_keep": keep} if "logits_to_keep" in known else {}
    output = model.model(batch.tokens, attention_mask=batch.mask, use_cache=False, **options)
    logits, labels = output.logits[:, -keep:-1].float(), labels[:, first:]
    losses = cross_entropy(
        logits.flatten(0, 1), labels.flatten(), ignore_index=_IGNORED, reduction="none"
    )
    return losses.view_as(labels).sum(1)


def adapter_arrays(model: torch.nn.Module) -> dict[str, np.ndarray[Any, Any]]:
    """Copy the trainable parameters out as float32 arrays, by name, in the model's order."""
    return {
        name: parameter.detach().to("cpu", torch.float32).numpy().copy()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def set_adapter_arrays(model: torch.nn.Module, arrays: Arrays) -> None:
    """Write named arrays into the trainable parameters; names and shapes must match exactly.

    Raises
    ------
    ValueError
        If a name is missing, unknown, or its shape differs.
    """
    parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
    if parameters.keys() != arrays.keys():
        odd = sorted(parameters.keys() ^ arrays.keys())
        raise ValueError(f"the adapter's parameters differ from the model's: {odd[0]}")
    with torch.no_grad():
        for name, parameter in parameters.items():
            if parameter.shape != arrays[name].shape:
                raise ValueError(
                    f"{name} has shape {arrays[name].shape}, not {tuple(parameter.shape)}"
                )
            parameter.copy_(torch.from_numpy(np.asarray(arrays[name], order="C")))


def save_adapter(model: PeftModel | PreTrainedModel, folder: Path, base_name: str) -> None:
    """Write the adapter in peft's format (safetensors), naming its base model."""
    if not isinstance(model, PeftModel):
        raise TypeError("the model has no adapter to save")
    model.peft_config["default"].base_model_name_or_path = base_name
    model.save_pretrained(str(folder), safe_serialization=True)


def load_adapter(model: PeftModel | PreTrainedModel, folder: Path) -> None:
    """Load an adapter that `save_adapter` wrote (safetensors only) into a model like its own."""
    if not isinstance(model, PeftModel):
        raise TypeError("the model has no adapter to load into")
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
    """Run a block without dropout and gradients, then restore the training mode."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)


@contextlib.contextmanager
def _loading(what: str) -> Iterator[None]:
    """Put whatever a broken model folder makes transformers raise into one sentence."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"model.name: cannot load {what}: {_brief(error)}") from error


def _brief(error: BaseException) -> str:
    """Return the first sentence of an error's message."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return line.split(". ")[0].rstrip(".: ")
