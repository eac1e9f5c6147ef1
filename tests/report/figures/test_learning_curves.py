"""What the learning curves say, with losses whose course is known."""

from dataclasses import replace

import pytest
from pages import group, made

from fedhds.report.figures import learning_curves
from fedhds.report.figures._curves import read


def with_losses(losses, seed=0, status="finished"):
    """Make a run whose validation loss is 5.2 before training and then as given, by round."""
    run = made(seed=seed, rounds=len(losses), status=status, unseen=False)
    lines = [
        {"round": n, "evaluation": {"unseen": None, "validation": {"loss": loss}}}
        for n, loss in enumerate(losses, start=1)
    ]
    return replace(run, rounds=tuple(lines))


def test_mean_is_over_seeds_and_begins_before_training():
    curves = read(group(with_losses([4.0, 3.0]), with_losses([2.0, 1.0], 1)), "validation")
    assert curves.mean == {0: 5.2, 1: 3.0, 2: 2.0}
    assert curves.runs == {0: {0: 5.2, 1: 4.0, 2: 3.0}, 1: {0: 5.2, 1: 2.0, 2: 1.0}}


def test_run_that_failed_early_does_not_bend_the_mean():
    runs = with_losses([4.0, 3.0, 2.0]), replace(with_losses([9.0], 1), summary=None)
    curves = read(group(*runs), "validation")
    assert curves.mean == {0: 5.2, 1: 4.0, 2: 3.0, 3: 2.0}
    assert curves.runs[1] == {1: 9.0}


@pytest.mark.parametrize(
    ("losses", "lowest", "rise"),
    [
        ([4.0, 3.0, 2.0], 3, 0.0),
        ([4.0, 2.0, 3.0], 2, 1.0),
        ([4.0, 2.0, 2.01], 2, 0.0),  # half a percent is noise
        ([4.0, None, 3.0], 3, 0.0),  # a loss that was not finite
        ([6.0, 7.0], 0, 1.8),  # worse from the beginning on: 7 - 5.2
    ],
)
def test_rise_after_the_lowest_point_is_over_fitting(losses, lowest, rise):
    curves = read(group(with_losses(losses)), "validation")
    assert curves.lowest == lowest
    assert curves.rise == pytest.approx(rise)


def test_over_fitting_is_shaded_and_said_in_words():
    figure = learning_curves.figure([group(with_losses([4.0, 2.0, 2.21]))])
    (panel,) = figure.panels
    assert panel.spec["title"]["subtitle"] == "rises after round 2: +0.21"
    assert panel.spec["layer"][0]["data"] == {"values": [{"from": 2, "to": 3}]}
    assert figure.notes[0] == "Validation loss rises again: fedhds (+0.21 after round 2)."


def test_runs_evaluated_at_the_ends_only_are_told_how_to_get_the_curve():
    figure = learning_curves.figure([group(made(every=0)), group(made("full", every=0))])
    assert len(figure.panels) == 2  # one a loss, not one a group
    assert "'evaluation.every: 1'" in figure.notes[0]


def test_every_group_has_its_panel_with_the_others_behind():
    figure = learning_curves.figure([group(made(m)) for m in ("fedhds", "full", "random")])
    assert [panel.heading for panel in figure.panels] == [
        *["Validation loss"] * 3,
        *["Loss on unseen tasks"] * 3,
    ]
    rows = figure.datasets["learning_curves-validation"]
    assert {row["g"] for row in rows if row["seed"] == -1} == {0, 1, 2}
