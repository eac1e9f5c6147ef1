"""Following a run on a SuperLink; in Flower's place a program that answers as it would."""

import json
import os
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path

import psutil
import pytest

from fedhds import config
from fedhds.deployment import submission
from fedhds.deployment.site import NodeConfig, site_config
from fedhds.deployment.submission import served, submit
from fedhds.types import RunFailed, Silent, UserError

FLWR = """#!/bin/sh
here=$(dirname "$0")
echo "$@" >> "$here/asked"
echo "$FLWR_HOME $FLWR_TELEMETRY_ENABLED" > "$here/environment"
case "$1" in
run)
  echo "$@" | sed 's/.*events="\\([^"]*\\)".*/\\1/' > "$here/place"
  cp -r "$2" "$FLWR_HOME" "$here"
  cp "$(echo "$@" | sed 's/.*experiment="\\([^"]*\\)".*/\\1/')" "$here/whole"
  (sleep 0.1; cat "$here/events" >> "$(cat "$here/place")") > "$here/late" 2>&1 &
  cat "$here/complaint" >&2 2> "$here/late"
  cat "$here/run" ;;
list)
  cat "$here/last" >> "$(cat "$here/place")" 2> "$here/late"
  cat "$here/list" ;;
esac
"""

GONE = "the server's process is gone, or its SuperLink; --resume goes on"


@pytest.fixture
def flower(tmp_path, monkeypatch):
    """The folder of Flower's program and of what it answers."""
    folder = tmp_path / "flower's"
    folder.mkdir()
    (folder / "flwr").write_text(FLWR)
    (folder / "flwr").chmod(0o700)
    (folder / "run").write_text('{"success": true, "run-id": "4711"}')
    for name in ("events", "list", "complaint"):
        (folder / name).touch()
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setattr(submission, "BETWEEN_LOOKS", 0.01)
    return folder


class Listening(Silent):
    """Keeps what is said."""

    def __init__(self):
        self.said = []

    def say(self, event, text, **facts):
        self.said.append((event, text, facts))


def start(progress=None, **changes):
    plain = {
        "selection": {"method": "random", "samples": 4},
        "federation": {
            **{"engine": "deployment", "sites": ["a"], "superlink": "h:1", "deadline": 60},
            **changes,
        },
    }
    arguments = Path("runs") / "x", "select", True, False
    submit(config.parse(plain), *arguments, progress or Silent())


def line(event, text="", **facts):
    return json.dumps({"event": event, "text": text, "facts": facts}) + "\n"


def asked(flower, verb):
    return [line for line in (flower / "asked").read_text().splitlines() if line.startswith(verb)]


def test_what_the_run_tells_is_passed_on_until_it_ends(flower):
    told = line("round", "round 1", round=1) + line("end", status=0) + line("round", "never")
    (flower / "events").write_text(told)
    progress = Listening()
    start(progress)
    assert progress.said == [
        ("submitted", "the SuperLink runs it as run 4711", {"run": "4711"}),
        ("round", "round 1", {"round": 1}),
    ]
    assert not asked(flower, "list")  # it is not asked for what it tells itself


def test_flower_is_told_what_to_run_where_and_nothing_of_the_users(flower, tmp_path):
    (flower / "events").write_text(line("end", status=0))
    start(certificate="keys/ca.crt")
    (command,) = asked(flower, "run")
    assert " federation --run-config " in command
    assert ' verb="select" out="runs/x" resume=true overwrite=false ' in command
    assert f" folder={json.dumps(os.getcwd())} " in command
    home, telemetry = (flower / "environment").read_text().split()
    assert telemetry == "0"
    assert not Path(home).exists()  # it is gone with the run
    settings = tomllib.loads((flower / "flower" / "config.toml").read_text())["superlink"]
    assert settings["federation"] == {
        "address": "h:1",
        "root-certificates": str(Path("keys/ca.crt").absolute()),
    }
    assert config.load(flower / "app" / "experiment.yaml").federation.sites == ["a"]


@pytest.mark.parametrize(("status", "error"), [(2, UserError), (1, RunFailed), (7, RunFailed)])
def test_it_ends_as_the_run_ended(flower, status, error):
    (flower / "events").write_text(line("end", "no such thing", status=status))
    with pytest.raises(error) as caught:
        start()
    assert str(caught.value) == "no such thing"


@pytest.mark.parametrize("answer", ["", "no JSON", "{}", "[]", "null"])
def test_a_run_that_is_not_taken_is_a_mistake_with_flowers_last_line(flower, answer):
    (flower / "run").write_text(answer)
    (flower / "complaint").write_text("Traceback\n\nno SuperLink at h:1\n")
    with pytest.raises(UserError) as caught:
        start()
    assert str(caught.value) == "the SuperLink did not take the run: no SuperLink at h:1"


