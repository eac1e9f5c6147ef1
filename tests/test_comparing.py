"""What a comparison runs, and how its cells end."""

import os
import signal
from dataclasses import asdict

import pytest
from small import small_config

from fedhds import comparing, run_folder
from fedhds.cells import Cell, failure_of, folder_of, plan, read_plan
from fedhds.comparing import carry_out
from fedhds.files import read_json, write_json
from fedhds.types import Silent, UserError


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return small_config(tmp_path_factory.mktemp("cells"), federation__rounds=1)


def quick(config, *methods, **others):
    return plan(config, methods or ("random", "zip"), others.pop("seeds", 1), [4], **others)


def test_all_cells_run_on_one_partition_a_seed(config, tmp_path):
    planned = quick(config, seeds=2)
    assert set(carry_out(planned, tmp_path, Silent()).values()) == {"finished"}
    data = [read_json(folder_of(tmp_path, c) / "run.json")["data"] for c in planned.cells]
    assert data[0] == data[1] != data[2] == data[3]


def test_finished_cells_are_left_as_they_are(config, tmp_path):
    carry_out(quick(config, "random"), tmp_path, Silent())
    kept = folder_of(tmp_path, Cell("random", 4, 0)) / "summary.json"
    before = kept.stat().st_mtime_ns
    carry_out(quick(config), tmp_path, Silent(), resume=True)  # with a method more
    assert kept.stat().st_mtime_ns == before
    assert read_plan(tmp_path) == quick(config)
    assert folder_of(tmp_path, Cell("zip", 4, 0)).is_dir()


def test_a_cell_that_another_process_is_at_is_left_to_it(config, tmp_path):
    planned = quick(config)
    with run_folder.alone(folder_of(tmp_path, planned.cells[0])):
        write_json(tmp_path / "comparison.json", asdict(planned))
        outcomes = carry_out(planned, tmp_path, Silent(), resume=True)
    assert list(outcomes.values()) == ["busy", "finished"]
    assert failure_of(tmp_path, planned.cells[0]) is None


def test_a_run_that_another_process_is_at_is_not_overwritten(config, tmp_path):
    planned = quick(config, "random")
    write_json(tmp_path / "comparison.json", asdict(planned))
    with (
        run_folder.alone(folder_of(tmp_path, planned.cells[0])),
        pytest.raises(UserError, match="another process"),
    ):
        carry_out(planned, tmp_path, Silent(), overwrite=True)
    assert folder_of(tmp_path, planned.cells[0]).is_dir()


def test_a_damaged_run_is_a_failure_and_what_a_plan_leaves_out_is_told(config, tmp_path):
    carry_out(quick(config), tmp_path, Silent())
    first, second = quick(config).cells
    (folder_of(tmp_path, first) / "run.json").unlink()
    (folder_of(tmp_path, first) / "summary.json").unlink()
    told = []

    class Listen(Silent):
        def say(self, event, text, **facts):
            told.append(text)

    assert carry_out(quick(config, "random"), tmp_path, Listen(), resume=True) == {first: "failed"}
    assert failure_of(tmp_path, first).startswith(f"'{first.name}' is not a run folder")
    assert f"left as they are, and shown no longer: {second.name}" in told


@pytest.mark.parametrize("end", ["raises", "dies"])
def test_a_cell_that_fails_says_why_and_the_rest_goes_on(config, tmp_path, end):
    """Its folder's place is taken by one that is not ours; its process is killed."""
    planned = quick(config)
    first = folder_of(tmp_path / "out", planned.cells[0])

    class Watch(Silent):
        def say(self, event, text, **facts):
            if event == "cell" and facts["method"] == "random":
                if end == "raises":
                    first.mkdir(parents=True)
                    (first / "mine.txt").write_text("keep")
            elif end == "dies" and event == "round" and facts["cell"] == planned.cells[0].name:
                for child in comparing.multiprocessing.active_children():
                    os.kill(child.pid, signal.SIGKILL)

    outcomes = carry_out(planned, tmp_path / "out", Watch())
    assert list(outcomes.values()) == ["failed", "finished"]
    reason = failure_of(tmp_path / "out", planned.cells[0])
    assert {"raises": "no run.json", "dies": "signal 9"}[end] in reason


@pytest.mark.parametrize(
    ("there", "problem"),
    [("notes.txt", "not a comparison's folder"), ("comparison.json", "--resume")],
)
def test_folders_of_others_and_finished_ones_are_left_alone(config, tmp_path, there, problem):
    (tmp_path / there).write_text("{}")
    with pytest.raises(UserError, match=problem):
        carry_out(quick(config), tmp_path, Silent())


def test_another_configuration_is_refused_before_the_plan_is_written(config, tmp_path):
    carry_out(quick(config, "random"), tmp_path, Silent())
    other = config | {"tuning": config["tuning"] | {"lr": 0.5}}
    with pytest.raises(UserError, match=r"tuning\.lr differs"):
        carry_out(quick(other), tmp_path, Silent(), resume=True)
    assert read_plan(tmp_path) == quick(config, "random")


def test_mistake_in_the_data_leaves_no_folder(config, tmp_path):
    gone = config | {"data": config["data"] | {"train": "gone.jsonl"}}
    with pytest.raises(UserError, match="gone"):
        carry_out(quick(gone), tmp_path / "out", Silent())
    assert not (tmp_path / "out").exists()


def test_overwriting_begins_anew_and_keeps_what_is_not_ours(config, tmp_path):
    (tmp_path / "runs" / "old").mkdir(parents=True)
    (tmp_path / "mine.txt").write_text("keep")
    (tmp_path / "comparison.json").write_text("{}")
    carry_out(quick(config, "random"), tmp_path, Silent(), overwrite=True)
    names = sorted(
        path.name for path in tmp_path.rglob("*") if path.parent in (tmp_path, tmp_path / "runs")
    )
    assert names == ["comparison.json", "mine.txt", "random-4-seed-0", "runs"]
