"""Trackers with their real libraries: every round once, whatever happens in between."""

import json
import shutil
import sqlite3
import sys
from pathlib import Path

import pytest
from tracked import mlflow, rounds_logged, tensorboard

from fedhds import registry
from fedhds.trackers import check, tracking
from fedhds.types import Silent, UserError

NAMES = registry.names("tracker")
CONFIG = {"seed": 3, "model": {"name": "org/some-model"}, "data": {"train": "north.jsonl"}}
SUMMARY = {
    **{"rounds": 3, "rouge_l_before": 0.25, "rouge_l_after": 0.5, "loss_before": 4.0},
    **{"loss_after": 2.0, "samples_total": 9, "samples_used": 6, "sample_passes": 6},
    **{"best_round": 3, "failures": 0, "skipped_steps": 0, "peak_rss_mb": 100.0},
}


def line(number: int) -> str:
    """Write a line of rounds.jsonl that tells its round by every number."""
    parts = {"selection": {}, "seconds": {"tuning": number / 2}, "bytes": {}}
    counts = {"round": number, "samples": number, "loss": 10.0 * number, "clients": [0, 1]}
    return json.dumps(counts | parts | {"failed": {}, "evaluation": None})


LINES = [line(number) for number in (1, 2, 3)]


class Told(Silent):
    """Progress that keeps what it is told."""

    def __init__(self):
        self.warnings = []

    def say(self, event, text, **facts):
        assert event == "warning"
        self.warnings.append(text)


@pytest.fixture(scope="module", params=NAMES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def begun(name, tmp_path_factory):
    """A run killed after its second round: its folder as it was after each."""
    out = tmp_path_factory.mktemp(name) / "run"
    track(name, out, [], LINES[:1])
    earlier = out.with_name("earlier")
    shutil.copytree(out, earlier)
    track(name, out, LINES[:1], LINES[:2])
    return earlier, out


def track(name, out, before, after, summary=None):
    """Track a run from the lines ``before`` to those ``after`` and perhaps to its end."""
    told = Told()
    trackers = {name: registry.load("tracker", name)()}
    with tracking(trackers, out, CONFIG, before, told) as tracked:
        for count in range(len(before), len(after) + 1):
            tracked.follow(after[:count])
        if summary:
            tracked.finish(summary)
    assert told.warnings == []


@pytest.mark.parametrize("killed", ["after the round was told", "before the round was told"])
def test_resumed_run_has_each_round_once(name, begun, tmp_path, killed):
    # its checkpoint holds two rounds either way; killed early, the tracker knows of one
    out = tmp_path / "run"
    shutil.copytree(begun[1] if killed.startswith("after") else begun[0], out)
    track(name, out, LINES[:2], LINES, SUMMARY)
    assert rounds_logged(name, out) == [1, 2, 3]


@pytest.fixture(scope="module")
def finished(name, tmp_path_factory):
    out = tmp_path_factory.mktemp("finished") / "run"
    track(name, out, [], LINES, SUMMARY)
    return out


def test_numbers_settings_and_results_are_kept(name, finished):
    if name == "mlflow":
        client, identifier = mlflow(finished)
        run = client.get_run(identifier)
        losses = [m.value for m in client.get_metric_history(identifier, "loss")]
        final, settings = run.data.metrics["final/rouge_l_after"], run.data.params
        assert (run.info.status, run.info.run_name) == ("FINISHED", "run")
        assert settings["seed"] == "3"
    else:
        events = tensorboard(finished)
        losses = [event.value for event in events.Scalars("loss")]
        (final,) = [event.value for event in events.Scalars("final/rouge_l_after")]
        plugin = events.SummaryMetadata("_hparams_/session_start_info").plugin_data
        assert (plugin.plugin_name, b"some-model" in plugin.content) == ("hparams", True)
    assert losses == [10, 20, 30]
    assert final == 0.5


def test_nothing_tells_who_ran_it_or_on_what(finished):
    kept = b"".join(path.read_bytes() for path in finished.rglob("*") if path.is_file())
    # MLflow's own default experiment names the folder it was made in, which cannot be helped
    for place in (finished.parent, Path.home()):
        assert str(place).encode() not in kept
    assert b"north.jsonl" not in kept


def test_long_settings_are_cut_to_what_mlflow_takes(tmp_path):
    trackers, told = {"mlflow": registry.load("tracker", "mlflow")()}, Told()
    settings = {"long": "x" * 9000} | {f"key{number}": number for number in range(150)}
    with tracking(trackers, tmp_path, settings, [], told):
        pass
    client, run = mlflow(tmp_path)
    found = client.get_run(run)
    assert (told.warnings, len(found.data.params["long"])) == ([], 6000)
    assert (len(found.data.params), found.info.status) == (151, "FAILED")  # it never finished


def test_failing_tracker_is_warned_of_once_and_counted(tmp_path):
    trackers, told = {"mlflow": registry.load("tracker", "mlflow")()}, Told()
    with tracking(trackers, tmp_path, CONFIG, [], told) as tracked:
        tracked.follow(LINES[:1])
        with sqlite3.connect(tmp_path / "tracking" / "mlflow" / "mlflow.db") as database:
            database.execute("ALTER TABLE metrics RENAME TO gone")
        tracked.follow(LINES[:2])
        tracked.follow(LINES)
        tracked.finish(SUMMARY)
    assert len(told.warnings) == 2
    assert told.warnings[0].startswith("warning: tracking.mlflow fails, and the run goes on: ")
    # rounds 2 and 3 and the summary, of three rounds and the summary
    assert "3 of 4 records were not logged by tracking.mlflow" in told.warnings[1]


def test_tracker_that_works_again_gets_what_it_missed(tmp_path):
    trackers, told = {"mlflow": registry.load("tracker", "mlflow")()}, Told()
    with tracking(trackers, tmp_path, CONFIG, [], told) as tracked:
        for lines, change in ((LINES[:1], "metrics RENAME TO gone"), (LINES[:2], "")):
            tracked.follow(lines)
            change = change or "gone RENAME TO metrics"
            with sqlite3.connect(tmp_path / "tracking" / "mlflow" / "mlflow.db") as database:
                database.execute(f"ALTER TABLE {change}")
        tracked.follow(LINES)
    assert rounds_logged("mlflow", tmp_path) == [1, 2, 3]
    assert len(told.warnings) == 1


@pytest.mark.parametrize(
    ("name", "module"), [("tensorboard", "torch.utils.tensorboard"), ("mlflow", "mlflow")]
)
def test_missing_package_is_one_sentence_that_names_the_extra(monkeypatch, name, module):
    monkeypatch.setitem(sys.modules, module, None)  # as Python remembers an import that failed
    with pytest.raises(UserError) as raised:
        check({name: registry.load("tracker", name)()})
    assert str(raised.value).startswith(f"tracking.{name} needs the package '{module}', which is")
    assert "pip install 'fedhds[trackers]'" in str(raised.value)


@pytest.mark.parametrize("uri", ["nonsense://here", "http://127.0.0.1:9"])
def test_store_that_does_not_answer_is_found_before_the_run(uri):
    with pytest.raises(UserError, match=r"^tracking.mlflow cannot be used: "):
        check({"mlflow": registry.load("tracker", "mlflow")(uri=uri)})