@pytest.mark.parametrize(
    "answer", ['{"runs": [{"status": "finished:failed"}]}', '{"runs": []}', "connection refused"]
)
def test_a_run_that_never_began_and_is_over_or_unknown_failed(flower, monkeypatch, answer):
    monkeypatch.setattr(submission, "BETWEEN_QUESTIONS", 0.0)
    (flower / "list").write_text(answer)
    with pytest.raises(RunFailed) as caught:
        start()
    assert str(caught.value) == GONE
    assert asked(flower, "list") == ["list federation --run-id 4711 --format json"]


def begun(process):
    return line("begin", process=process)


@pytest.fixture
def ended():
    """The process of a program that is over, and that nobody has looked at."""
    process = subprocess.Popen(["true"])
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    yield process
    process.wait()


@pytest.mark.parametrize("reaped", [True, False], ids=["gone", "zombie"])
def test_a_run_whose_process_ended_without_a_last_word_failed(flower, ended, reaped):
    if reaped:
        ended.wait()
    (flower / "events").write_text(begun(ended.pid) + line("round", "round 1"))
    progress = Listening()
    with pytest.raises(RunFailed) as caught:
        start(progress)
    assert str(caught.value) == GONE
    assert progress.said[1:] == [("round", "round 1", {})]  # that it began is not passed on


def test_a_run_that_began_is_followed_by_its_process_and_flower_is_asked_no_more(
    flower, monkeypatch
):
    monkeypatch.setattr(submission, "BETWEEN_QUESTIONS", 0.0)
    (flower / "list").write_text('{"runs": [{"status": "running"}]}')
    (flower / "events").write_text(begun(os.getpid()) + line("round"))
    counts = []

    class Ending(Silent):
        """Waits a while once the run began, and then lets it end."""

        def say(self, event, text, **facts):
            if event == "round":
                counts.append(len(asked(flower, "list")))
                threading.Timer(0.2, end).start()

    def end():
        counts.append(len(asked(flower, "list")))
        place = Path((flower / "place").read_text().strip())
        place.write_text(place.read_text() + line("end", status=0))

    start(Ending())
    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize("status", [0, 2])
def test_a_last_word_that_comes_while_flower_is_asked_counts(flower, monkeypatch, status):
    monkeypatch.setattr(submission, "BETWEEN_QUESTIONS", 0.0)
    (flower / "list").write_text('{"runs": [{"status": "finished:completed"}]}')
    (flower / "last").write_text(line("round", "last") + line("end", "x", status=status))
    progress = Listening()
    if status:
        with pytest.raises(UserError, match=r"^x$"):
            start(progress)
    else:
        start(progress)
    assert progress.said[-1] == ("round", "last", {})


def test_a_run_that_goes_on_is_waited_for_however_long_it_says_nothing(flower, monkeypatch):
    monkeypatch.setattr(submission, "BETWEEN_QUESTIONS", 0.0)
    (flower / "list").write_text('{"runs": [{"status": "running"}]}')
    (flower / "events").write_text(line("end", status=0))
    start()


def test_sites_are_told_what_they_take_and_the_run_is_told_all(flower):
    (flower / "events").write_text(line("end", status=0))
    start(certificate="keys/ca.crt")
    whole = config.load(flower / "whole")
    assert (whole.federation.superlink, whole.federation.certificate) == ("h:1", "keys/ca.crt")
    told = (flower / "app" / "experiment.yaml").read_text()
    assert told == served(whole)


def test_where_the_server_has_what_is_not_told_to_sites():
    secret = "/srv/secret"
    experiment = config.parse(
        {
            "model": {"name": f"{secret}/model", "scorer": f"{secret}/scorer", "device": "cuda:7"},
            "data": {"eval": f"{secret}/unseen", "columns": {"output": "secret-column"}},
            "selection": {"method": "recost", "samples": 4, "knowledge": f"{secret}/facts"},
            "federation": {
                **{"engine": "deployment", "sites": ["a"], "superlink": "secret:1"},
                **{"certificate": f"{secret}/ca.crt", "deadline": 60},
            },
            "tracking": {"mlflow": {"uri": "http://secret"}},
        }
    )
    told = served(experiment)
    assert "secret" not in told
    assert "cuda" not in told
    # what a site takes of it is what the server runs
    settings = NodeConfig("own.jsonl", "embedded", "p", knowledge="facts")
    ours = site_config(config.from_text(told, "it"), settings)
    for section in ("tuning", "adapter", "aggregation", "seed"):
        assert getattr(ours, section) == getattr(experiment, section)
    assert ours.selection.samples == 4


def test_an_interruption_stops_the_run(flower):
    class Interrupted(Silent):
        def say(self, event, text, **facts):
            if event == "round":
                raise KeyboardInterrupt

    (flower / "events").write_text(line("round", "round 1"))
    with pytest.raises(KeyboardInterrupt):
        start(Interrupted())
    assert asked(flower, "stop") == ["stop 4711 federation --format json"]
