"""What the forest plot shows."""

import math
from dataclasses import replace

from fedhds.report.figures import differences
from fedhds.report.paired import Comparison


def compared(label, difference, low, high, measure="rouge_l"):
    return Comparison(label, "random", measure, difference, low, high, 3, 0, 5, "task", 4)


def test_real_differences_are_filled_and_others_hollow():
    figure = differences.figure([compared("a", 0.2, 0.1, 0.3), compared("b", 0.1, -0.1, 0.3)])
    (panel,) = figure.panels
    assert [(row["label"], row["real"]) for row in panel.spec["data"]["values"]] == [
        ("a", "yes"),
        ("b", "no"),
    ]
    styles = [(layer.get("transform"), layer["mark"]["style"]) for layer in panel.spec["layer"]]
    real, chance = ([{"filter": {"field": "real", "equal": it}}] for it in ("yes", "no"))
    assert (real, "filled") in styles
    assert (chance, "hollow") in styles
    assert figure.title == "Differences: each group against random"


def test_difference_that_is_no_number_is_left_out_and_said():
    figure = differences.figure(
        [compared("a", math.nan, math.nan, math.nan), compared("b", 1, 0, 2)]
    )
    assert [row["label"] for row in figure.panels[0].spec["data"]["values"]] == ["b"]
    assert figure.notes == ("Not a number in every run, so not drawn: a (rouge_l).",)
    assert figure.rows[0] == ("a", "random", "Rouge-L on unseen tasks", None, None, None, 3, "no")


def test_difference_without_an_interval_is_a_point():
    figure = differences.figure([compared("a", 0.5, -math.inf, math.inf, "loss")])
    (row,) = figure.panels[0].spec["data"]["values"]
    assert (row["low"], row["high"]) == (0.5, 0.5)
    assert "Without an interval" in figure.notes[0]


def test_references_of_several_sizes_are_named_in_the_caption():
    tens, thirties = (replace(compared("a", 0.1, 0, 1), reference=f"random {n}") for n in (10, 30))
    figure = differences.figure([tens, thirties])
    assert figure.title == "Differences: each group against its reference"
    assert figure.caption.endswith("with that of their size: random 10 and random 30.")
