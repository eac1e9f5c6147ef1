"""Federated hierarchical data selection: clients group their samples, the server their groups.

Source: FedHDS (Qin et al., Findings of ACL 2025, arXiv 2410.10926), section 4

A round of selection, in the paper's order:

1. `FedHDS.group` (client, intra-client selection): the hidden states of the last token
   after every layer, concatenated, laid out in the plane by t-SNE, grouped by HDBSCAN.
   The groups' centroids (2 floats each) go to the server.
2. `FedHDS.choose` (server, inter-client selection): all centroids grouped by HDBSCAN (our
   own, as a million may come in); in each global group the centroid nearest to its centre
   is the representative.
3. `FedHDS.pick` (client): per chosen group, the sample nearest to the group's centroid.

The paper's ablations are options: which ``layers``, another ``fusion``, ``inter_client``
false, more ``dimensions``, ``noise`` on the centroids. ``grouping`` by K-means is a switch
of its code.

Deviations from the paper and its published code:

- Centroids keep their own group's number (the code pairs them with labels of samples).
- t-SNE is seeded; clients of fewer than four samples, of identical samples, or in which
  HDBSCAN finds only noise count as one group (the code fails or trains nothing).
- If no global group forms, every client group is chosen (the code trains nothing).
- A budget, which the paper lacks, is kept exactly: one sample of each representative, those
  of the largest global groups first, then of the other groups, then the next of each.
- Kernel PCA has a Gaussian kernel; the code's, scikit-learn's default, is linear, which is
  PCA by another name.
- The clients' planes are unrelated to each other, as in the paper; so the inter-client
  step is known to be no better than chance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fedhds.selection._budget import apportion, take_turns
from fedhds.selection._finite import check_finite
from fedhds.selection._fusion import Fusion, fuse
from fedhds.selection._grouping import (
    NOISE,
    hdbscan,
    kmeans,
    representatives_first,
    weighted_means,
)
from fedhds.selection._hierarchy import densest_groups
from fedhds.selection._layers import Layers, check_layers, of_layers, pooled
from fedhds.selection._prototypes import merge_small
from fedhds.selection._spanning_tree import spanning_tree
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

GLOBAL_MIN_CLUSTER_SIZE = 2
"""Of the server's HDBSCAN, as published; its mutual reachability is then the distance."""


