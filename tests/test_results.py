"""Run folders as groups of runs."""

import json
from dataclasses import asdict

import pytest

from fedhds import config as configuration
from fedhds.cells import plan
from fedhds.files import write_json, write_text
from fedhds.results import grouped, read_run, read_runs
from fedhds.types import UserError

NUMBERS = ("clients", "samples_total", "samples_used", "samples_validation", "repeated_rounds")
SCORES = ("rouge_l_before", "rouge_l_after", "loss_before", "loss_after")
TABLES = ("per_task", "seconds", "bytes", "dropped", "noted", "versions", "machine")
SUMMARY = {
    "method": "random",
    **dict.fromkeys(NUMBERS, 1),
    **dict.fromkeys(SCORES),
    **{name: {} for name in TABLES},
    "validation": {"before": None, "after": None},
    "peak_rss_mb": 1.0,
    "warnings": [],
}
ROUND = {"round": 1, "evaluation": None, "failed": {}, "remarks": [], "skipped_steps": 0}


def write_run(folder, summary=True, lines=(), **settings):
    """Make a run folder with some settings (two underscores for a dot)."""
    given = {"selection.method": "random", "selection.samples": 9}
    given |= {key.replace("__", "."): value for key, value in settings.items()}
    config = configuration.load(None, [f"{key}={json.dumps(v)}" for key, v in given.items()])
    write_json(folder / "run.json", {"verb": "run", "data": "d", "skew": {}, "clients": []})
    write_text(folder / "config.yaml", config.to_yaml())
    write_text(folder / "rounds.jsonl", "".join(f"{line}\n" for line in lines))
    if summary:
        write_json(folder / "summary.json", SUMMARY | {"method": config.selection_name})
    return folder


def labels(tmp_path, *settings):
    """Write runs with some settings each; return the groups' labels."""
    folders = [write_run(tmp_path / f"run{n}", **given) for n, given in enumerate(settings)]
    return [group.label for group in grouped(read_runs(folders))]


def test_seeds_of_one_thing_are_a_group_in_their_order(tmp_path):
    folders = [write_run(tmp_path / f"s{seed}", seed=seed) for seed in (2, 0, 1)]
    (group,) = grouped(read_runs(folders))
    assert [run.seed for run in group.runs] == [0, 1, 2]
    assert (group.label, group.method, group.size) == ("random", "random", "9")


def test_tracking_tells_no_groups_apart(tmp_path):
    assert labels(tmp_path, {"seed": 0}, {"seed": 1, "tracking": {"tensorboard": {}}}) == ["random"]


def test_sizes_are_in_the_labels_where_there_are_several(tmp_path):
    sizes = [{"selection__samples": 9}, {"selection__samples": 12}, {"selection__method": "zip"}]
    assert labels(tmp_path, *sizes) == ["random 9", "random 12", "zip 9"]


def test_a_share_is_a_size_in_percent(tmp_path):
    write_run(tmp_path / "run", selection__samples=None, selection__share=0.125)
    (group,) = grouped(read_runs([tmp_path / "run"]))
    assert group.size == "12.5%"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ([{"tuning__lr": 0.1}, {"tuning__lr": 0.2}], ["(tuning.lr 0.1)", "(tuning.lr 0.2)"]),
        ([{}, {}], ["(run0)", "(run1)"]),
        (
            [{}, {"tuning__lr": 0.2, "tuning__epochs": 2, "tuning__batch_size": 3}],
            ["(run0)", "(run1)"],
        ),
    ],
    ids=["one-key", "nothing", "many-keys"],
)
def test_labels_that_are_the_same_say_what_differs(tmp_path, settings, expected):
    assert labels(tmp_path, *settings) == [f"random {part}" for part in expected]


def test_a_folder_given_twice_is_read_once(tmp_path):
    folder = write_run(tmp_path / "run")
    assert len(read_runs([folder, tmp_path / "." / "run"])) == 1


def test_torn_last_lines_of_rounds_are_left_out(tmp_path):
    run = read_run(write_run(tmp_path / "run", lines=[json.dumps(ROUND), '{"rou']))
    assert run.rounds == (ROUND,)


@pytest.mark.parametrize(
    ("files", "status", "reason"),
    [
        ({}, "unfinished", None),
        ({"failure.json": {"round": 2, "reason": "all failed"}}, "failed", "all failed"),
        ({"summary.json": SUMMARY}, "finished", None),
    ],
)
def test_how_a_run_ended(tmp_path, files, status, reason):
    folder = write_run(tmp_path / "run", summary=False)
    for name, content in files.items():
        write_json(folder / name, content)
    run = read_run(folder)
    assert (run.status, run.reason) == (status, reason)


def test_a_comparisons_folder_stands_for_all_its_cells(tmp_path):
    planned = plan({}, ["random", "zip"], 2, [4])
    write_json(tmp_path / "comparison.json", asdict(planned))
    write_json(tmp_path / "failed" / "zip-4-seed-1.json", {"reason": "no memory"})
    write_run(tmp_path / "runs" / "random-4-seed-0", selection__samples=4)
    groups = grouped(read_runs([tmp_path]))
    assert {g.label: [run.status for run in g.runs] for g in groups} == {
        "random": ["finished", "unfinished"],
        "zip": ["unfinished", "failed"],
    }
    assert groups[1].runs[1].reason == "no memory"


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [("run.json", "no run.json"), ("config.yaml", "no run.json"), ("summary.json", "is broken")],
)
def test_what_is_no_run_or_broken_is_one_sentence(tmp_path, spoil, problem):
    folder = write_run(tmp_path / "run")
    if spoil == "summary.json":
        (folder / spoil).write_text("{")
    else:
        (folder / spoil).unlink()
    with pytest.raises(UserError, match=problem):
        read_runs([folder])
