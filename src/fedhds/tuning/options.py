"""How a client trains: plain options, so that a configuration is checked without torch.

Source: FedHDS, section 5.1, and its published code for the defaults.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class TuningOptions:
    """How a client trains; the defaults are the paper's for Natural Instructions.

    Attributes
    ----------
    optimizer : {"adam", "adamw", "sgd"}
        A new one in every round.
    lr, lr_decay : float
        The learning rate in round ``r`` is ``lr * lr_decay ** (r - 1)``.
    epochs : int
        Passes over the coreset in one round.
    steps : int or None
        Exactly so many optimizer steps instead, going round the coreset as often as needed.
    batch_size, accumulation : int
        Samples per forward pass, and passes per optimizer step.
    clip : float or None
        The longest gradient, as its 2-norm.
    gradient_checkpointing : bool
        Recompute activations in the backward pass: less memory, more time, same result.

    Raises
    ------
    ValueError
        If a value makes no sense.
    """

    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    lr: float = 3e-4
    lr_decay: float = 1.0
    epochs: int = 1
    steps: int | None = None
    batch_size: int = 1
    accumulation: int = 1
    clip: float | None = None
    gradient_checkpointing: bool = False

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        for name in ("lr", "lr_decay", "clip"):
            number = getattr(self, name)
            if number is not None and not 0 < number < math.inf:
                raise ValueError(f"{name} must be a finite number above 0, not {number}")
        for name in ("epochs", "steps", "batch_size", "accumulation"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise ValueError(f"{name} must be at least 1, not {number}")
