"""Label skew: each label's examples are spread over the clients in Dirichlet proportions.

Source: flwr_datasets' DirichletPartitioner, after Yurochkin et al., 2019 (arXiv:1905.12022).
"""

from __future__ import annotations

import contextlib
import math
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from fedhds.data.partition._groups import check_enough, client_names, group, labels
from fedhds.rng import derive
from fedhds.types import Example, UserError

ATTEMPTS = 10
"""How often to start again with a new seed; DirichletPartitioner gives up after 11 draws,
which is too few for FedHDS's Dolly setting (200 clients, alpha 0.5) with one seed in 50."""


@dataclass(frozen=True)
class DirichletPartition:
    """Clients whose shares of each label are drawn from a symmetric Dirichlet distribution.

    Parameters
    ----------
    clients : int
        How many clients.
    alpha : float
        Concentration: near 0 a label falls to few clients, far above 1 all get the same.
    by : str
        The column that holds the labels; ``task`` is the example's task.
    min_size : int
        The fewest examples of a client. A draw that misses it is repeated, a hundred
        times or so.
    """

    clients: int
    alpha: float = 0.5
    by: str = "task"
    min_size: int = 10

    def __post_init__(self) -> None:
        if self.clients < 1:
            raise ValueError("clients must be at least 1")
        if not (self.alpha > 0 and math.isfinite(self.alpha)):
            raise ValueError("alpha must be above 0 and finite")
        if self.min_size < 0:
            raise ValueError("min_size must not be negative")

    def split(self, examples: Sequence[Example], seed: int) -> list[tuple[str, list[int]]]:
        """Return each client's name and the positions of its examples.

        Raises
        ------
        UserError
            If there are more clients than examples, if the column is missing, or if no
            draw gives every client ``min_size`` examples.
        """
        check_enough(examples, self.clients)
        keys = labels(examples, self.by)
        if self.clients * self.min_size > len(keys):
            raise UserError(
                f"partition.min_size: {len(keys)} examples are too few "
                f"for {self.clients} clients of at least {self.min_size}"
            )
        for attempt in range(ATTEMPTS):
            with contextlib.suppress(ValueError):  # all draws of this attempt missed min_size
                parts = self._draw(keys, derive(seed, "partition", round=attempt))
                return list(zip(client_names(self.clients), parts, strict=True))
        raise UserError(
            f"partition.min_size: no draw gave each of {self.clients} clients at least "
            f"{self.min_size} examples; lower it or raise partition.alpha"
        )

    def _draw(self, keys: Sequence[str], seed: int) -> list[list[int]]:
        """Let flwr_datasets draw each client's positions."""
        # Imported here as it takes seconds; telemetry is decided when it is imported.
        os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
        from datasets import Dataset
        from flwr_datasets.partitioner import DirichletPartitioner

        partitioner = DirichletPartitioner(
            num_partitions=self.clients,
            partition_by="label",
            alpha=float(self.alpha),
            min_partition_size=self.min_size,
            shuffle=False,
            seed=seed,
        )
        # Numbers and not the labels themselves, which NumPy would pad to equal length.
        codes = {key: code for code, (key, _) in enumerate(group(keys))}
        partitioner.dataset = Dataset.from_dict(
            {"label": [codes[key] for key in keys], "position": range(len(keys))}
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one for each repetition, of which none matters
            return [
                sorted(partitioner.load_partition(client)["position"])
                for client in range(self.clients)
            ]
