"""Following a run on a SuperLink; in Flower's place a program that answers as it would."""

import json
import os
import sys
import tomllib
from pathlib import Path

import pytest

from fedhds import config
from fedhds.deployment import submission
from fedhds.deployment.submission import submit
from fedhds.types import RunFailed, Silent, UserError

FLWR = """#!/bin/sh
here=$(dirname "$0")
echo "$@" >> "$here/asked"
echo "$FLWR_HOME $FLWR_TELEMETRY_ENABLED" > "$here/environment"
case "$1" in
run)
  echo "$@" | sed 's/.*events="\\([^"]*\\)".*/\\1/' > "$here/place"
  cp -r "$2" "$FLWR_HOME" "$here"
  (sleep 0.1; cat "$here/events" >> "$(cat "$here/place")") > "$here/late" 2>&1 &
  cat "$here/complaint" >&2 2> "$here/late"
  cat "$here/run" ;;
list)
  cat "$here/last" >> "$(cat "$here/place")" 2> "$here/late"
  cat "$here/list" ;;
esac
"""


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
        "federation": {"engine": "deployment", "sites": ["a"], "superlink": "h:1", **changes},
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
    assert f'folder={json.dumps(os.getcwd())} out="runs/x" verb="select" resume=true' in command
    assert "overwrite=false" in command
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
    (flower / "events").write_text(line("end", "fedhds: no such thing", status=status))
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


def test_a_run_that_is_over_without_a_last_word_failed(flower, monkeypatch):
    monkeypatch.setattr(submission, "BETWEEN_QUESTIONS", 0.0)
    (flower / "list").write_text('{"runs": [{"status": "finished:failed"}]}')
    with pytest.raises(RunFailed) as caught:
        start()
    assert str(caught.value) == "the ServerApp is gone (finished:failed); --resume goes on"
    assert asked(flower, "list")[0] == "list federation --run-id 4711 --format json"


@pytest.mark.parametrize("status", [0, 2])
def test_a_last_word_that_comes_while_flower_is_asked_counts(flower, monkeypatch, status):
    monkeypatch.setattr(submission, "BETWEEN_QUESTIONS", 0.0)
    (flower / "list").write_text('{"runs": [{"status": "finished:completed"}]}')
    (flower / "last").write_text(line("round", "last") + line("end", "fedhds: x", status=status))
    progress = Listening()
    if status:
        with pytest.raises(UserError, match=r"^x$"):
            start(progress)
    else:
        start(progress)
    assert progress.said[-1] == ("round", "last", {})


def test_a_superlink_that_stays_silent_is_gone(flower, monkeypatch):
    monkeypatch.setattr(submission, "BETWEEN_QUESTIONS", 0.0)
    (flower / "list").write_text("connection refused")
    with pytest.raises(RunFailed, match="the SuperLink is gone; start it again, and --resume"):
        start()
    assert len(asked(flower, "list")) == submission.MOST_SILENT + 1


def test_a_run_that_goes_on_is_waited_for_however_long_it_says_nothing(flower, monkeypatch):
    monkeypatch.setattr(submission, "BETWEEN_QUESTIONS", 0.0)
    (flower / "list").write_text('{"runs": [{"status": "running"}]}')
    (flower / "events").write_text(line("end", status=0))
    start()


def test_an_interruption_stops_the_run(flower):
    class Interrupted(Silent):
        def say(self, event, text, **facts):
            if event == "round":
                raise KeyboardInterrupt

    (flower / "events").write_text(line("round", "round 1"))
    with pytest.raises(KeyboardInterrupt):
        start(Interrupted())
    assert asked(flower, "stop") == ["stop 4711 federation --format json"]
