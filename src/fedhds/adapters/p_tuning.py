"""P-tuning: virtual tokens before the prompt, made by a small network that is learned.

Source: P-tuning (Liu et al., "GPT Understands, Too", 2021, arXiv 2103.10385), as in peft
It is a baseline of FedHDS's, with these 20 virtual tokens.

Deviations: the encoder is an MLP alone, without the paper's LSTM (peft's default), and all
virtual tokens stand in front. The network travels between server and clients; the
saved adapter holds what it makes, as peft's format has no place for itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from fedhds.adapters._checks import check_positive


@dataclass(frozen=True)
class PTuning:
    """Learned virtual tokens and the MLP that encodes them.

    Parameters
    ----------
    virtual_tokens : int
        How many stand before the prompt; they take as many of the model's positions.
    encoder_width : int or None
        Width of the MLP's hidden layers; None is that of the model's embeddings.
    """

    injected: ClassVar[bool] = False
    checkpointing: ClassVar[bool] = True

    virtual_tokens: int = 20
    encoder_width: int | None = None

    def __post_init__(self) -> None:
        check_positive(self, "virtual_tokens", "encoder_width")

    def peft_config(self, base: Any) -> Any:
        """Return peft's configuration for the model ``base``."""
        from peft import PromptEncoderConfig

        # peft would take the layers' width, which OPT-350M's embeddings do not have
        width = base.get_input_embeddings().embedding_dim
        return PromptEncoderConfig(
            num_virtual_tokens=self.virtual_tokens,
            encoder_hidden_size=self.encoder_width or width,
            token_dim=width,
            task_type="CAUSAL_LM",
        )
