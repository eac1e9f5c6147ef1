"""FedHDS whose clients describe their groups in a space they share, so that the server can compare.

Source: our own, on FedHDS (Qin et al., Findings of ACL 2025, arXiv 2410.10926), section 4

A round of selection:

1. `FedHDSAligned.introduce` (client) and `agree` (server): features of the frozen model, brought
   down by the same random matrices on every client; their mean (and for ``space: pca`` their
   second moments) make the shared space. Those of the first round's clients are kept: the space
   never drifts.
2. `group` (client): the samples in the shared space, grouped by HDBSCAN on the client's own map
   or by K-means. Of each group a prototype goes to the server, with the group's size.
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

Where ``space`` is ``pca``, a client's second moments are 4 x 4 ``dimensions`` squared numbers that
hold its own covariance; only secure aggregation, which is not here, would hide it in the sum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fedhds.selection import _shared_space
from fedhds.selection._budget import divide
from fedhds.selection._comparison import by_coverage, by_density
from fedhds.selection._fusion import fuse
from fedhds.selection._grouping import NOISE, hdbscan, kmeans
from fedhds.selection._layers import Layers, check_layers, of_layers
from fedhds.selection._prototypes import describe, in_unit_ball, merge_small
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

SIGNALS = {
    "states": ("mean_states",),
    "words": ("words",),
    "both": ("mean_states", "words"),
    "last-token": ("hidden_states",),
}
"""What the features are read from."""

KINDS = {"mean_states": 2, "words": 1, "hidden_states": 1}
"""How many kinds of features a signal holds: means over prompt and response are two."""


@dataclass(frozen=True)
class FedHDSAligned(SelectionMethod):
    """Hierarchical selection in one shared space; the defaults are what won (``docs/log.md``).

    Attributes
    ----------
    features : {"both", "states", "words", "last-token"}
        ``states`` are the means over the prompt's and the response's tokens after each layer,
        ``words`` hashed word counts, which need no model; ``last-token`` is the paper's.
    layers : {"all", "last"} or list of int
        Whose states; 0 is the embeddings, -1 the last layer.
    space : {"centred", "random", "pca"}
        ``random`` is the seeded projection alone, with nothing to agree on; ``centred`` takes the
        first clients' common mean away; ``pca`` keeps what varies most over them.
    dimensions : int
        Of the shared space.
    projection_seed : int
        Of the random projection; not the experiment's, as all clients must have the same.
    minimum_group : int
        Nothing leaves a client that is of fewer samples; smaller groups are merged.
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

    features: Literal["both", "states", "words", "last-token"] = "both"
    layers: Layers = "all"
    space: Literal["centred", "random", "pca"] = "centred"
    dimensions: int = 128
    projection_seed: int = 0
    minimum_group: int = 3
    grouping: Literal["hdbscan", "kmeans"] = "hdbscan"
    min_cluster_size: int = 2
    groups: int = 20
    server: Literal["facility-location", "hdbscan", "tsne-hdbscan"] = "facility-location"
    least_gain: float = 1.0
    keep_noise: bool = False
    remember: bool = True

    budget: ClassVar[Literal["optional"]] = "optional"
    signal_model: ClassVar[Literal["base"]] = "base"

    def __post_init__(self) -> None:
        """Check the options' ranges."""
        least = {"dimensions": 1, "minimum_group": 2, "min_cluster_size": 2, "groups": 1}
        for name, lowest in (least | {"projection_seed": 0}).items():
            if getattr(self, name) < lowest:
                raise ValueError(f"{name} must be at least {lowest}")
        if not 0 < self.least_gain < np.inf:
            raise ValueError("least_gain must be above 0 and finite")
        if not self.layers:
            raise ValueError("layers must name at least one layer")

    @property
    def steps(self) -> tuple[Exchange, ...]:
        """Agree on a space, unless it is ``random``; then prototypes up, chosen groups down."""
        size, wide = self.dimensions, self._wide
        compare = Exchange(
            client=self.group,
            server=self.choose,
            summary={
                "prototypes": ArraySpec("float32", ("groups", size), low=-1, high=1),
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
        if self.space == "random":
            return (compare,)
        summary = {
            "mean": ArraySpec("float32", (wide,), low=-10, high=10),
            "samples": ArraySpec("int64", (1,), low=0, high=2**31),
        }
        reply = {"mean": ArraySpec("float32", (wide,))}
        if self.space == "pca":
            summary["products"] = ArraySpec("float32", (wide, wide), low=-100, high=100)
            reply["basis"] = ArraySpec("float32", (wide, size))
        return (Exchange(self.introduce, self.agree, summary, reply), compare)

    @property
    def _wide(self) -> int:
        """How many numbers the random projection leaves of a sample."""
        return self.dimensions * len(self._shares)

    @property
    def _shares(self) -> list[float]:
        """How much each kind of features counts: all of a signal as much as another signal."""
        return [1 / KINDS[name] for name in SIGNALS[self.features] for _ in range(KINDS[name])]

    def needs(self) -> tuple[str, ...]:
        """Need what the features are made of."""
        return SIGNALS[self.features]

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

    def check_layers(self, layers: int) -> None:
        """Refuse a layer that a model of ``layers`` layers does not have."""
        check_layers(self.layers, layers)

    def introduce(
        self, signals: Signals, received: Arrays, memory: Memory, rng: np.random.Generator
    ) -> tuple[dict[str, Array], Memory]:
        """Tell the moments of the projected features (client).

        Returns
        -------
        summary : dict
            ``mean`` (wide,) over the client's samples, ``products`` (wide, wide) for PCA, and
            how many ``samples`` they are of: 0, and all zeros, from fewer than
            ``minimum_group``.
        memory : dict
            These, for later rounds, beside what was there.
        """
        names = ("mean", "products") if self.space == "pca" else ("mean",)
        if any(name not in memory for name in names):
            projected = self._project(signals)
            enough = len(projected) >= self.minimum_group
            told = projected if enough else projected[:0]
            memory = memory | _shared_space.moments(told, self.space == "pca")
            memory["told"] = np.array([len(told)])
        summary = {name: memory[name] for name in names}
        return summary | {"samples": memory["told"]}, memory

    def agree(
        self,
        state: State,
        summaries: Mapping[int, Arrays],
        budget: int | None,
        rng: np.random.Generator,
    ) -> tuple[State, dict[int, dict[str, Array]]]:
        """Make the shared space of the clients' moments, once (server).

        Returns
        -------
        state : dict
            ``mean`` and, for PCA, ``basis`` beside what was there.
        replies : dict
            The same to every client.
        """
        clients = sorted(summaries)
        counts = np.array([int(summaries[client]["samples"][0]) for client in clients])
        space: dict[str, Array] = {n: state[n] for n in ("mean", "basis") if n in state}
        if not space and counts.sum():
            space = _shared_space.agree([summaries[c] for c in clients], counts, self.dimensions)
            state = state | space
        if not space:  # nobody has enough samples to tell of, now; so nobody has any group
            space = {"mean": np.zeros(self._wide, np.float32)}
            if self.space == "pca":
                space["basis"] = np.eye(self._wide, self.dimensions, dtype=np.float32)
        return state, dict.fromkeys(clients, space)

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
            points = _shared_space.place(self._project(signals), received, self._shares)
            labels, quality = self.sift(signals, self._grouped(points, rng))
            memory = memory | describe(points, labels, quality, self.minimum_group)
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
            ``covered`` (chosen, dimensions), the prototypes chosen until now; ``given``
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
        parts = [summaries[client]["prototypes"] for client in clients]
        prototypes = in_unit_ball(np.concatenate(parts))
        sizes = np.concatenate([summaries[client]["sizes"] for client in clients])
        owners = np.repeat(np.arange(len(clients)), [len(part) for part in parts])
        held = np.array([int(summaries[client]["samples"][0]) for client in clients])
        covered = state.get("covered", np.zeros((0, self.dimensions), np.float32))
        order, enough = self._order(prototypes, sizes, covered, budget, rng)
        wanted, others = (
            divide(budget, order, sizes, owners, held)
            if budget is not None
            else (np.isin(np.arange(len(sizes)), order[:enough]).astype(np.int64), 0 * held)
        )
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
        }
        if self.remember:
            chosen = prototypes[order[wanted[order] > 0]]
            told["covered"] = np.concatenate([covered, chosen])
            entries = [(*key, count) for key, count in sorted(given.items()) if count]
            told["given"] = np.array(entries, np.int64).reshape(len(entries), 3)
        return state | told, replies

    def remarks(self, state: State) -> tuple[str, ...]:
        """Tell which clients could not take part in the comparison."""
        if count := int(state["small_clients"][0]):
            return (
                f"{count} client(s) have fewer than selection.minimum_group samples, and gave none "
                "that a budget did not ask for",
            )
        return ()

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

    def _project(self, signals: Signals) -> Array:
        """Bring the features down by the matrices that all clients share."""
        kinds: list[Array] = []
        for name in SIGNALS[self.features]:
            array = signals.arrays[name]
            if array.size and not np.isfinite([array.min(), array.max()]).all():
                raise ValueError(f"the signal '{name}' holds non-finite values")
            if name == "words":
                kinds.append(array[:, None])
            elif name == "hidden_states":
                kinds.append(of_layers(array, self.layers))
            else:
                kinds.extend(of_layers(array, self.layers).swapaxes(0, 1))
        return _shared_space.project(kinds, self.dimensions, self.projection_seed)

    def _grouped(self, points: Array, rng: np.random.Generator) -> Array:
        """Return each sample's group, none smaller than ``minimum_group``; `NOISE` for none."""
        if len(points) < self.minimum_group:
            return np.full(len(points), NOISE)
        if self.grouping == "kmeans":
            labels, _ = kmeans(points, self.groups, rng)
        else:
            labels, _ = hdbscan(fuse(points, "tsne", 2, rng), self.min_cluster_size)
        return merge_small(points, labels, self.minimum_group)

    def _order(
        self,
        prototypes: Array,
        sizes: Array,
        covered: Array,
        budget: int | None,
        rng: np.random.Generator,
    ) -> tuple[Array, int]:
        """Order prototypes for the choice; say how many are enough without a budget."""
        if self.server == "facility-location":
            return by_coverage(prototypes, sizes, covered, budget, self.least_gain)
        return by_density(prototypes, covered, self.server == "tsne-hdbscan", self.keep_noise, rng)


def _given(state: State) -> Counter[tuple[int, int]]:
    """Return how many samples each client's groups gave until now."""
    entries = state.get("given", np.zeros((0, 3), np.int64)).tolist()
    return Counter({(client, group): count for client, group, count in entries})
