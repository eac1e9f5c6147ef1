"""What a comparison consists of."""

import pytest

from fedhds.cells import Cell, plan, read_plan
from fedhds.types import UserError


def test_every_method_size_and_seed_is_a_cell():
    cells = plan({"seed": 5}, ["random", "zip"], 2, [10, 30]).cells
    assert len(cells) == 2 * 2 * 2
    assert cells[0] == Cell("random", 10, 5)
    assert [cell.seed for cell in cells] == [5] * 4 + [6] * 4


def test_what_takes_all_samples_runs_once_a_seed_without_a_budget():
    planned = plan({"selection": {"share": 0.1}}, ["full", "random"], 2, [10, 30])
    assert [c.name for c in planned.cells if c.method == "full"] == ["full-seed-0", "full-seed-1"]
    assert planned.config_of(Cell("full", None, 0)).budget_key is None


def test_a_cell_has_its_own_methods_options_and_the_common_settings():
    given = {
        "selection": {"method": "fedhds", "min_cluster_size": 3, "prefer": "high", "share": 0.1},
        "tuning": {"lr": 0.5},
    }
    planned = plan(given, ["fedhds", "perplexity"], 1, [10])
    one, other = (planned.config_of(cell) for cell in planned.cells)
    assert one.selection.options["min_cluster_size"] == 3
    assert other.selection.options["prefer"] == "high"
    assert "min_cluster_size" not in other.selection.options
    assert {c.selection.samples for c in (one, other)} == {10}
    assert {c.tuning.lr for c in (one, other)} == {0.5}


def test_without_sizes_the_budget_is_the_configurations():
    planned = plan({"selection": {"share": 0.25}}, ["random"], 1)
    assert planned.config_of(planned.cells[0]).selection.share == 0.25


@pytest.mark.parametrize(
    ("methods", "asked", "reference"),
    [("zip,random", None, "random"), ("zip,fedhds", None, "zip"), ("zip,random", "zip", "zip")],
)
def test_reference_is_the_one_named_or_random_or_the_first(methods, asked, reference):
    assert plan({}, methods.split(","), 1, [4], asked).reference == reference


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (({}, ["rondom"], 1, [4]), "'rondom'.*random"),
        (({}, [], 1, [4]), "no method"),
        (({}, ["zip", "zip"], 1, [4]), "'zip' twice"),
        (({}, ["zip"], 1, [4, 4]), "'4' twice"),
        (({}, ["zip"], 0, [4]), "numbers from 1"),
        (({}, ["zip"], 1, [0]), "numbers from 1"),
        (({}, ["zip"], 1, [4], "random"), "--reference 'random'"),
        (({}, ["random"], 1), "'random'.*needs a budget"),
        (({}, ["zip", "deita"], 1, [4]), "'deita'.*model.scorer"),
        (({"selection": {"samplse": 3}}, ["zip"], 1, [4]), "samples"),
    ],
)
def test_mistakes_are_told_before_anything_runs(arguments, problem):
    with pytest.raises(UserError, match=problem):
        plan(*arguments)


@pytest.mark.parametrize("text", ["{", "[]", '{"methods": 3}', "{}"])
def test_a_broken_plan_is_one_sentence(tmp_path, text):
    (tmp_path / "comparison.json").write_text(text)
    with pytest.raises(UserError, match=r"comparison\.json' is broken"):
        read_plan(tmp_path)