@dataclass(frozen=True)
class FedHDS(GroupingMethod):
    """The paper's method; the defaults are the paper's.

    Attributes
    ----------
    min_cluster_size : int
        HDBSCAN's smallest group on a client; the paper uses 5 for Natural Instructions
        and 2 for Dolly.
    layers : {"all", "last"} or list of int
        Whose states are the features; 0 is the embeddings, -1 the last layer.
    fusion : {"tsne", "pca", "kernel-pca", "none"}
        How the features are brought down to ``dimensions``; ``none`` keeps them all.
    dimensions : int
        Floats that a centroid has.
    grouping : {"hdbscan", "kmeans"}
        On the client; the server always groups centroids by HDBSCAN.
    groups : int
        K-means's groups on a client; the published code's default is 7.
    inter_client : bool
        False chooses every client group; the server then compares nothing.
    noise : float
        Variance of Gaussian noise on each number of the centroids, after tanh, as in the
        paper; 0 sends them as they are. No privacy guarantee is claimed for it: one
        sample can move every centroid of its client's map. t-SNE's coordinates are often
        tens, of which tanh leaves little more than the signs.
    minimum_group : int
        Above 1, which is the paper's, no centroid is of fewer samples: smaller groups are merged,
        centroids are plain means, and a client of fewer samples tells of none.
    """

    min_cluster_size: int = 2
    layers: Layers = "all"
    fusion: Fusion = "tsne"
    dimensions: int = 2
    grouping: Literal["hdbscan", "kmeans"] = "hdbscan"
    groups: int = 7
    inter_client: bool = True
    noise: float = 0.0
    minimum_group: int = 1

    budget: ClassVar[Literal["optional"]] = "optional"

    def __post_init__(self) -> None:
        """Check the options' ranges."""
        leasts = {"min_cluster_size": 2, "dimensions": 1, "groups": 1, "minimum_group": 1}
        for name, least in leasts.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}")
        if not 0 <= self.noise < np.inf:
            raise ValueError("noise must be finite and not negative")
        if not self.layers:
            raise ValueError("layers must name at least one layer")

    @property
    def described_group(self) -> int:
        """``minimum_group``: of one sample where a client has just that."""
        return self.minimum_group

    @property
    def steps(self) -> tuple[Exchange, ...]:
        """One exchange: centroids up, the chosen groups down."""
        width = "features" if self.fusion == "none" else self.dimensions
        return (
            Exchange(
                client=self.group,
                server=self.choose,
                summary={
                    "centroids": ArraySpec("float32", ("groups", width)),
                    "samples": ArraySpec("int64", (1,), low=0, high=2**31),
                    "ungrouped": ArraySpec("int64", (1,), low=0, high=1),
                },
                reply={
                    "groups": ArraySpec("int64", ("chosen",), low=0),
                    "samples": ArraySpec("int64", ("chosen",), low=1),
                },
            ),
        )

    def needs(self) -> tuple[str, ...]:
        """Need the last token's hidden states after every layer."""
        return ("hidden_states",)

    def unused(self) -> tuple[str, ...]:
        """Name options of another grouping or fusion that are not at their defaults."""
        idle = {
            "groups": self.grouping != "kmeans",
            "min_cluster_size": self.grouping != "hdbscan",
            "dimensions": self.fusion == "none",
        }
        changed = [name for name in idle if getattr(self, name) != getattr(FedHDS, name)]
        return tuple(name for name in changed if idle[name])

    def check_layers(self, layers: int) -> None:
        """Refuse a layer that a model of ``layers`` layers does not have."""
        check_layers(self.layers, layers)

    def group(
        self, signals: Signals, received: Arrays, memory: Memory, rng: np.random.Generator
    ) -> tuple[dict[str, Array], Memory]:
        """Group the client's samples (client; paper, section 4.1).

        Returns
        -------
        summary : dict
            ``centroids`` (groups, dimensions), each the mean of its group's points weighted
            by their membership; ``samples``, how many samples the client has;
            ``ungrouped``, 1 if it counts as one group for want of any.
        memory : dict
            ``points`` (samples, dimensions), ``labels`` (samples,) and ``centroids``: `pick`
            needs these very groups, and a second t-SNE would give others.
        """
        features = pooled(of_layers(signals.arrays["hidden_states"], self.layers))
        check_finite("hidden states", features)
        points = fuse(features, self.fusion, self.dimensions, rng)
        labels, memberships = (
            hdbscan(points, self.min_cluster_size)
            if self.grouping == "hdbscan"
            else kmeans(points, self.groups, rng)
        )
        ungrouped = len(labels) > 0 and bool((labels == NOISE).all())
        if ungrouped:
            labels, memberships = np.zeros_like(labels), np.ones(len(labels))
        if self.minimum_group > 1:
            labels = self._enlarged(points, labels)
            memberships = np.ones(len(labels))  # else one member may count for all
        centroids = weighted_means(points, labels, memberships).astype(np.float32)
        summary = {
            "centroids": _noised(centroids, self.noise, rng),
            "samples": np.array([len(points)]),
            "ungrouped": np.array([int(ungrouped)]),
        }
        return summary, {"points": points, "labels": labels, "centroids": centroids}

    def _enlarged(self, points: Array, labels: Array) -> Array:
        """Merge groups that are too small to be told of; none is left on a client that is."""
        if len(points) < self.minimum_group:
            return np.full(len(points), NOISE)
        return merge_small(points, labels, self.minimum_group)

    def choose(
        self,
        state: State,
        summaries: Mapping[int, Arrays],
        budget: int | None,
        rng: np.random.Generator,
    ) -> tuple[State, dict[int, dict[str, Array]]]:
        """Group the clients' groups and choose representatives (server; section 4.2).

        Returns
        -------
        state : dict
            What `remarks` tells of: how many ``client_groups`` came in, how many
            ``global_groups`` formed, whether they are ``approximate``, and how many
            ``ungrouped`` clients there were.
        replies : dict
            Per client ``groups``, the numbers of its chosen groups, and ``samples``, how
            many samples each is to give; what a client without any is asked for is of group 0.

        Notes
        -----
        n centroids take n log n in the plane; in more dimensions n² up to ten thousand of
        them and n log n beyond, where the groups are approximate: see `spanning_tree`. The
        groups hang on the centroids alone and not on the order they come in; of centroids
        equally near to a centre the first is the representative.
        """
        clients = sorted(summaries)
        parts = _of_one_width([summaries[client]["centroids"] for client in clients])
        lengths = [len(part) for part in parts]
        centroids = np.concatenate(parts)
        labels, memberships, exact = self._compared(centroids, rng)
        order, representatives = representatives_first(centroids, labels, memberships)
        others = np.zeros(len(clients), np.int64)
        if budget is None:
            wanted = np.zeros(len(order), dtype=np.int64)
            wanted[order[:representatives]] = 1
        else:
            capacity = np.array([int(summaries[client]["samples"][0]) for client in clients])
            owners = np.repeat(np.arange(len(clients)), lengths)
            wanted = take_turns(budget, order, owners, capacity)
            few = np.minimum(capacity, self.minimum_group - 1)  # whatever a client says
            untold = np.where(np.array(lengths) > 0, 0, few)
            others = apportion(budget - int(wanted.sum()), untold)
        replies = {}
        shares = np.split(wanted, np.cumsum(lengths)[:-1])
        for client, share, other in zip(clients, shares, others, strict=True):
            mine = share if len(share) else np.array([other])
            groups = np.flatnonzero(mine)
            replies[client] = {"groups": groups, "samples": mine[groups]}
        counts = {
            "client_groups": np.array([len(order)]),
            "global_groups": np.array([int(labels.max(initial=NOISE)) + 1]),
            "approximate": np.array([int(not exact)]),
            "ungrouped": np.array([sum(int(summaries[c]["ungrouped"][0]) for c in clients)]),
        }
        return counts, replies

    def _compared(self, centroids: Array, rng: np.random.Generator) -> tuple[Array, Array, bool]:
        """Group all clients' centroids: labels, memberships, and whether they are exact."""
        if not self.inter_client or len(centroids) < GLOBAL_MIN_CLUSTER_SIZE:
            return np.full(len(centroids), NOISE), np.zeros(len(centroids)), True
        tree = spanning_tree(centroids, rng)
        return *densest_groups(tree.edges, tree.lengths, GLOBAL_MIN_CLUSTER_SIZE), tree.exact

    def remarks(self, state: State) -> tuple[str, ...]:
        """Tell where the choice fell back to something simpler."""
        told = []
        if self.inter_client and not state["global_groups"][0]:
            told.append("no global group formed, so every client group was chosen")
        if state["approximate"][0]:
            told.append(
                f"the {state['client_groups'][0]} client groups were compared approximately, as "
                "so many are in more than two dimensions, beside a far outlier or on a line"
            )
        if count := int(state["ungrouped"][0]):
            told.append(f"{count} client(s) formed no group and count as one group each")
        return tuple(told)

    def labels(self, memory: Memory, samples: int) -> Array:
        """Return each sample's group, shape (samples,) (client)."""
        return memory["labels"]

    def pick(
        self, signals: Signals, received: Arrays, memory: Memory, rng: np.random.Generator
    ) -> Coreset:
        """Take the samples nearest to the chosen groups' centroids (client; section 4.2).

        A group that has fewer samples than it is to give is made up for by the samples
        nearest to any chosen centroid. A client that told of no group draws at random.
        """
        points, labels, centroids = memory["points"], memory["labels"], memory["centroids"]
        if not len(centroids):
            return Coreset.of(rng.permutation(len(points))[: int(received["samples"].sum())])
        taken: dict[int, int] = {}
        for group, count in zip(received["groups"], received["samples"], strict=True):
            members = np.flatnonzero(labels == group)
            nearest = np.argsort(
                _distances(points[members], centroids[[group]])[:, 0], kind="stable"
            )
            taken.update((int(i), int(group)) for i in members[nearest[:count]])
        missing = int(received["samples"].sum()) - len(taken)
        if missing > 0:
            nearest_chosen = _distances(points, centroids[received["groups"]]).min(axis=1)
            rest = [i for i in np.argsort(nearest_chosen, kind="stable") if i not in taken]
            taken.update((int(i), int(labels[i])) for i in rest[:missing])
        return Coreset.of(list(taken), list(taken.values()))


def _of_one_width(parts: Sequence[Array]) -> list[Array]:
    """Take as nothing what is of another width than most: an empty client's, or a forged one."""
    widths = Counter(part.shape[1] for part in parts if part.size)
    width = widths.most_common(1)[0][0] if widths else 0
    nothing = np.zeros((0, width), np.float32)
    return [part if part.size and part.shape[1] == width else nothing for part in parts]


def _noised(centroids: Array, variance: float, rng: np.random.Generator) -> Array:
    """Add the paper's noise to what is about to be sent; nothing at variance 0."""
    if not variance:
        return centroids
    noise = rng.normal(0.0, np.sqrt(variance), centroids.shape)
    noised: Array = (np.tanh(centroids) + noise).astype(np.float32)
    return noised


def _distances(points: Array, centres: Array) -> Array:
    """Return Euclidean distances, shape (n_points, n_centres)."""
    gaps: Array = np.linalg.norm(points[:, None, :] - centres[None, :, :], axis=2)
    return gaps
