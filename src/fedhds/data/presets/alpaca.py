"""Stanford Alpaca and its many relatives.

Source: Taori et al., "Stanford Alpaca: An Instruction-following LLaMA model", 2023.
"""

from __future__ import annotations

from dataclasses import dataclass

from fedhds.data.columns import ColumnsPreset


@dataclass(frozen=True)
class Alpaca(ColumnsPreset):
    """Rows with the columns ``instruction``, ``input`` and ``output``; there are no tasks."""
