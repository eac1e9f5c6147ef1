"""Loading what others published: configuration, tokenizer and weights, from a folder or the hub.

Whatever a broken model makes transformers raise becomes one sentence that names the key.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import torch
from huggingface_hub import snapshot_download
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from fedhds.types import UserError

EMBEDDED = "embedded"
"""The name of the tiny Llama that ships with the package."""


@dataclass(frozen=True)
class Pretrained:
    """A published model: where it is, and how it is to be held.

    Attributes
    ----------
    name : str
        A folder, a hub id, or `EMBEDDED`.
    revision : str or None
        Of the hub.
    trust_remote_code : bool
        Run code that the model brings along.
    dtype : {"auto", "float32", "float16", "bfloat16"}
        ``auto`` is bfloat16 on CUDA and float32 elsewhere.
    device : str
        ``auto`` is CUDA where there is one, else the CPU; otherwise torch's name.
    quantization : {"4bit", "8bit"} or None
        Hold the linear layers in so many bits (NF4, as QLoRA, or LLM.int8); on CUDA only.
    key : str
        What messages call ``name`` by.
    encoder_decoder : bool
        Whether an encoder with a decoder will do, too, and not a causal model alone.
    """

    name: str
    revision: str | None = None
    trust_remote_code: bool = False
    dtype: str = "auto"
    device: str = "auto"
    quantization: Literal["4bit", "8bit"] | None = None
    key: str = "model.name"
    encoder_decoder: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """What every loader of transformers takes."""
        return {"revision": self.revision, "trust_remote_code": self.trust_remote_code}

    def number_type(self, device: torch.device) -> torch.dtype:
        """Return torch's number type for the weights on ``device``."""
        automatic = "bfloat16" if device.type == "cuda" else "float32"
        kind: torch.dtype = getattr(torch, automatic if self.dtype == "auto" else self.dtype)
        return kind


def locate(name: str, key: str = "model.name") -> str:
    """Turn a model's name into what transformers loads: a folder or a hub id.

    A name that looks like a path, or whose first part is a folder here, is never tried
    as a hub id. ``key`` is what messages call the name by.

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
            raise UserError(f"{key}: the folder '{name}' has no config.json")
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
        raise UserError(f"{key}: there is no model folder '{name}'")
    return name


def load_tokenizer(source: Pretrained) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a model; it must know an end-of-sequence token.

    Raises
    ------
    UserError
        If there is none, or if it has no EOS token.
    """
    with _loading("the tokenizer of ", source):
        tokenizer = AutoTokenizer.from_pretrained(locate(source.name, source.key), **source.options)
    if not tokenizer("a", add_special_tokens=False)["input_ids"]:
        raise UserError(f"{source.key}: the tokenizer of '{source.name}' has no vocabulary")
    if tokenizer.eos_token_id is None:
        raise UserError(
            f"{source.key}: the tokenizer of '{source.name}' has no EOS token, "
            "so no response could ever end"
        )
    loaded: PreTrainedTokenizerBase = tokenizer
    return loaded


def load_config(source: Pretrained) -> Any:
    """Load a model's configuration alone (errors as in `load_base`)."""
    with _loading("the model ", source):
        return AutoConfig.from_pretrained(locate(source.name, source.key), **source.options)


def load_base(source: Pretrained) -> PreTrainedModel:
    """Load a language model from safetensors (never from a pickle).

    Raises
    ------
    UserError
        If there is no whole model of that kind, or if it cannot be quantised here.
    """
    device = resolve_device(source.device)
    kind = source.number_type(device)
    quantised = _quantised(source.quantization, kind, device) if source.quantization else {}
    # it would draw across our own
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    with _loading("the model ", source):
        loaded: Any = _class(source).from_pretrained(
            locate(source.name, source.key),
            dtype=kind,
            use_safetensors=True,
            output_loading_info=True,
            **source.options,
            **quantised,
        )
    model, found = loaded
    if missing := sorted(found["missing_keys"]):  # transformers would draw them at random
        raise UserError(
            f"{source.key}: '{source.name}' has no weights for {missing[0]} of its own model"
        )
    # a quantised model was put there as it was loaded, and cannot be moved
    placed: PreTrainedModel = model if quantised else model.to(device)
    return placed


