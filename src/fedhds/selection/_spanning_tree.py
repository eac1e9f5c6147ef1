"""The shortest tree that joins points: what single linkage and HDBSCAN are built upon.

In the plane it is exact and takes n log n, being part of the Delaunay triangulation (Shamos
and Hoey 1975). In more dimensions no such shortcut is known: few points are joined by Prim's
algorithm, many approximately, within the leaves of a random projection forest (Dasgupta and
Freund 2008). One thread, as in `_fusion`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial import Delaunay, QhullError
from threadpoolctl import threadpool_limits

from fedhds.types import Array

EXACT = 10_000
"""Up to so many points the tree is exact in any dimension; it takes seconds, as n² does."""

TREES = 8
LEAF = 64
"""Of the forest: how many trees, and the most points that a leaf holds."""

BLOCK = 1 << 17
"""Numbers handled at a time, so that they stay in the processor's cache."""


@dataclass(frozen=True)
class SpanningTree:
    """A tree over n points, its edges from the shortest to the longest.

    Attributes
    ----------
    edges : ndarray of int64, shape (n - 1, 2)
        The points that each edge joins.
    lengths : ndarray of float64, shape (n - 1,)
    exact : bool
        Whether no tree is shorter, but for rounding.
    """

    edges: Array
    lengths: Array
    exact: bool


def spanning_tree(points: Array, rng: np.random.Generator) -> SpanningTree:
    """Join points by the shortest tree, or by a nearly shortest one.

    Exact in one and two dimensions, n log n, and for up to `EXACT` points, n². Otherwise
    n log n: the shortest among the edges that join points of one leaf in any of `TREES`
    trees, each of which halves the points along random directions. So it is also in the
    plane, for more points than `EXACT`, where one is a million times as far off as the rest.

    Parameters
    ----------
    points : ndarray, shape (n_points, dimensions)
        At least one, finite and of float32's range, so that squares neither over- nor
        underflow.
    rng : Generator
        Draws the forest's directions; nothing is drawn where the tree is exact.

    Returns
    -------
    SpanningTree
        Among edges of one length those that join what comes first by coordinates: it
        depends on the points alone and not on their order, save for which of equal points
        is which.
    """
    order = _by_coordinates(points)
    placed = points[order].astype(np.float64)
    distinct = np.append(True, (placed[1:] != placed[:-1]).any(axis=1)).nonzero()[0]
    found, exact = _candidates(placed[distinct], rng)
    # joins equal points, all points on a line, and whatever the others leave apart
    chain = np.stack([np.arange(len(points) - 1), np.arange(1, len(points))], axis=1)
    edges, lengths = _shortest(placed, np.concatenate([chain, distinct[found]]))
    return SpanningTree(order[edges], lengths, exact)


def _by_coordinates(points: Array) -> Array:
    """Order points by their first coordinate, those alike in it by the next, and so on."""
    order = np.argsort(points[:, 0], kind="stable")
    alike = np.diff(points[order, 0]) == 0
    tied = np.append(False, alike) | np.append(alike, False)
    # to sort all by all coordinates takes many times as long
    order[tied] = order[tied][np.lexsort(points[order[tied]].T[::-1])]
    return order


def _candidates(points: Array, rng: np.random.Generator) -> tuple[Array, bool]:
    """Return edges that hold a short tree but for a chain, and whether it is the shortest."""
    count, dimensions = points.shape
    edges = np.zeros((0, 2), np.int64)
    if dimensions == 1 or count < 3:
        return edges, True
    if dimensions == 2:
        edges, whole = _delaunay(points)
        if whole:
            return edges, True
    if count <= EXACT:
        return _prim(points, np.arange(count)[None]), True
    forest = [_prim(points, alike) for _ in range(TREES) for alike in _leaves(points, rng)]
    return np.concatenate([edges, *forest]), False


def _delaunay(points: Array) -> tuple[Array, bool]:
    """Return the edges of the triangulation, and whether all points are in it.

    Qhull leaves out points that are alike but for rounding beside the farthest ones, which
    an outlier a million times as far off as the rest can bring about; of points on a line
    there is no triangulation.
    """
    try:
        found = Delaunay(points - points.mean(axis=0))
    except QhullError:
        return np.zeros((0, 2), np.int64), False
    corners = found.simplices.astype(np.int64)
    edges = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])
    return edges, bool(np.bincount(corners.ravel(), minlength=len(points)).all())


