"""What the sentences say of differences that are real, that are not, and that cannot be known."""

import math

import pytest
from made import columns, finished, group, scored, stopped

from fedhds.report.paired import Comparison, differences
from fedhds.report.words import verdict


def made(low, high, label="fedhds", measure="rouge_l", seeds=3, left_out=0, **changes):
    found = {
        "label": label,
        "reference": "random",
        "measure": measure,
        "difference": (low + high) / 2,
        "low": low,
        "high": high,
        "seeds": seeds,
        "left_out": left_out,
        "units": 66,
        "unit": "task",
        "family": 2,
    }
    return Comparison(**(found | changes))


GROUPS = [
    scored("fedhds", [[0.5, 0.5]]),
    scored("random", [[0.2, 0.2]]),
    scored("zip", [[0.1, 0.1]]),
]


@pytest.mark.parametrize(
    ("comparison", "sentence"),
    [
        (
            made(-0.2, -0.04, measure="loss"),
            "fedhds: unseen loss 0.120 lower than random (95 % interval 0.040 to 0.200 lower): "
            "a real difference, for the better.",
        ),
        (
            made(-0.2, -0.04),
            "fedhds: unseen Rouge-L 0.120 lower than random (95 % interval 0.040 to 0.200 lower): "
            "a real difference, for the worse.",
        ),
        (
            made(-0.03, 0.05),
            "fedhds: unseen Rouge-L 0.010 higher than random (95 % interval 0.030 lower to 0.050 "
            "higher): no difference that can be told from chance.",
        ),
        (
            made(0.0, 0.0),
            "fedhds: unseen Rouge-L the same as that of random throughout.",
        ),
        (  # an end that three decimals would write as zero
            made(0.0002, 0.0104),
            "fedhds: unseen Rouge-L 0.0053 higher than random (95 % interval 0.0002 to 0.0104 "
            "higher): a real difference, for the better.",
        ),
        (
            made(-math.inf, math.inf, difference=0.5, seeds=1, units=1),
            "fedhds: unseen Rouge-L 0.500 higher than random, from one sample and one seed: "
            "nothing can be told.",
        ),
        (
            made(math.nan, math.nan),
            "fedhds: unseen Rouge-L is not a number in every run, so nothing can be told of it.",
        ),
    ],
)
def test_sentence_of_a_group(comparison, sentence):
    assert verdict(GROUPS, [comparison]).groups == (sentence,)


@pytest.mark.parametrize(
    ("comparisons", "sentence"),
    [
        (
            [made(-0.1, 0.2), made(-0.1, 0.1, "zip")],
            "No method can be told apart from random on unseen Rouge-L with 3 seeds and 66 tasks.",
        ),
        (
            [made(-0.1, 0.2, seeds=1)],
            "fedhds cannot be told apart from random on unseen Rouge-L with 1 seed and 66 tasks.",
        ),
        (
            [made(0.1, 0.2), made(-0.2, -0.1, "zip", seeds=2), made(-0.2, 0.1, "full")],
            "On unseen Rouge-L with 2 to 3 seeds and 66 tasks: better than random: fedhds; worse "
            "than random: zip; 1 of 3 cannot be told apart from it.",
        ),
        (
            [made(0.1, 0.2), made(-0.2, -0.1, "zip", seeds=1)],
            "On unseen Rouge-L with 1 to 3 seeds and 66 tasks: better than random: fedhds; worse "
            "than random: zip (one seed only).",
        ),
        (
            [made(0.1, 0.2), made(0.1, 0.1, "zip")],
            "On unseen Rouge-L with 3 seeds and 66 tasks: better than random: fedhds and zip.",
        ),
        (
            [made(-0.2, -0.1, measure="loss")],
            "On unseen loss with 3 seeds and 66 tasks: better than random: fedhds.",
        ),
    ],
)
def test_summary_of_a_measure(comparisons, sentence):
    assert verdict(GROUPS, comparisons).summary == (sentence,)


def test_references_of_several_sizes_go_by_their_method():
    groups = [scored(f"{name} at {n}", [[0.1]], size=n) for name in ("random", "a") for n in "12"]
    found = [made(-1, 1, f"a at {n}", reference=f"random at {n}") for n in "12"]
    (sentence,) = verdict(groups, found).summary
    assert sentence.startswith("No method can be told apart from random on unseen Rouge-L")


