"""Where labels of means go."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import group, made

from fedhds.report.figures import samples_and_scores
from fedhds.report.figures.samples_and_scores import LINE, _place_labels


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=20))
def test_labels_keep_their_order_and_do_not_lie_on_each_other(scores):
    means, height = [{"score": score} for score in scores], 360
    _place_labels(means, [-6, 6], height)
    placed = sorted(means, key=lambda row: -row["score"])
    pixels = [(6 - row["at"]) * height / 12 for row in placed]
    assert all(b - a >= LINE - 0.01 for a, b in pairwise(pixels))
    assert pixels[0] >= -0.01
    assert pixels[-1] <= height


def test_label_without_neighbours_stays_beside_its_mean():
    means = [{"score": 3.0}, {"score": -3.0}]
    _place_labels(means, [-6, 6], 360)
    assert [row["at"] for row in means] == [3.0, -3.0]


@pytest.mark.parametrize(("samples", "kind"), [(200, "log"), (20, None)])
def test_axis_is_logarithmic_over_more_than_a_decade(samples, kind):
    groups = [group(made("random", samples=200)), group(made("full", samples=samples))]
    used = [g.runs[0].summary["samples_used"] for g in groups]
    panel = samples_and_scores.figure(groups).panels[0].spec
    assert (max(used) >= 10 * min(used)) == (kind == "log")
    assert panel["layer"][0]["encoding"]["x"]["scale"].get("type") == kind


def test_axis_of_scores_that_are_all_zero_has_none_below():
    run = made("random")
    run = replace(run, summary=run.summary | {"rouge_l_after": 0.0})
    panel = samples_and_scores.figure([group(run)]).panels[0].spec
    assert panel["layer"][0]["encoding"]["y"]["scale"]["domain"] == [0.0, 1.0]
