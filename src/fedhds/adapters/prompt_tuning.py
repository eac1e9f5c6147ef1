"""Prompt tuning: virtual tokens before the prompt whose embeddings are learned.

Source: prompt tuning (Lester et al., EMNLP 2021, arXiv 2104.08691), as in peft
It is a baseline of FedHDS's, with these 20 virtual tokens.

Deviations: the embeddings start at random (standard normal) and not from words, so that
nothing needs a text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from fedhds.adapters._checks import check_positive


@dataclass(frozen=True)
class PromptTuning:
    """Learned embeddings of ``virtual_tokens`` tokens, which take as many positions."""

    injected: ClassVar[bool] = False
    checkpointing: ClassVar[bool] = True

    virtual_tokens: int = 20

    def __post_init__(self) -> None:
        check_positive(self, "virtual_tokens")

    def peft_config(self, base: Any) -> Any:
        """Return peft's configuration for the model ``base``."""
        from peft import PromptTuningConfig

        return PromptTuningConfig(
            num_virtual_tokens=self.virtual_tokens,
            # peft would take the layers' width, which OPT-350M's embeddings do not have
            token_dim=base.get_input_embeddings().embedding_dim,
            task_type="CAUSAL_LM",
        )
