"""Equal parts of a shuffle: every client sees the same mixture of tasks.

Source: the IID setting of FedAvg (McMahan et al., 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedhds.data.partition._groups import check_enough, client_names
from fedhds.rng import generator
from fedhds.types import Example


@dataclass(frozen=True)
class IidPartition:
    """Clients of equal size (give or take one example), drawn without regard to the task.

    Parameters
    ----------
    clients : int
        How many clients.
    """

    clients: int

    def __post_init__(self) -> None:
        if self.clients < 1:
            raise ValueError("clients must be at least 1")

    def split(self, examples: Sequence[Example], seed: int) -> list[tuple[str, list[int]]]:
        """Return each client's name and the positions of its examples.

        Raises
        ------
        UserError
            If there are more clients than examples.
        """
        check_enough(examples, self.clients)
        shuffled = generator(seed, "partition").permutation(len(examples))
        parts = np.array_split(shuffled, self.clients)
        names = client_names(self.clients)
        return [(name, sorted(part.tolist())) for name, part in zip(names, parts, strict=True)]
