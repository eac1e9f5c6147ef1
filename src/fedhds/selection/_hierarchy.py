"""From a spanning tree to groups: the second half of HDBSCAN, in n log n.

Source: Campello, Moulavi and Sander, PAKDD 2013, with the conventions of scikit-learn's
HDBSCAN, whose own code takes the square of the number of groups.

Joining the points along the tree, from its shortest edge to its longest, makes a *node* of
every edge; its *density* is one over the edge's length. A node is *large* if it holds at
least ``min_cluster_size`` points. A *cluster* begins, at its *bottom*, with a large node of
which no part is large, or both are, and grows by whatever is not large.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedhds.selection._grouping import NOISE, in_order_of_appearance
from fedhds.types import Array


@dataclass(frozen=True)
class _Nodes:
    """The points, numbered from 0, then what joins them; the last one is the root.

    ``above`` is the node that each is a part of (the root's is the root), ``sizes`` are the
    points in each and ``densities`` those at which its parts join, infinite for points.
    """

    above: Array
    sizes: Array
    densities: Array


@dataclass(frozen=True)
class _Clusters:
    """The clusters, each after all that it splits into; the last one is the root's.

    ``of_node`` is the cluster of each large node, ``parents`` the one that each is a part
    of (the root's is the root's), ``births`` the density at which it parts from it, ``deaths``
    that of its bottom, and ``sizes`` are the points in each.
    """

    of_node: Array
    parents: Array
    births: Array
    deaths: Array
    sizes: Array


def densest_groups(edges: Array, lengths: Array, min_cluster_size: int) -> tuple[Array, Array]:
    """Group points as HDBSCAN does, by excess of mass and never all into one group.

    Parameters
    ----------
    edges : ndarray of int64, shape (n_points - 1, 2)
        A spanning tree, from its shortest edge to its longest. The shortest tree by mutual
        reachability gives HDBSCAN; by distance, that of ``min_samples`` 2 (or 1).
    lengths : ndarray of float64, shape (n_points - 1,)
        Ascending.
    min_cluster_size : int
        The smallest group, at least 2.

    Returns
    -------
    labels : ndarray of int64, shape (n_points,)
        Groups counted from 0 in order of their first point; `NOISE` for no group.
    memberships : ndarray of float64, shape (n_points,)
        The density at which a point leaves, by the highest at which its group holds
        together, 1 at most; 0 for noise.
    """
    count = len(lengths) + 1
    if count < min_cluster_size:
        return np.full(count, NOISE), np.zeros(count)
    nodes = _join(edges, lengths)
    clusters = _condense(nodes, min_cluster_size)
    leaving = np.arange(count)
    while (small := nodes.sizes[leaving] < min_cluster_size).any():
        leaving[small] = nodes.above[leaving[small]]
    homes, densities = clusters.of_node[leaving], nodes.densities[leaving]
    chosen = _choose(clusters, _stabilities(clusters, homes, densities))[homes]
    grouped = chosen != NOISE
    density, highest = densities[grouped], clusters.deaths[chosen[grouped]]
    memberships = np.zeros(count)
    # equal points are infinitely dense
    memberships[grouped] = np.divide(
        density, highest, out=np.ones(len(density)), where=density < highest
    )
    return in_order_of_appearance(chosen), memberships


def _join(edges: Array, lengths: Array) -> _Nodes:
    """Join the points along the edges in turn, with path halving (Tarjan 1975)."""
    count = len(lengths) + 1
    root = list(range(2 * count - 1))
    above = list(range(2 * count - 1))
    sizes = [1] * (2 * count - 1)
    for node, (one, other) in enumerate(zip(*edges.T.tolist(), strict=True), start=count):
        while root[one] != one:
            root[one] = one = root[root[one]]
        while root[other] != other:
            root[other] = other = root[root[other]]
        root[one] = root[other] = above[one] = above[other] = node
        sizes[node] = sizes[one] + sizes[other]
    with np.errstate(divide="ignore"):
        densities = np.append(np.full(count, np.inf), 1 / lengths)
    return _Nodes(np.array(above), np.array(sizes), densities)


def _condense(nodes: _Nodes, min_cluster_size: int) -> _Clusters:
    """Find the clusters: follow each large node down to its bottom."""
    large = np.flatnonzero(nodes.sizes >= min_cluster_size)
    inner = large[:-1]
    parts = np.bincount(nodes.above[inner], minlength=len(nodes.sizes))
    alone = parts[nodes.above[inner]] == 1
    bottoms = np.arange(len(nodes.sizes))
    bottoms[nodes.above[inner[alone]]] = inner[alone]
    while ((lower := bottoms[bottoms]) != bottoms).any():
        bottoms = lower
    heads = large[bottoms[large] == large]
    of_node = np.searchsorted(heads, bottoms)
    tops = np.append(inner[~alone], large[-1])
    tops = tops[np.argsort(of_node[tops])]
    parents = of_node[nodes.above[tops]]
    deaths = nodes.densities[heads]
    births = np.append(deaths[parents[:-1]], 0.0)
    return _Clusters(of_node, parents, births, deaths, nodes.sizes[tops])


def _stabilities(clusters: _Clusters, homes: Array, densities: Array) -> Array:
    """Sum the densities that each cluster's points last through in it, its excess of mass."""
    excess = np.bincount(homes, densities - clusters.births[homes], len(clusters.parents))
    parents = clusters.parents[:-1]
    lasting = (clusters.births[:-1] - clusters.births[parents]) * clusters.sizes[:-1]
    total: Array = excess + np.bincount(parents, lasting, len(clusters.parents))
    return total


def _choose(clusters: _Clusters, stabilities: Array) -> Array:
    """Return the chosen cluster that each is or is part of; `NOISE` for none.

    A cluster is better than its parts unless they are more stable together; of what is
    better than its parts the outermost is chosen, but never the root's.
    """
    parents, stable = clusters.parents.tolist(), stabilities.tolist()
    parts, better = [0.0] * len(parents), [False] * len(parents)
    for cluster in range(len(parents) - 1):
        better[cluster] = parts[cluster] <= stable[cluster]
        parts[parents[cluster]] += max(parts[cluster], stable[cluster])
    chosen = [NOISE] * len(parents)
    for cluster in reversed(range(len(parents) - 1)):
        outer = chosen[parents[cluster]]
        chosen[cluster] = cluster if outer == NOISE and better[cluster] else outer
    return np.array(chosen)
