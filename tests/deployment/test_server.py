"""How a deployed run ends, as whoever submitted it and Flower are told."""

import os
import tomllib
from dataclasses import fields
from importlib.resources import files

import pytest
import yaml
from small import rows, write_rows
from tiny import save_tiny

from fedhds.deployment.events import BEGIN, END, EventReader
from fedhds.deployment.server import RunConfig, run_deployed
from fedhds.types import RunFailed


@pytest.fixture
def begin(tmp_path, monkeypatch):
    """Lead a run in a folder of its own, with what plays it; return the last that it told."""
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    save_tiny(home / "model")
    write_rows(home / "unseen.jsonl", rows("upper", 2))
    plain = {
        "model": {"name": "model", "threads": 1},
        "data": {"eval": "unseen.jsonl", "prompt": "plain"},
        "selection": {"method": "random", "samples": 4},
        "federation": {"engine": "deployment", "sites": ["a"], "deadline": 60},
        "evaluation": {"max_new_tokens": 2},
    }

    def led(play, error=RunFailed, config=None, **settings):
        (tmp_path / "experiment.yaml").write_text(yaml.safe_dump({**plain, **(config or {})}))
        events = tmp_path / "events.jsonl"
        run_config = {
            **{"folder": str(home), "out": "out", "verb": "run", "events": str(events)},
            **{"resume": False, "overwrite": False, **settings},
        }
        with pytest.raises(error) as caught:
            run_deployed(tmp_path / "experiment.yaml", run_config, play)
        told = list(EventReader(events).new())
        assert [event for event, _, _ in told].count(END) == 1
        assert told[0] == (BEGIN, "", {"process": os.getpid()})
        event, text, facts = told[-1]
        assert event == END
        return facts["status"], text, str(caught.value)

    return led


def fails(error):
    def play(server_app):
        raise error

    return play


def test_a_run_that_fails_ends_with_one_in_the_folder_that_it_was_told(begin, tmp_path):
    status, text, flowers = begin(fails(RunFailed("all clients failed")))
    assert (status, text) == (1, flowers)
    assert flowers.startswith("all clients failed")
    assert (tmp_path / "home" / "out" / "failure.json").is_file()


def test_a_users_mistake_ends_with_two(begin):
    status, text, flowers = begin(fails(None), config={"seeed": 1})
    assert (status, text) == (2, flowers)
    assert flowers.startswith("unknown key 'seeed'")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"resumee": True}, "unknown key 'run-config.resumee'; did you mean 'run-config.resume'?"),
        ({"verb": "runn"}, "run-config.verb should be 'run' or 'select'"),
        ({"resume": "perhaps"}, "run-config.resume should be"),
    ],
)
def test_a_run_config_with_a_typo_is_a_users_mistake(begin, settings, problem):
    status, text, _ = begin(fails(None), **settings)
    assert status == 2
    assert text.startswith(problem)


def test_the_apps_run_config_has_these_keys_and_defaults():
    template = (files("fedhds") / "assets" / "kit" / "pyproject.toml").read_text()
    keys = tomllib.loads(template)["tool"]["flwr"]["app"]["config"]
    assert keys == {field.name: field.default for field in fields(RunConfig)}


def test_the_whole_experiment_is_read_where_sites_are_sent_a_part(begin, tmp_path):
    (tmp_path / "whole.yaml").write_text("seeed: 1")
    status, text, _ = begin(fails(None), experiment=str(tmp_path / "whole.yaml"))
    assert (status, text.split(";")[0]) == (2, "unknown key 'seeed'")


def test_a_full_disk_ends_with_one(begin):
    status, text, _ = begin(fails(OSError(28, "No space left on device")))
    assert (status, text) == (1, "[Errno 28] No space left on device")


def test_a_folder_that_is_gone_ends_with_one(begin, tmp_path):
    status, text, _ = begin(fails(None), folder=str(tmp_path / "absent"))
    assert (status, str(tmp_path / "absent") in text) == (1, True)


def test_an_error_of_our_own_is_flowers_to_log_and_not_told_in_its_words(begin):
    status, text, flowers = begin(fails(KeyError("a private word")), error=KeyError)
    assert status == 1
    assert text == "an error of fedhds itself, told in Flower's log (KeyError)"
    assert "a private word" in flowers


def test_a_run_that_is_stopped_ends_with_one(begin):
    status, text, _ = begin(fails(KeyboardInterrupt()), error=KeyboardInterrupt)
    assert (status, text) == (1, "the run ended without a word")
