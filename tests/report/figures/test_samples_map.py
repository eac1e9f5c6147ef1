"""What the map draws and what it leaves out."""

from dataclasses import replace

import pytest
from pages import group, made

from fedhds.report.figures import samples_map
from fedhds.report.figures.samples_map import PICKED, SHOWN


def test_panels_of_the_same_data_share_where_samples_lie():
    figure = samples_map.figure([group(made(m)) for m in ("fedhds", "random")])
    assert set(figure.datasets) == {"samples_map-of-data-0", "samples_map-0", "samples_map-1"}
    assert len(figure.datasets["samples_map-of-data-0"]) == 200


@pytest.mark.parametrize(
    ("method", "picked"), [("random", "all"), ("full", PICKED)], ids=["a few", "all"]
)
def test_large_map_draws_all_picked_samples_up_to_a_limit_and_says_what_it_leaves_out(
    method, picked
):
    run = made(method, samples=6000)
    figure = samples_map.figure([group(run)])
    rows = figure.datasets["samples_map-0"]
    assert sum(row["picked"] for row in rows) == (
        sum(run.samples["chosen"]) if picked == "all" else picked
    )
    assert len(rows) == figure.rows[0][-1] == (SHOWN if picked == "all" else PICKED)
    assert f"{6000 - len(rows):,} others are left out" in figure.notes[0]


def test_every_sample_knows_its_client_its_task_and_the_size_of_its_group():
    run = made(samples=16, clients=2)
    run = replace(run, samples=run.samples | {"group": [0] * 3 + [1] * 5 + [0] * 2 + [-1] * 6})
    figure = samples_map.figure([group(run)])
    places, states = figure.datasets["samples_map-of-data-0"], figure.datasets["samples_map-0"]
    assert places[8]["client"] == "client 1"
    assert places[8]["task"] == "task 3"  # (8 * 7 + 8 // 5) % 6
    # the clients' groups of the same number are not one group
    assert [row["size"] for row in states] == [3] * 3 + [5] * 5 + [2] * 2 + [0] * 6


def test_group_is_drawn_at_its_picked_sample_or_else_at_its_middle_one():
    run = made(samples=6, clients=1)
    places = {"x": [0, 1, 9, 50, 51, 59], "y": [0] * 6, "group": [0] * 3 + [1] * 3}
    run = replace(run, samples=run.samples | places | {"chosen": [0, 0, 1, 0, 0, 0]})
    rings = samples_map.figure([group(run)]).panels[0].spec["layer"][1]["data"]["values"]
    # the second group's mean is 160 / 3 = 53.3, and 51 is nearest to it
    assert rings == [{"x": 9.0, "y": 0.0, "size": 3}, {"x": 51.0, "y": 0.0, "size": 3}]


def test_texts_are_there_only_where_a_run_has_them_and_are_cut():
    run = made(samples=4)
    assert "text" not in samples_map.figure([group(run)]).datasets["samples_map-of-data-0"][0]
    run = replace(run, samples=run.samples | {"text": ["a" * 500, "b", "c", "d"]})
    figure = samples_map.figure([group(run)])
    texts = [row["text"] for row in figure.datasets["samples_map-of-data-0"]]
    assert texts == ["a" * 160 + "…", "b", "c", "d"]
    assert figure.notes == ("Texts are cut after 160 letters.",)
