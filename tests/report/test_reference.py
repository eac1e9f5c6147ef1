"""Which group each group is compared with."""

import random

import pytest
from made import group

from fedhds.report.reference import references
from fedhds.types import UserError

SIZED = [
    group("random at 50", size="50"),
    group("random at 150", size="150"),
    group("fedhds at 50", size="50"),
    group("fedhds at 150", size="150"),
    group("full"),
]


def test_groups_are_compared_with_random_of_their_size_and_those_without_with_the_largest():
    assert references(SIZED) == {
        "fedhds at 50": "random at 50",
        "fedhds at 150": "random at 150",  # the larger by number, though "50" > "150" as text
        "full": "random at 150",
    }


def test_order_of_groups_does_not_matter():
    twice = [*SIZED, group("random again", size="50")]
    expected = references(twice)
    for seed in range(5):
        assert references(random.Random(seed).sample(twice, len(twice))) == expected


def test_one_label_is_everyones_reference():
    assert references(SIZED, "fedhds at 50") == {
        one.label: "fedhds at 50" for one in SIZED if one.label != "fedhds at 50"
    }


def test_reference_without_a_size_is_everyones():
    assert references(SIZED, "full") == {one.label: "full" for one in SIZED if one.label != "full"}


def test_methods_name_goes_before_the_same_label():
    sized = [group("random", size="50"), group("fedhds", size="50"), group("zip", size="9")]
    assert references(sized, "random") == {"fedhds": "random"}


def test_group_of_a_size_that_the_reference_has_not_is_left_out():
    assert references([*SIZED, group("fedhds at 9", size="9")]).keys().isdisjoint({"fedhds at 9"})


def test_larger_share_is_the_largest_size():
    shares = [group(f"random at {size}", size=size) for size in ("5%", "10%")]
    assert references([*shares, group("full")]) == {"full": "random at 10%"}


def test_without_random_the_first_method_is_the_reference():
    assert references([group("zip"), group("full"), group("fedhds")]) == {
        "full": "zip",
        "fedhds": "zip",
    }


def test_one_group_is_compared_with_nothing():
    assert references([group("fedhds")]) == {}


def test_unknown_reference_is_the_users_mistake():
    with pytest.raises(UserError, match=r"'rnadom' among what is compared \(fedhds, full\)"):
        references([group("fedhds"), group("full")], "rnadom")
