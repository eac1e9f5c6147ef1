"""Prefix-tuning: learned keys and values that every layer attends to before the prompt.

Source: prefix-tuning (Li and Liang, ACL 2021, arXiv 2101.00190), as in peft
It is a baseline of FedHDS's, with these 10 virtual tokens.

Deviations: the prefix is learned directly, without the paper's network that makes it while
training (peft's default); the prompt's positions start after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from fedhds.adapters._checks import check_positive


@dataclass(frozen=True)
class PrefixTuning:
    """Learned keys and values of ``virtual_tokens`` tokens in every layer."""

    injected: ClassVar[bool] = False
    checkpointing: ClassVar[bool] = False
    """A checkpointed layer takes no cache, and the prefix is one."""

    virtual_tokens: int = 10

    def __post_init__(self) -> None:
        check_positive(self, "virtual_tokens")

    def peft_config(self, base: Any) -> Any:
        """Return peft's configuration for the model ``base``."""
        from peft import PrefixTuningConfig

        return PrefixTuningConfig(num_virtual_tokens=self.virtual_tokens, task_type="CAUSAL_LM")
