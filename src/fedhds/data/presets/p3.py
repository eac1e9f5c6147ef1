"""P3 with one task a row, and any other file with these columns: what is read by default.

Source: Sanh et al., "Multitask Prompted Training Enables Zero-Shot Task Generalization", 2022.
"""

from __future__ import annotations

from dataclasses import dataclass

from fedhds.data.columns import ColumnsPreset


@dataclass(frozen=True)
class P3(ColumnsPreset):
    """Rows with the columns ``instruction``, ``input``, ``output`` and ``task``."""