def _leaves(points: Array, rng: np.random.Generator) -> list[Array]:
    """Halve the points along one random direction after the other, down to leaves.

    Returns
    -------
    list of ndarray of int64, shape (n_leaves, size)
        The points in the leaves of each size; sizes differ by one at most.
    """
    depth = int(np.ceil(np.log2(len(points) / LEAF)))
    leaves = [np.arange(len(points))]
    for direction in rng.normal(size=(depth, points.shape[1])):
        with threadpool_limits(limits=1):
            heights = points @ direction
        halves = []
        for leaf in leaves:
            middle = len(leaf) // 2
            placed = leaf[np.argpartition(heights[leaf], middle)]
            halves += [placed[:middle], placed[middle:]]
        leaves = halves
    sizes = sorted({len(leaf) for leaf in leaves})
    return [np.stack([leaf for leaf in leaves if len(leaf) == size]) for size in sizes]


def _prim(points: Array, blocks: Array) -> Array:
    """Join the points within each block by their shortest tree (Prim 1957).

    Parameters
    ----------
    points : ndarray of float64, shape (n_points, dimensions)
    blocks : ndarray of int64, shape (n_blocks, size)
        Which points are in each block. Blocks are grown side by side, one point a step.

    Returns
    -------
    ndarray of int64, shape (n_blocks * (size - 1), 2)
    """
    at_once = max(1, BLOCK // (blocks.shape[1] * points.shape[1]))
    grown = [
        _grow(points[blocks[start : start + at_once]]) for start in range(0, len(blocks), at_once)
    ]
    inside = np.concatenate(grown)
    edges: Array = np.take_along_axis(blocks[:, :, None], inside, axis=1).reshape(-1, 2)
    return edges


def _grow(members: Array) -> Array:
    """Return the ends of each block's edges, shape (n_blocks, size - 1, 2), by place in it."""
    count, size, _ = members.shape
    rows = np.arange(count)
    squares = np.full((count, size), np.inf)
    nearest = np.zeros((count, size), np.int64)
    outside = np.ones((count, size), bool)
    ends = np.zeros((count, size - 1, 2), np.int64)
    newest = np.zeros(count, np.int64)
    for step in range(size - 1):
        outside[rows, newest] = False
        squares[rows, newest] = np.inf
        gaps = members - members[rows, newest][:, None]
        fresh = np.einsum("bsd,bsd->bs", gaps, gaps)
        closer = outside & (fresh < squares)
        squares[closer] = fresh[closer]
        nearest = np.where(closer, newest[:, None], nearest)
        newest = squares.argmin(axis=1)
        ends[:, step] = np.stack([nearest[rows, newest], newest], axis=1)
    return ends


def _shortest(points: Array, edges: Array) -> tuple[Array, Array]:
    """Keep the edges of the shortest tree (Kruskal 1956), from the shortest to the longest."""
    count = len(points)
    keys = np.sort(edges.min(axis=1) * count + edges.max(axis=1))
    keys = keys[np.append(True, keys[1:] != keys[:-1])[: len(keys)]]
    edges = np.stack(np.divmod(keys, count), axis=1)
    lengths = _lengths(points, edges)
    order = np.argsort(lengths, kind="stable")
    # ranks in the place of lengths: none are equal, and none is 0, which SciPy takes for no edge
    ranks = np.empty(len(order))
    ranks[order] = np.arange(1, len(order) + 1)
    graph = csr_array((ranks, (edges[:, 0], edges[:, 1])), shape=(count, count))
    kept = order[np.sort(minimum_spanning_tree(graph).data).astype(np.int64) - 1]
    return edges[kept], lengths[kept]


def _lengths(points: Array, edges: Array) -> Array:
    """Return the edges' lengths, a block of edges at a time."""
    parts = [
        np.linalg.norm(points[some[:, 0]] - points[some[:, 1]], axis=1)
        for some in np.array_split(edges, max(1, edges.size * points.shape[1] // BLOCK))
    ]
    return np.concatenate(parts)
