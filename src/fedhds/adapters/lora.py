"""LoRA: a low-rank matrix beside every linear layer, with DoRA and rank stabilisation.

Source: LoRA (Hu et al., ICLR 2022, arXiv 2106.09685), as in peft
DoRA is of Liu et al., ICML 2024 (arXiv 2402.09353), the stabilised rank of Kalajdzievski,
2023 (arXiv 2312.03732).

Deviations: none. The experts of a mixture of experts (Mixtral, OLMoE, Qwen-MoE) and its
router are no linear layers in transformers 5: peft could adapt them as bare tensors, but not
with dropout, so they stay frozen. Attention and any shared expert are adapted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from fedhds.adapters._checks import check_positive


@dataclass(frozen=True)
class Lora:
    """Low-rank updates of linear layers; the defaults are FedHDS's.

    Parameters
    ----------
    rank, alpha : int
        The update is scaled by ``alpha / rank``.
    dropout : float
        On the input of the low-rank branch, in training only.
    target_modules : list of str or None
        Names of layers; None is every linear layer but the output head, which for Llama
        is the paper's list (q, k, v, o, gate, up, down).
    dora : bool
        Learn a layer's magnitude apart from its direction.
    rslora : bool
        Scale by ``alpha / sqrt(rank)`` instead.
    """

    injected: ClassVar[bool] = True
    checkpointing: ClassVar[bool] = True

    rank: int = 8
    alpha: int = 16
    dropout: float = 0.05
    target_modules: list[str] | None = None
    dora: bool = False
    rslora: bool = False

    def __post_init__(self) -> None:
        check_positive(self, "rank", "alpha")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, not {self.dropout}")
        if self.target_modules == []:
            raise ValueError("target_modules must name a layer; null is all linear ones")

    @property
    def virtual_tokens(self) -> int:
        """None: nothing stands in front of the prompt."""
        return 0

    def peft_config(self, base: Any) -> Any:
        """Return peft's configuration for the model ``base``."""
        from peft import LoraConfig
        from transformers.pytorch_utils import Conv1D

        return LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            target_modules=_targets(base, self.target_modules),
            use_dora=self.dora,
            use_rslora=self.rslora,
            bias="none",
            task_type="CAUSAL_LM",
            # GPT-2 stores its linear layers transposed.
            fan_in_fan_out=any(isinstance(module, Conv1D) for module in base.modules()),
        )


def _targets(base: Any, named: list[str] | None) -> list[str]:
    """Name the layers to adapt: those given, or all linear ones but the output head.

    peft's own "all-linear" adds the fused experts of Mixtral and its kin, and of the given
    names it leaves out silently what is not there.
    """
    from torch.nn import Linear
    from transformers.pytorch_utils import Conv1D

    if named is not None:
        there = [f".{name}" for name, _ in base.named_modules()]
        for target in named:
            if not any(name.endswith(f".{target}") for name in there):
                raise ValueError(f"the model has no layer named '{target}'")
        return named
    head = base.get_output_embeddings()
    return [
        name
        for name, module in base.named_modules()
        if isinstance(module, Linear | Conv1D) and module is not head
    ]
