"""FedHDS with a small frozen proxy reading the samples in the place of the tuned model.

Source: FedHDS (Qin et al., Findings of ACL 2025, arXiv 2410.10926), "FedHDS-Turbo"

The proxy (``model.proxy``; the paper's is GPT-2) has its own tokenizer and never changes,
so each client reads its samples once and keeps what it read.
Deviations: those of `fedhds`; the published code reads them again in every round.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from fedhds.selection.fedhds import FedHDS


@dataclass(frozen=True)
class FedHDSTurbo(FedHDS):
    """`FedHDS` on a proxy's hidden states; the same options."""

    signal_model: ClassVar[Literal["proxy"]] = "proxy"