def _class(source: Pretrained) -> Any:
    """Return the one of transformers' automatic classes that loads the model."""
    both = source.encoder_decoder and load_config(source).is_encoder_decoder
    return AutoModelForSeq2SeqLM if both else AutoModelForCausalLM


def weight_files(source: Pretrained) -> tuple[Path, ...]:
    """Say which files hold a model's weights; of a hub's model, those that were fetched before.

    Raises
    ------
    UserError
        If there is none.
    """
    place = locate(source.name, source.key)
    if not Path(place).is_dir():
        with _loading("the weights of ", source):
            place = snapshot_download(place, revision=source.revision, local_files_only=True)
    found = tuple(sorted(Path(place).glob("*.safetensors")))
    if not found:
        raise UserError(f"{source.key}: '{source.name}' has no weights as safetensors")
    return found


def load_skeleton(source: Pretrained) -> PreTrainedModel:
    """Build a model without numbers (on torch's ``meta`` device), as it would be loaded."""
    kind = source.number_type(resolve_device(source.device))
    config = load_config(source)
    build: Any = _class(source).from_config
    with _loading("the model ", source), torch.device("meta"):
        skeleton: PreTrainedModel = build(
            config,
            dtype=kind,
            trust_remote_code=source.trust_remote_code,
            experts_implementation="batched_mm",  # the default bears bfloat16 alone there
        )
    return skeleton


def load_encoder(folder: str | Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a sentence encoder and its tokenizer from a local folder, in float32.

    From safetensors alone, and never with code that it brings along.

    Raises
    ------
    UserError
        If there is no such folder, or no whole model of that kind in it.
    """
    source = Pretrained(str(folder), key="encoder")
    if not Path(folder).is_dir():
        raise UserError(f"{source.key}: there is no folder '{folder}'")
    place = locate(source.name, source.key)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    with _loading("the encoder ", source):
        tokenizer = AutoTokenizer.from_pretrained(place, local_files_only=True, **source.options)
        model, found = AutoModel.from_pretrained(
            place,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            **source.options,
        )
    if model.config.is_encoder_decoder:
        raise UserError(f"{source.key}: '{folder}' is an encoder with a decoder, not one alone")
    # a mean over tokens needs no pooler, which many leave out
    if missing := sorted(name for name in found["missing_keys"] if "pooler" not in name):
        raise UserError(f"{source.key}: '{folder}' has no weights for {missing[0]}")
    return model.to(resolve_device(source.device)), tokenizer


def resolve_device(device: str) -> torch.device:
    """Turn ``auto`` or torch's name of a device into a device that is there."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        target = torch.device(device)
        torch.zeros(1, device=target).item()  # "meta" fails here, as it holds no numbers
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"model.device: '{device}' is not usable here: {brief(error)}") from error
    return target


def brief(error: BaseException) -> str:
    """Return the first sentence of an error's message."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return line.split(". ")[0].rstrip(".: ")


def check_quantization(quantization: str, device: torch.device) -> None:
    """Refuse to quantise where that cannot be done.

    Raises
    ------
    UserError
        If ``device`` is no CUDA device, or bitsandbytes is missing.
    """
    if device.type != "cuda":
        raise UserError(
            f"model.quantization '{quantization}' needs a CUDA device, not '{device}': "
            "set it to null, or model.device to one"
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise UserError(
            f"model.quantization '{quantization}' needs the package bitsandbytes: "
            "pip install 'fedhds[quantized]'"
        )


def _quantised(quantization: str, kind: torch.dtype, device: torch.device) -> dict[str, Any]:
    """Say to transformers how to quantise; errors as in `check_quantization`."""
    check_quantization(quantization, device)
    # of 8 bits it tells at every product that it casts to float16
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    config = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=quantization == "4bit",
        load_in_8bit=quantization == "8bit",
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=kind,
    )
    return {"quantization_config": config, "device_map": {"": device.index or 0}}


@contextlib.contextmanager
def _loading(what: str, source: Pretrained) -> Iterator[None]:
    """Put whatever a broken model makes transformers raise into one sentence."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{source.key}: cannot load {what}'{source.name}': {brief(error)}"
        ) from error
