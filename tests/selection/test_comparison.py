import numpy as np
import pytest

from fedhds.rng import generator
from fedhds.selection._comparison import by_coverage, by_density

NOTHING = np.zeros((0, 3), np.float32)
AXES = np.eye(3, dtype=np.float32)

# Three topics at right angles: two prototypes of the first, of equal lengths and much alike
# (product .96), two of the second (as much), one of the third.
PROTOTYPES = np.array(
    [[1, 0, 0], [0.96, 0.28, 0], [0, 0.96, 0.28], [0, 1, 0], [0, 0, 1]], np.float32
)
SIZES = np.array([3, 9, 9, 3, 4])


def coverage(covered=NOTHING, most=None, least_gain=1.0, sizes=SIZES):
    ranking = by_coverage(PROTOTYPES, sizes, covered, most, least_gain)
    assert ranking.enough == len(ranking.order)
    return ranking.order.tolist()


def test_each_topic_is_covered_by_its_larger_group_first():
    # What a second choice of topic one gains is 3 (1 - .96) = .12, so it ends after topic
    # three, which gains 4 (1 - .28) = 2.88.
    assert sorted(coverage()[:2]) == [1, 2]
    assert coverage()[2:] == [4]


@pytest.mark.parametrize(("least_gain", "chosen"), [(2.9, 2), (2.8, 3), (0.05, 5)])
def test_coverage_ends_where_a_group_gains_too_little(least_gain, chosen):
    assert len(coverage(least_gain=least_gain)) == chosen


def test_what_was_covered_earlier_comes_last():
    assert coverage(AXES[:2], most=1) == [4]
    assert len(coverage(AXES, least_gain=9.0)) == 1  # one at least


@pytest.mark.parametrize("most", [1, 4, 5, 9])
def test_number_that_is_wanted_is_chosen_whatever_it_gains(most):
    assert sorted(coverage(AXES, most)) == sorted(set(coverage(AXES, most)))
    assert len(coverage(AXES, most)) == min(most, 5)


def density(prototypes, covered=NOTHING, plane=False, keep_noise=False):
    ranking = by_density(prototypes, covered, plane, keep_noise, generator(0, "density"))
    assert sorted(ranking.order.tolist()) == list(range(len(prototypes)))
    return ranking.order.tolist(), ranking.enough


# Two near each axis but the last, to which there is one alone.
CROWDS = np.array(
    [[1, 0, 0], [0.99, 0.01, 0], [0.99, 0, 0.01], [0, 1, 0], [0, 0.99, 0.01], [-0.5, -0.5, -0.5]],
    np.float32,
)


def test_density_finds_one_of_each_crowd_the_largest_first():
    order, enough = density(CROWDS)
    assert enough == 2
    assert order[0] in (0, 1, 2)
    assert order[1] in (3, 4)
    assert order[-1] == 5  # noise is what nobody stands for


def test_noise_that_is_kept_stands_for_itself():
    order, enough = density(CROWDS, keep_noise=True)
    assert enough == 3
    assert order[2] == 5


def test_crowd_that_was_covered_needs_no_representative():
    order, enough = density(CROWDS, AXES[:1])
    assert enough == 1
    assert order[0] in (3, 4)


def test_where_all_was_covered_nothing_has_to_be_chosen():
    assert density(CROWDS, AXES[:2])[1] == 0


def test_alone_with_what_is_far_off_all_are_chosen():
    # two that were covered are a crowd, and the only prototype is of none
    covered = np.array([[1, 0, 0], [0.99, 0.01, 0]], np.float32)
    assert density(AXES[1:2], covered) == ([0], 1)


@pytest.mark.parametrize("plane", [False, True])
@pytest.mark.parametrize(("count", "known"), [(0, 0), (1, 0), (0, 3), (2, 0), (1, 1)])
def test_few_prototypes_are_ordered(count, known, plane):
    _, enough = density(AXES[:count], AXES[:known], plane)
    assert enough <= count


def test_plane_keeps_crowds_apart():
    rng = generator(0, "crowds")
    crowds = np.concatenate([axis + rng.normal(0, 0.01, (12, 3)) for axis in AXES])
    order, enough = density(crowds.astype(np.float32), plane=True)
    assert {0, 1, 2} == {i // 12 for i in order[:enough]}


def test_same_prototype_covered_before_and_held_now_leaves_the_order_whole():
    # equal points are infinitely dense, and what is near to them then has no membership
    drawn = generator(0, "prototypes").normal(size=(8, 3)).astype(np.float32)
    prototypes = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    for covered in (prototypes[:2], np.repeat(prototypes[:1], 3, axis=0)):
        density(prototypes, covered)


def test_how_many_groups_formed_is_told_where_groups_are_sought():
    assert by_coverage(PROTOTYPES, SIZES, NOTHING, None, 1.0).groups is None
    assert by_density(CROWDS, NOTHING, False, False, generator(0, "d")).groups == 2
    assert by_density(CROWDS[:1], NOTHING, False, False, generator(0, "d")).groups == 0
