"""Tiny random models of every architecture, their tokenizer, and samples: for any test."""

from __future__ import annotations

import string
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    BertConfig,
    BertModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from fedhds import registry
from fedhds.adapters.lora import Lora
from fedhds.models import LanguageModel, adapter_arrays, add_adapter, set_adapter_arrays
from fedhds.rng import generator, torch_stream
from fedhds.types import Adapter, Example, Sample

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>")
PAD, BOS, EOS, UNKNOWN = range(4)
POSITIONS = 64
_LLAMA = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "initializer_range": 0.2,
}
_GPT2 = {
    "n_embd": 16,
    "n_layer": 2,
    "n_head": 2,
    "n_positions": POSITIONS,
    "embd_pdrop": 0.0,
    "resid_pdrop": 0.0,
    "attn_pdrop": 0.0,
}
_NEOX = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
_NEO = {
    "hidden_size": 16,
    "num_layers": 2,
    "num_heads": 2,
    "attention_types": [[["global", "local"], 1]],
    "window_size": 8,
}
_OPT = {
    "hidden_size": 16,
    "ffn_dim": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "dropout": 0.0,
}
_PHI = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "embd_pdrop": 0.0,
    "resid_pdrop": 0.0,
}
# ALiBi instead of positions; Falcon's query, key and value are one layer.
_BLOOM = {"hidden_size": 16, "n_layer": 2, "n_head": 2}
_FALCON = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
# A convolution and attention by turns: one keeps a state, the other keys and values.
_LFM2 = {
    **_LLAMA,
    "layer_types": ["conv", "full_attention"],
    "conv_L_cache": 3,
    "block_auto_adjust_ff_dim": False,
}
_T5 = {
    "d_model": 16,
    "d_kv": 8,
    "d_ff": 24,
    "num_layers": 2,
    "num_heads": 2,
    "dropout_rate": 0.0,
    "decoder_start_token_id": PAD,
    "n_positions": POSITIONS,
}
_EXPERTS = {"num_experts_per_tok": 2, "output_router_logits": False}
_MIXTRAL = {**_LLAMA, **_EXPERTS, "num_local_experts": 4}
_OLMOE = {**_LLAMA, **_EXPERTS, "num_experts": 4}
_QWEN2_MOE = {
    **_OLMOE,
    "moe_intermediate_size": 24,
    "shared_expert_intermediate_size": 24,
}
_CONFIGS = {
    "llama": ("llama", _LLAMA),
    "mistral": ("mistral", _LLAMA),
    # layers that see the last eight tokens alone, and forget those before
    "mistral-window": ("mistral", {**_LLAMA, "sliding_window": 8}),
    "gpt-neo-window": ("gpt_neo", _NEO),
    "lfm2": ("lfm2", _LFM2),
    "olmo2": ("olmo2", _LLAMA),
    "qwen3": ("qwen3", _LLAMA),
    "gemma": ("gemma", _LLAMA),
    "gemma2": ("gemma2", _LLAMA),
    "gemma3": ("gemma3_text", _LLAMA),
    "gpt2": ("gpt2", _GPT2),
    "gpt-neox": ("gpt_neox", _NEOX),
    "phi": ("phi", _PHI),
    "bloom": ("bloom", _BLOOM),
    "falcon": ("falcon", _FALCON),
    "mixtral": ("mixtral", _MIXTRAL),
    "olmoe": ("olmoe", _OLMOE),
    "qwen2-moe": ("qwen2_moe", _QWEN2_MOE),
    "opt": ("opt", {**_OPT, "word_embed_proj_dim": 16}),
    # OPT-350M's shape: projections around the layers, and no final norm.
    "opt-projected": ("opt", {**_OPT, "word_embed_proj_dim": 8, "do_layer_norm_before": False}),
}
ARCHITECTURES = tuple(_CONFIGS)
_CONFIGS["t5"] = ("t5", _T5)  # an encoder with a decoder, which only judges


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Build a tokenizer of one token per printable ASCII character."""
    characters = [c for c in string.printable if c not in "\r\x0b\x0c"]
    vocabulary = {token: i for i, token in enumerate([*SPECIAL, *characters])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    tokenizer.decoder = decoders.Fuse()
    names = dict(zip(("pad_token", "bos_token", "eos_token", "unk_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, clean_up_tokenization_spaces=False, **names
    )


def tiny_model(architecture: str = "llama", seed: int = 0, **changes: int) -> PreTrainedModel:
    """Build a random model of 2 layers, width 16 and 64 positions: float32, no dropout.

    ``changes`` go into its config.
    """
    kind, options = _CONFIGS[architecture]
    settings = {
        "vocab_size": len(tiny_tokenizer()),
        "pad_token_id": PAD,
        "bos_token_id": BOS,
        "eos_token_id": EOS,
        **({} if kind in ("gpt2", "bloom", "t5") else {"max_position_embeddings": POSITIONS}),
        **options,
        **changes,
    }
    build = AutoModelForSeq2SeqLM if kind == "t5" else AutoModelForCausalLM
    with torch_stream(seed, "tiny-model"):
        config = AutoConfig.for_model(kind, **settings)
        model = build.from_config(config, dtype=torch.float32)
        for parameter in model.parameters():
            # Far from each other, so that no two tokens are about equally likely.
            parameter.data += 0.2 * torch.randn_like(parameter)
    return model.eval()


def save_tiny(folder: Path, architecture: str = "llama") -> Path:
    """Save a tiny model with its tokenizer as a model folder."""
    tiny_model(architecture).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def save_encoder(folder: Path) -> Path:
    """Save a random BERT of one layer and 32 positions with the tokenizer of characters."""
    config = BertConfig(
        vocab_size=len(tiny_tokenizer()),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=32,
    )
    with torch_stream(0, "tiny-encoder"):
        BertModel(config).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def tiny_adapter(kind: str) -> Adapter:
    """Build a small adapter of a kind, without dropout."""
    options = {"rank": 2, "alpha": 4, "dropout": 0.0} if kind == "lora" else {"virtual_tokens": 3}
    adapter: Adapter = registry.load("adapter", kind)(**options)
    return adapter


def tiny_language_model(
    architecture: str = "llama",
    dropout: float = 0.05,
    seed: int = 0,
    adapter: Adapter | None = None,
    dtype: torch.dtype = torch.float32,
) -> LanguageModel:
    """Build a tiny model with an adapter (LoRA unless told) that already does something."""
    adapter = adapter or Lora(rank=2, alpha=4, dropout=dropout)
    adapted = add_adapter(tiny_model(architecture, seed).to(dtype), adapter, seed)
    rng = generator(seed, "tiny-adapter")
    arrays = adapter_arrays(adapted)
    random = {n: 0.1 * rng.standard_normal(a.shape, np.float32) for n, a in arrays.items()}
    set_adapter_arrays(adapted, random)
    return LanguageModel(adapted, tiny_tokenizer(), torch.device("cpu"))


def sample(
    prompt_ids: Sequence[int],
    response_ids: Sequence[int],
    task: str = "t",
    references: tuple[str, ...] = ("",),
) -> Sample:
    """Build a sample from its tokens; its text is left empty."""
    example = Example("", "", references[0], task, references)
    return Sample(example, tuple(prompt_ids), tuple(response_ids))


def random_samples(count: int, seed: int = 0, longest: int = 12) -> list[Sample]:
    """Draw samples of random lengths; each response ends with EOS."""
    rng = generator(seed, "tiny-samples")

    def draw() -> list[int]:
        return rng.integers(UNKNOWN + 1, 90, size=rng.integers(1, longest)).tolist()

    return [sample(draw(), [*draw(), EOS]) for _ in range(count)]


def alike_samples(count: int = 6, beginning: int = 20) -> list[Sample]:
    """Draw samples that all begin with the same tokens and differ from the next one on."""
    shared = list(range(10, 10 + beginning))
    return [
        sample([*shared, 50 + i, *one.prompt], one.response)
        for i, one in enumerate(random_samples(count))
    ]
