import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import HDBSCAN

from fedhds.rng import generator
from fedhds.selection._grouping import NOISE, in_order_of_appearance
from fedhds.selection._hierarchy import densest_groups
from fedhds.selection._spanning_tree import spanning_tree

RNG = generator(0, "hierarchy")


def grouped(points, min_cluster_size=2):
    tree = spanning_tree(points, RNG)
    return densest_groups(tree.edges, tree.lengths, min_cluster_size)


@given(
    st.integers(0, 2**32),
    st.integers(2, 150),
    st.integers(1, 5),
    st.integers(2, 7),
    st.floats(0.01, 10),
)
def test_groups_are_those_of_scikit_learn(seed, count, dimensions, min_cluster_size, spread):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(6, dimensions))[rng.integers(0, 6, count)]
    points = centres + spread * rng.normal(size=(count, dimensions))
    labels, memberships = grouped(points, min_cluster_size)
    if count >= min_cluster_size:
        # with two samples, one the point itself, reachability is the distance
        expected = HDBSCAN(min_cluster_size, min_samples=2, copy=True).fit(points)
        assert labels.tolist() == in_order_of_appearance(expected.labels_).tolist()
        assert np.allclose(memberships, expected.probabilities_)
    else:
        assert set(labels.tolist()) == {NOISE}


def test_groups_by_hand():
    # The widest gap, 92, parts {99, 100} from the others. Of those, from the widest gap to the
    # narrowest, 7 leaves at density 1/4, 3 at 1/2, then 0 and 1 at 1, which is the highest.
    points = np.array([[0.0], [1.0], [3.0], [7.0], [99.0], [100.0]])
    labels, memberships = grouped(points)
    assert labels.tolist() == [0, 0, 0, 0, 1, 1]
    assert memberships.tolist() == [1.0, 1.0, 0.5, 0.25, 1.0, 1.0]


def test_group_is_kept_whole_unless_its_parts_are_denser_together():
    # {0, 1} and {g, g + 1} are joined at g - 1, and both to {1000, 1001} far off (density 0).
    # Whole: 4 / (g - 1); parts: 4 (1 - 1 / (g - 1)). The parts are denser if g - 1 > 2.
    def groups(gap):
        return grouped(np.array([[0.0], [1.0], [gap], [gap + 1], [1e6], [1e6 + 1]]))[0].tolist()

    assert groups(2.9) == [0, 0, 0, 0, 1, 1]
    assert groups(3.1) == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("points", [[[0.0]], [[0.0], [1.0]], [[5.0, 5.0]] * 9])
def test_never_all_in_one_group(points):
    labels, memberships = grouped(np.array(points))
    assert labels.tolist() == [NOISE] * len(points)
    assert memberships.tolist() == [0.0] * len(points)


def test_equal_points_are_infinitely_dense():
    # the lone 1 is in the group of the three at 0, and nothing beside them
    points = np.array([[0.0], [0.0], [0.0], [1.0], [50.0], [51.0]])
    labels, memberships = grouped(points)
    assert labels.tolist() == [0, 0, 0, 0, 1, 1]
    assert memberships.tolist() == [1.0, 1.0, 1.0, 0.0, 1.0, 1.0]


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=40), st.data()
)
def test_ties_are_broken_alike_whatever_the_order(places, data):
    points = np.array(places, np.float32)
    order = np.array(data.draw(st.permutations(range(len(points)))))
    (labels, memberships), (turned, others) = grouped(points), grouped(points[order])
    assert in_order_of_appearance(labels[order]).tolist() == turned.tolist()
    assert memberships[order].tolist() == others.tolist()
    # and equal points are in one group
    assert len(set(zip(places, labels.tolist(), strict=True))) == len(set(places))
    assert (np.bincount(labels[labels != NOISE]) >= 2).all()
