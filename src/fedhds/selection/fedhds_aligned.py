"""FedHDS whose clients describe their groups in a space they share, so that the server can compare.

Source: our own, on FedHDS (Qin et al., Findings of ACL 2025, arXiv 2410.10926), section 4

A round of selection:

1. `InSharedSpace.introduce` (client) and `agree` (server): features of the frozen model, brought
   down by the same random matrices on every client; their mean (and for ``space: pca`` their
   second moments) make the shared space. Those of the first round's clients are kept: the space
   never drifts.
2. `FedHDSAligned.group` (client): the samples in the shared space, grouped by HDBSCAN on the
   client's own map or by K-means. Of each group a prototype goes to the server, with its size.
3. `choose` (server): greedy facility location over all prototypes, weighted by size: each
   representative is the one that best covers what those before it, earlier rounds' included,
   leave uncovered.
4. `pick` (client): per chosen group, the samples nearest to its centre that were not given yet.

Deviations from the paper:

- Features are means over the prompt's and over the response's tokens, with hashed words; the
  state of the last token alone says little of what a sample is about.
- They are read with the frozen base (or ``model.proxy``), once per client; the paper's move with
  the tuned model.
- A prototype is the mean of a group's ``minimum_group`` most central samples, in the shared space,
  and not of all: a loose group's mean lies near to everything, which no sample of it does.
- The server remembers what earlier rounds covered; the paper's rounds know nothing of each other.
  What it asked for counts as covered, also where the client then failed to train on it; and once
  everything is covered, equal gains go to the first groups.

Where ``space`` is ``pca``, what a client sends first holds its own covariance; only secure
aggregation, which is not here, would hide it in the clients' sum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fedhds.selection._budget import divide
from fedhds.selection._comparison import Ranking, by_coverage, by_density
from fedhds.selection._fusion import fuse
from fedhds.selection._grouping import NOISE, hdbscan, kmeans
from fedhds.selection._in_shared_space import InSharedSpace, of_small_clients
from fedhds.selection._prototypes import describe, in_unit_ball, merge_small
from fedhds.types import (
    Array,
    Arrays,
    ArraySpec,
    Coreset,
    Exchange,
    GroupingMethod,
    Memory,
    Signals,
    State,
)


@dataclass(frozen=True)
class FedHDSAligned(InSharedSpace, GroupingMethod):
    """Hierarchical selection in one shared space; the defaults are what won (``docs/log.md``).

    The options that make the space are those of `InSharedSpace`.

    Attributes
    ----------
    grouping : {"hdbscan", "kmeans"}
        On the client, HDBSCAN on its t-SNE map.
    min_cluster_size : int
        HDBSCAN's smallest group.
    groups : int
        K-means's groups.
    server : {"facility-location", "hdbscan", "tsne-hdbscan"}
        How representatives are found among the prototypes.
    least_gain : float
        Without a budget, facility location goes on while a representative raises the summed
        similarity of all samples by so much. 1 is a sample's own, from nothing.
    keep_noise : bool
        Whether prototypes that the server's HDBSCAN calls noise stand for themselves.
    remember : bool
        Whether earlier rounds count as covered.
    """

    grouping: Literal["hdbscan", "kmeans"] = "hdbscan"
    min_cluster_size: int = 2
    groups: int = 20
    server: Literal["facility-location", "hdbscan", "tsne-hdbscan"] = "facility-location"
    least_gain: float = 1.0
    keep_noise: bool = False
    remember: bool = True

    budget: ClassVar[Literal["optional"]] = "optional"

    def __post_init__(self) -> None:
        """Check the options' ranges."""
        super().__post_init__()
        for name, least in (("min_cluster_size", 2), ("groups", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}")
        if not 0 < self.least_gain < np.inf:
            raise ValueError("least_gain must be above 0 and finite")

    @property
    def steps(self) -> tuple[Exchange, ...]:
        """Agree on a space, unless it is ``random``; then prototypes up, chosen groups down."""
        compare = Exchange(
            client=self.group,
            server=self.choose,
            summary={
                "prototypes": ArraySpec("float32", ("groups", self.dimensions), low=-1, high=1),
                "sizes": ArraySpec("int64", ("groups",), low=self.minimum_group, high=2**31),
                "samples": ArraySpec("int64", (1,), low=0, high=2**31),
            },
            reply={
                "groups": ArraySpec("int64", ("chosen",), low=0),
                "samples": ArraySpec("int64", ("chosen",), low=1),
                "given": ArraySpec("int64", ("chosen",), low=0),
                "others": ArraySpec("int64", (1,), low=0),
            },
        )
        return (*self.agreement, compare)

    def unused(self) -> tuple[str, ...]:
        """Name options of another grouping or server step that are not at their defaults."""
        idle = {
            "groups": self.grouping != "kmeans",
            "min_cluster_size": self.grouping != "hdbscan",
            "layers": self.features == "words",
            "least_gain": self.server != "facility-location",
            "keep_noise": self.server == "facility-location",
        }
        changed = [name for name in idle if getattr(self, name) != getattr(FedHDSAligned, name)]
        return tuple(name for name in changed if idle[name])

    def group(
        self, signals: Signals, received: Arrays, memory: Memory, rng: np.random.Generator
    ) -> tuple[dict[str, Array], Memory]:
        """Group the client's samples in the shared space, once (client).

        Returns
        -------
        summary : dict
            ``prototypes`` (groups, dimensions), ``sizes`` (groups,) and how many ``samples`` the
            client has, grouped or not.
        memory : dict
            These and ``members`` (grouped,): group after group, the one to give first at the
            front. Kept for later rounds, as neither features nor space change.
        """
        if "members" not in memory:
            points = self.place(signals, received, memory)
            labels, quality = self.sift(signals, self._grouped(points, rng))
            memory = memory | describe(points, labels, quality, self.minimum_group)
            memory.pop("projected", None)  # it is not asked for again
        summary = {name: memory[name] for name in ("prototypes", "sizes")}
        return summary | {"samples": np.array([signals.samples])}, memory

    def choose(
        self,
        state: State,
        summaries: Mapping[int, Arrays],
        budget: int | None,
        rng: np.random.Generator,
    ) -> tuple[State, dict[int, dict[str, Array]]]:
        """Choose representatives among all clients' groups (server).

        A budget is filled by one sample each of the groups in the order they were chosen; then
        by more of each in proportion to its size; then by ungrouped samples.

        Returns
        -------
        state : dict
            ``covered`` (chosen, dimensions), the prototypes chosen until now, once each; ``given``
            (entries, 3), client, group and how many samples it gave until now; the shared
            space; and what `remarks` tells of.
        replies : dict
            Per client ``groups``, the numbers of its chosen groups; ``samples``, how many each
            is to give; ``given``, how many it gave in earlier rounds; and ``others``, how many
            samples of no group.

        Notes
        -----
        The choice hangs on the prototypes and their sizes alone, and not on the order they come
        in but where two gain the same.
        """
        clients = sorted(summaries)
        held = np.array([int(summaries[client]["samples"][0]) for client in clients])
        parts = [_told(summaries[client]) for client in clients]
        prototypes = in_unit_ball(np.concatenate([points for points, _ in parts]))
        sizes = np.concatenate([sizes for _, sizes in parts])
        owners = np.repeat(np.arange(len(clients)), [len(points) for points, _ in parts])
        covered = state.get("covered", np.zeros((0, self.dimensions), np.float32))
        ranking = self._ranked(prototypes, sizes, covered, budget, rng)
        if budget is None:
            wanted, others = np.zeros_like(sizes), np.zeros_like(held)
            wanted[ranking.order[: ranking.enough]] = 1
        else:
            wanted, others = divide(budget, ranking.order, sizes, owners, held)
        given = _given(state)
        replies = {}
        for number, client in enumerate(clients):
            mine = wanted[owners == number]
            groups = np.flatnonzero(mine)
            before = [given[client, group] for group in groups.tolist()]
            replies[client] = {
                "groups": groups,
                "samples": mine[groups],
                "given": np.array(before, np.int64),
                "others": others[[number]],
            }
            given.update({(client, g): int(mine[g]) for g in groups.tolist()})
        told = {
            "client_groups": np.array([len(sizes)]),
            "chosen_groups": np.array([np.count_nonzero(wanted)]),
            "small_clients": np.array([((held > 0) & (held < self.minimum_group)).sum()]),
            "global_groups": np.array([-1 if ranking.groups is None else ranking.groups]),
            "approximate": np.array([int(not ranking.exact)]),
        }
        if self.remember:
            chosen = prototypes[wanted > 0]
            # once each: a group that is chosen again covers nothing new
            told["covered"] = np.unique(np.concatenate([covered, chosen]), axis=0)
            entries = [(*key, count) for key, count in sorted(given.items()) if count]
            told["given"] = np.array(entries, np.int64).reshape(len(entries), 3)
        return state | told, replies

    def remarks(self, state: State) -> tuple[str, ...]:
        """Tell which clients were not compared, and where groups are not what they should be."""
        told = [*of_small_clients(state)]
        if not state["global_groups"][0] and state["client_groups"][0]:
            told.append("no global group formed, so every client group counts as one")
        if state["approximate"][0]:
            told.append(
                f"the {state['client_groups'][0]} client groups were compared approximately"
            )
        return tuple(told)

    def labels(self, memory: Memory, samples: int) -> Array:
        """Return each sample's group, shape (samples,) (client)."""
        labels = np.full(samples, NOISE)
        labels[memory["members"]] = np.repeat(np.arange(len(memory["sizes"])), memory["sizes"])
        return labels

    def pick(
        self, signals: Signals, received: Arrays, memory: Memory, rng: np.random.Generator
    ) -> Coreset:
        """Give of each chosen group what was not given yet, the most central first (client).

        A group all of whose samples were given begins again.
        """
        ends = np.cumsum(memory["sizes"])
        taken: dict[int, int] = {}
        asked = (received[name].tolist() for name in ("groups", "samples", "given"))
        for group, count, before in zip(*asked, strict=True):
            members = memory["members"][ends[group] - memory["sizes"][group] : ends[group]]
            turned = np.roll(members, -(before % len(members)))
            taken.update((int(i), group) for i in turned[:count])
        rest = [i for i in rng.permutation(signals.samples).tolist() if i not in taken]
        taken.update((i, NOISE) for i in rest[: int(received["others"][0])])
        return Coreset.of(list(taken), list(taken.values()))

    def sift(self, signals: Signals, labels: Array) -> tuple[Array, Array | None]:
        """Leave groups out, and say how good each sample is; here all are, and none is left out.

        Parameters
        ----------
        labels : ndarray of int64, shape (n_samples,)

        Returns
        -------
        labels : ndarray of int64, shape (n_samples,)
        quality : ndarray of float64, shape (n_samples,), or None
        """
        return labels, None

    def _grouped(self, points: Array, rng: np.random.Generator) -> Array:
        """Return each sample's group, none smaller than ``minimum_group``; `NOISE` for none."""
        if len(points) < self.minimum_group:
            return np.full(len(points), NOISE)
        if self.grouping == "kmeans":
            most = len(points) // self.minimum_group  # more would fall apart into single samples
            labels, _ = kmeans(points, min(self.groups, most), rng)
        else:
            labels, _ = hdbscan(fuse(points, "tsne", 2, rng), self.min_cluster_size)
        return merge_small(points, labels, self.minimum_group)

    def _ranked(
        self,
        prototypes: Array,
        sizes: Array,
        covered: Array,
        budget: int | None,
        rng: np.random.Generator,
    ) -> Ranking:
        """Order prototypes for the choice."""
        if self.server == "facility-location":
            return by_coverage(prototypes, sizes, covered, budget, self.least_gain)
        return by_density(prototypes, covered, self.server == "tsne-hdbscan", self.keep_noise, rng)


def _told(summary: Arrays) -> tuple[Array, Array]:
    """Return a client's prototypes and sizes; none if it says more of groups than it has."""
    prototypes, sizes = summary["prototypes"], summary["sizes"]
    count = len(sizes) if sizes.sum() <= summary["samples"][0] else 0
    return prototypes[:count], sizes[:count]


def _given(state: State) -> Counter[tuple[int, int]]:
    """Return how many samples each client's groups gave until now."""
    entries = state.get("given", np.zeros((0, 3), np.int64)).tolist()
    return Counter({(client, group): count for client, group, count in entries})
