"""One client a task, the strongest skew of tasks there is.

Source: FedHDS (Qin et al., Findings of ACL 2025): each task of Natural Instructions is a client.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fedhds.data.partition._groups import group, labels
from fedhds.types import Example


@dataclass(frozen=True)
class TaskPartition:
    """One client a task, named after it and sorted by name."""

    def split(self, examples: Sequence[Example], seed: int) -> list[tuple[str, list[int]]]:
        """Return each task and the positions of its examples; nothing is drawn.

        Raises
        ------
        UserError
            If any example has no task.
        """
        return group(labels(examples, "task"))
