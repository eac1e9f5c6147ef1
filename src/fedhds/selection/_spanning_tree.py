"""The shortest tree that joins points: what single linkage and HDBSCAN are built upon.

In the plane it is exact and takes n log n, being part of the Delaunay triangulation (Shamos
and Hoey 1975). In more dimensions no such shortcut is known: few points are joined by Prim's
algorithm, many approximately, within the leaves of a random projection forest (Dasgupta and
Freund 2008). One thread, as in `_fusion`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial import Delaunay, QhullError
from scipy.spatial.distance import cdist
from threadpoolctl import threadpool_limits

from fedhds.types import Array

EXACT = 10_000
"""Up to so many points the tree is exact in any dimension; it takes seconds, as n² does."""

TREES = 8
LEAF = 64
"""Of the forest: how many trees, and the most points that a leaf holds."""

BLOCK = 1 << 18
"""Numbers handled at a time where all at once would take much memory."""


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
    placed = points[order]
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
        return _within_all(points.astype(np.float64)), True
    forest = [_within(points, alike) for _ in range(TREES) for alike in _leaves(points, rng)]
    return np.concatenate([edges, *forest]), False


def _delaunay(points: Array) -> tuple[Array, bool]:
    """Return the edges of the triangulation, and whether all points are in it.

    Qhull leaves out points that are alike but for rounding beside the farthest ones, which
    an outlier a million times as far off as the rest can bring about; of points on a line
    there is no triangulation.
    """
    try:
        exact = points.astype(np.float64)
        found = Delaunay(exact - exact.mean(axis=0))
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
    for direction in rng.normal(size=(depth, points.shape[1])).astype(points.dtype):
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


def _within_all(points: Array) -> Array:
    """Return the edges of the shortest tree over all points, whose distances are not kept."""
    edges: Array = _prim(
        (1, len(points)), lambda newest: cdist(points[newest], points, "sqeuclidean")
    )[0]
    return edges


def _within(points: Array, leaves: Array) -> Array:
    """Return the edges of the shortest tree over each leaf, of leaves (n_leaves, size)."""
    at_once = max(1, BLOCK // leaves.shape[1] ** 2)
    return np.concatenate(
        [_within_some(points, leaves[i : i + at_once]) for i in range(0, len(leaves), at_once)]
    )


def _within_some(points: Array, leaves: Array) -> Array:
    squares = np.stack([cdist(members, members, "sqeuclidean") for members in points[leaves]])
    inside = _prim(leaves.shape, lambda newest: squares[np.arange(len(leaves)), newest])
    edges: Array = np.take_along_axis(leaves[:, :, None], inside, axis=1).reshape(-1, 2)
    return edges


def _prim(shape: tuple[int, int], distances: Callable[[Array], Array]) -> Array:
    """Grow the shortest trees over several sets of points side by side (Prim 1957).

    Parameters
    ----------
    shape : (int, int)
        How many sets there are and how many points each holds.
    distances : callable
        Given one point of each set, their distances (or squares) to all of the set, of
        that shape.

    Returns
    -------
    ndarray of int64, shape (n_sets, size - 1, 2)
    """
    count, size = shape
    rows = np.arange(count)
    outside = np.ones(shape, bool)
    reach = np.full(shape, np.inf)
    nearest = np.zeros(shape, np.int64)
    newest = np.zeros(count, np.int64)
    edges = np.zeros((count, size - 1, 2), np.int64)
    for step in range(size - 1):
        outside[rows, newest] = False
        reach[rows, newest] = np.inf
        fresh = distances(newest)
        closer = outside & (fresh < reach)
        reach = np.where(closer, fresh, reach)
        nearest = np.where(closer, newest[:, None], nearest)
        newest = reach.argmin(axis=1)
        edges[:, step, 0], edges[:, step, 1] = nearest[rows, newest], newest
    return edges


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
    graph = csr_array((ranks, tuple(edges.T.astype(np.int32))), shape=(count, count))
    kept = order[np.sort(minimum_spanning_tree(graph).data).astype(np.int64) - 1]
    return edges[kept], lengths[kept]


def _lengths(points: Array, edges: Array) -> Array:
    """Return the edges' lengths, a block of edges at a time."""
    lengths = []
    for some in np.array_split(edges, max(1, edges.size * points.shape[1] // BLOCK)):
        ends = points[some].astype(np.float64)
        lengths.append(np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1))
    return np.concatenate(lengths)