@pytest.mark.parametrize(
    ("comparison", "ending"),
    [
        (made(0.1, 0.2), "0.500; it is better than random."),
        (made(-0.1, 0.2), "0.500, but it is not shown to be better than random."),
        (made(-0.2, -0.1), "0.500, but it is not shown to be better than random."),
    ],
)
def test_best_mean_is_called_better_only_where_that_is_told(comparison, ending):
    found = verdict(GROUPS, [comparison]).best[0]
    assert found == f"fedhds has the highest mean unseen Rouge-L, {ending}"


def test_best_mean_may_be_the_references_or_shared():
    rouge_l, loss = verdict(GROUPS[1:], [made(-0.1, 0.2, "zip")]).best
    assert rouge_l.startswith("random has the highest mean unseen Rouge-L, 0.200; others are")
    # `made.columns` gives every sample a loss of 1.
    assert loss == "All have the same mean unseen loss, 1.000."


def test_best_mean_may_be_of_several_but_not_all():
    groups = [*GROUPS, scored("ifd", [[0.5, 0.5]])]
    assert verdict(groups, []).best[0] == (
        "fedhds and ifd have the highest mean unseen Rouge-L, 0.500."
    )


def test_limits_are_said():
    one = " ".join(verdict(GROUPS, [made(0.1, 0.2, seeds=1, family=4)]).notes)
    assert "all 4 comparisons together" in one
    assert "nothing is known of other seeds" in one
    assert "hold for other seeds" not in one
    several = " ".join(verdict(GROUPS, [made(0.1, 0.2, unit="sample")]).notes)
    assert "hold for other seeds and partitions too" in several
    assert "nothing is known of other unseen tasks" in several


def test_what_was_left_out_is_said():
    scores = columns([0.1, 0.2])
    groups = [
        group("random", finished(0, scores), finished(1, scores), size="50"),
        group("a", finished(0, scores), stopped(1), size="50"),
        group("b", stopped(0), size="50"),
        group("c", finished(0, scores), size="150"),
        group("d", finished(0, scores, data="other"), size="50"),
        group("e", stopped(0), size="50"),
    ]
    assert verdict(groups, differences(groups)).notes[-4:] == (
        "1 seed left out of the comparison, as not both the group and its reference finished on "
        "the same data: a.",
        "Not compared, as no run of it has finished: b and e.",
        "Not compared, as the reference has no group of that size: c.",
        "Not compared, for lack of a seed with scores of unseen samples and the same data as a "
        "run of random: d.",
    )


def test_runs_that_are_not_finished_are_said_first():
    groups = [group("random", finished(0)), group("a", finished(0), stopped(1))]
    assert verdict(groups, []).notes[0].startswith("1 of 3 runs are not finished")


BEFORE = {"rouge_l_before": 0.05, "loss_before": 2.5}
ALONE = (
    (
        [finished(0, columns([0.1]), **BEFORE), finished(1, columns([0.3]), **BEFORE), stopped(2)],
        "full: unseen Rouge-L went from 0.050 to 0.200 and unseen loss went from 2.500 to 1.000, "
        "with 2 seeds.",
    ),
    ([finished(0)], "full: not scored on unseen tasks."),
    ([stopped(0)], "No run has finished, so there is nothing to tell yet."),
)


@pytest.mark.parametrize(("runs", "sentence"), ALONE)
def test_a_group_alone_is_told_by_what_its_tuning_came_to(runs, sentence):
    found = verdict([group("full", *runs)], [])
    assert (found.summary, found.best, found.groups) == ((sentence,), (), ())


def test_nothing_compared_says_why():
    theirs = [group("a", finished(0, columns([0.1]))), group("b", finished(0, columns([0.2])))]
    found = verdict([group("random", stopped(0)), *theirs], [])
    assert found.summary == (
        "Nothing can be compared: no run of random, which the others are compared with, has "
        "finished.",
    )
    assert found.notes[-1] == "Not compared, as no run of random has finished: a and b."
    (other,) = verdict([group("random", finished(1, columns([0.1]))), *theirs], []).summary
    assert other.startswith("Nothing can be compared: it needs two or more groups")
