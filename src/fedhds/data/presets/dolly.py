"""Dolly 15K: instructions by people, in eight categories.

Source: Conover et al., "Free Dolly", 2023.

FedHDS holds out the category ``summarization``: ``data.holdout: [summarization]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from fedhds.data.columns import ColumnsPreset


@dataclass(frozen=True)
class Dolly(ColumnsPreset):
    """Rows whose ``context`` is the input, ``response`` the output, ``category`` the task."""

    columns: ClassVar[Mapping[str, str]] = {
        "input": "context",
        "output": "response",
        "task": "category",
    }
