"""One client a value of any column: a writer, a hospital, a language.

Source: the natural partition of LEAF (Caldas et al., 2018) and of flwr_datasets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fedhds.data.partition._groups import group, labels
from fedhds.types import Example


@dataclass(frozen=True)
class ColumnPartition:
    """One client a value of the column ``by``, named after it and sorted by name.

    Parameters
    ----------
    by : str
        A column of the rows; ``task`` is the example's task, whatever column it is from.
    """

    by: str

    def split(self, examples: Sequence[Example], seed: int) -> list[tuple[str, list[int]]]:
        """Return each value and the positions of its examples; nothing is drawn.

        Raises
        ------
        UserError
            If the column is missing or any example has no value in it.
        """
        return group(labels(examples, self.by))
