"""The best that grouping could do if it saw all clients' samples: a reference, not private.

Source: FedHDS (Qin et al., Findings of ACL 2025, arXiv 2410.10926), "Coreset-Cent"

Every client sends the features of all of its samples; the server lays all of them out in one
plane by t-SNE, groups them by HDBSCAN and takes the real sample nearest to each group's
centre: what FedHDS would choose if it might pool the samples.

Deviations from the paper, those of `fedhds` where they apply: t-SNE is seeded; samples of
which no two form a group (fewer than four, all alike, or noise alone) count as one group;
a budget, which the paper lacks, is kept exactly. Groups are of two samples at least, as
FedHDS has them on the server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fedhds.selection._finite import check_finite
from fedhds.selection._fusion import fuse
from fedhds.selection._grouping import NOISE, weighted_means
from fedhds.selection._hierarchy import densest_groups
from fedhds.selection._layers import pooled
from fedhds.selection._spanning_tree import spanning_tree
from fedhds.types import (
    Array,
    Arrays,
    ArraySpec,
    Coreset,
    Exchange,
    Memory,
    SelectionMethod,
    Signals,
    State,
)

MIN_CLUSTER_SIZE = 2


@dataclass(frozen=True)
class CoresetCent(SelectionMethod):
    """Group all clients' samples on the server and take each group's representative."""

    private: ClassVar[bool] = False
    budget: ClassVar[Literal["optional"]] = "optional"

    @property
    def steps(self) -> tuple[Exchange, ...]:
        """One exchange: every sample's features up, the chosen positions down."""
        return (
            Exchange(
                client=self.send,
                server=self.choose,
                summary={"features": ArraySpec("float32", ("samples", "features"))},
                reply={"positions": ArraySpec("int64", ("chosen",), low=0)},
            ),
        )

    def needs(self) -> tuple[str, ...]:
        """Need the last token's hidden states after every layer."""
        return ("hidden_states",)

    def send(
        self, signals: Signals, received: Arrays, memory: Memory, rng: np.random.Generator
    ) -> tuple[dict[str, Array], Memory]:
        """Send ``features`` (samples, features), every layer's after the other (client)."""
        features = pooled(signals.arrays["hidden_states"])
        check_finite("hidden states", features)
        return {"features": features}, {}

    def choose(
        self,
        state: State,
        summaries: Mapping[int, Arrays],
        budget: int | None,
        rng: np.random.Generator,
    ) -> tuple[State, dict[int, dict[str, Array]]]:
        """Choose among all clients' samples (server).

        Returns
        -------
        state : dict
            What `remarks` tells of: how many ``groups`` formed.
        replies : dict
            Per client ``positions``, those of its chosen samples, ascending.
        """
        clients = sorted(summaries)
        parts = [summaries[client]["features"] for client in clients]
        chosen, groups = self.represent(np.concatenate(parts), budget, rng)
        ends = np.cumsum([len(part) for part in parts])
        ascending = np.sort(chosen)
        shares = np.split(ascending, np.searchsorted(ascending, ends[:-1]))
        replies = {
            client: {"positions": share - (end - len(part))}
            for client, share, end, part in zip(clients, shares, ends, parts, strict=True)
        }
        return {"groups": np.array([groups])}, replies

    def represent(
        self, features: Array, budget: int | None, rng: np.random.Generator
    ) -> tuple[Array, int]:
        """Choose the samples that stand for all (see `representatives`) (server)."""
        return representatives(features, budget, rng)

    def remarks(self, state: State) -> tuple[str, ...]:
        """Tell where the choice fell back to something simpler."""
        return () if state["groups"][0] else ("the samples formed no group and count as one",)

    def pick(
        self, signals: Signals, received: Arrays, memory: Memory, rng: np.random.Generator
    ) -> Coreset:
        """Take the samples that the server named (client)."""
        return Coreset.of(received["positions"])


def representatives(
    features: Array, budget: int | None, rng: np.random.Generator
) -> tuple[Array, int]:
    """Choose the samples that stand for all, from their features.

    Parameters
    ----------
    features : ndarray, shape (n_samples, n_features)
        Finite.
    budget : int or None
        How many to choose; None is one of each group.
    rng : Generator
        Gives t-SNE its seed.

    Returns
    -------
    positions : ndarray of int64, shape (n_chosen,)
        First the sample nearest to each group's centre, those of larger groups first, then
        the next nearest of each group in turn, then what is in no group. So a smaller
        budget's are those at the front.
    groups : int
        How many formed; 0 where all samples count as one for want of any.
    """
    return nearest_to_centres(fuse(features, "tsne", 2, rng), budget, rng)


def nearest_to_centres(
    points: Array, budget: int | None, rng: np.random.Generator
) -> tuple[Array, int]:
    """Choose the samples that stand for all, as in `representatives`, from points to be grouped."""
    if not len(points):
        return np.zeros(0, np.int64), 0
    tree = spanning_tree(points, rng)
    labels, memberships = densest_groups(tree.edges, tree.lengths, MIN_CLUSTER_SIZE)
    groups = int(labels.max()) + 1
    if not groups:
        labels, memberships = np.zeros_like(labels), np.ones(len(labels))
    order = _in_turn(points, labels, memberships)
    return order[: max(groups, 1) if budget is None else budget], groups


def _in_turn(points: Array, labels: Array, memberships: Array) -> Array:
    """Rank points: of each group the nearest to its centre, then the next, noise last."""
    grouped = np.flatnonzero(labels != NOISE)
    mine = labels[grouped]
    centres = weighted_means(points, labels, memberships)
    distances = np.linalg.norm(points[grouped] - centres[mine], axis=1)
    by_group = np.lexsort((distances, mine))
    sizes = np.bincount(mine)
    turns = np.empty(len(grouped), np.int64)
    turns[by_group] = np.arange(len(grouped)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    order = np.lexsort((mine, -sizes[mine], turns))
    return np.concatenate([grouped[order], np.flatnonzero(labels == NOISE)])
