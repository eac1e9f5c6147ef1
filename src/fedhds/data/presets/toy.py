"""The embedded toy federation, generated and never read.

Source: this package, `fedhds.data.toy`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fedhds.data.columns import ColumnsPreset
from fedhds.data.toy import generate
from fedhds.types import Rows


@dataclass(frozen=True)
class Toy(ColumnsPreset):
    """Small tasks made from words and grammars, with unseen ones among them.

    Parameters
    ----------
    toy_samples : int
        How many samples each task gets.
    """

    generated: ClassVar[bool] = True
    brings_unseen: ClassVar[bool] = True

    toy_samples: int = 40

    def read(self, train: str | None, unseen: str | None, seed: int) -> tuple[Rows, Rows]:
        """Generate the rows; there are no sources."""
        train_rows, unseen_rows = generate(self.toy_samples, seed)
        return Rows(train_rows), Rows(unseen_rows)
