import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import single
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import pdist

from fedhds.rng import generator
from fedhds.selection import _spanning_tree
from fedhds.selection._spanning_tree import spanning_tree

RNG = generator(0, "tree")


def merged(points):
    """Return the lengths of the shortest tree, which single linkage merges at."""
    return single(pdist(points.astype(np.float64)))[:, 2]


def joins_all(edges, count):
    """Tell whether edges make a tree: one fewer than points, and everything connected."""
    graph = coo_array((np.ones(len(edges)), tuple(edges.T)), shape=(count, count))
    return len(edges) == count - 1 and connected_components(graph, directed=False)[0] == 1


def clustered(count, dimensions, key="clustered"):
    rng = generator(0, key)
    centres = 10 * rng.normal(size=(count // 50, dimensions))
    return np.repeat(centres, 50, axis=0) + rng.normal(size=(count // 50 * 50, dimensions))


def test_tree_by_hand():
    # 0 - 1 is 1 long, 1 - 4 is 3, and 4 - (4, 4) is 4; the diagonal would be longer
    points = np.array([[4, 4], [0, 0], [4, 0], [1, 0]], np.float32)
    tree = spanning_tree(points, RNG)
    assert [set(edge) for edge in tree.edges.tolist()] == [{1, 3}, {3, 2}, {2, 0}]
    assert tree.lengths.tolist() == [1.0, 3.0, 4.0]
    assert tree.exact


@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(1, 5), st.booleans())
def test_tree_is_the_shortest(seed, count, dimensions, on_a_grid):
    rng = np.random.default_rng(seed)
    shape = (count, dimensions)
    # on a grid many points are equal, and many distances
    points = rng.integers(0, 5, shape) if on_a_grid else rng.normal(size=shape)
    tree = spanning_tree(points.astype(np.float32), rng)
    assert np.allclose(tree.lengths, merged(points.astype(np.float32)) if count > 1 else [])
    assert joins_all(tree.edges, count)
    gaps = np.diff(points.astype(np.float32)[tree.edges], axis=1)[:, 0]
    assert np.allclose(tree.lengths, np.linalg.norm(gaps, axis=1))


@pytest.mark.parametrize(
    "far", [1e3, 1e6, 1e9, 1e30], ids=["triangulated", "left-out", "more", "flat"]
)
def test_outlier_does_not_blur_the_rest(far):
    points = generator(0, "outlier").normal(size=(300, 2)).astype(np.float32)
    points[7] = far
    tree = spanning_tree(points, RNG)
    assert tree.exact
    assert np.allclose(tree.lengths, merged(points))


def test_points_on_a_line_are_joined_along_it():
    steps = generator(0, "line").permutation(100)
    points = np.stack([steps, 3 * steps], axis=1).astype(np.float32)
    tree = spanning_tree(points, RNG)
    assert np.abs(np.diff(steps[tree.edges])).tolist() == [[1]] * 99


@given(st.permutations(range(25)))
def test_order_of_the_points_is_irrelevant_even_on_a_grid(order):
    grid = np.stack(np.divmod(np.arange(25), 5), axis=1).astype(np.float32)
    plain, turned = spanning_tree(grid, RNG), spanning_tree(grid[order], RNG)
    back = np.array(order)[turned.edges]
    assert np.array_equal(np.sort(plain.edges), np.sort(back))


@pytest.fixture
def few_exact(monkeypatch):
    monkeypatch.setattr(_spanning_tree, "EXACT", 100)


@pytest.mark.usefixtures("few_exact")
def test_many_points_in_more_dimensions_are_joined_nearly_as_short_as_can_be():
    points = clustered(2000, 8)
    tree = spanning_tree(points, generator(0, "forest"))
    assert not tree.exact
    assert joins_all(tree.edges, len(points))
    # measured: 1.001; a thirtieth longer would be a forest that does not do its work
    assert 1 <= tree.lengths.sum() / merged(points).sum() < 1.03


@pytest.mark.usefixtures("few_exact")
def test_approximate_tree_hangs_on_the_seed_and_not_on_the_order():
    points = clustered(500, 8)
    order = generator(0, "order").permutation(len(points))
    plain = spanning_tree(points, generator(0, "forest"))
    turned = spanning_tree(points[order], generator(0, "forest"))
    assert np.array_equal(np.sort(plain.edges), np.sort(order[turned.edges]))


@pytest.mark.usefixtures("few_exact")
@pytest.mark.parametrize("dimensions", [2, 3])
def test_many_points_on_a_line_or_equal_are_joined(dimensions):
    steps = np.repeat(np.arange(300), 2)[:, None]
    tree = spanning_tree(np.repeat(steps, dimensions, axis=1), RNG)
    # 300 pairs of equal points, and 299 steps of one along each axis
    assert np.allclose(tree.lengths, [0.0] * 300 + [np.sqrt(dimensions)] * 299)
