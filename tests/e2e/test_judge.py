"""``fedhds select --judge`` on the toy federation: tables, events, and slips."""

import json

import pytest
import yaml
from tiny import save_encoder
from typer.testing import CliRunner

from fedhds.cli.main import app

SETTINGS = {
    "data": {"toy_samples": 3},
    "federation": {"rounds": 1, "fraction": 0.2},
    "evaluation": {"validation": 0},
    "model": {"threads": 1},
}


def call(*arguments):
    return CliRunner().invoke(app, ["select", *map(str, arguments)])


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("toy") / "toy.yaml"
    path.write_text(yaml.safe_dump(SETTINGS))
    return path


@pytest.fixture(scope="module")
def out(config):
    """A finished selection that was not judged."""
    assert call(config, "--out", config.parent / "run", "-q").exit_code == 0
    return config.parent / "run"


def test_finished_selection_is_judged_in_a_table_a_space(config, out):
    encoder = save_encoder(config.parent / "encoder")
    done = call(config, "--out", out, "--resume", "--judge", "--encoder", encoder, "-q")
    assert done.exit_code == 0, done.output
    for word in ("lexical space", "sentence encoder space", " of 80 │"):
        assert word in done.stdout
    for row in ("fedhds", "random (20)", "coreset-cent", "ceiling"):
        assert sum(line.startswith(f"│ {row} ") for line in done.stdout.splitlines()) == 2
    assert (out / "judgement.json").is_file()


def test_coreset_cent_can_be_selected_and_judged_with_a_budget(config, tmp_path):
    sets = ["--set", "selection={method: coreset-cent, samples: 7}"]
    done = call(config, "--out", tmp_path / "run", "--judge", "--json-log", *sets)
    assert done.exit_code == 0, done.output
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["event"] == "judgement"
    assert (events[-1]["method"], events[-1]["size"]) == ("coreset-cent", 7)


def test_coreset_of_everything_has_no_share_of_the_ceilings_gain(config, tmp_path):
    sets = ["--set", "selection.method=full", "--set", "federation.fraction=1"]
    done = call(config, "--out", tmp_path / "run", "--judge", "-q", *sets)
    assert done.exit_code == 0, done.output
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("│ full ")]
    _, _, gain, share, *_ = [cell.strip() for cell in row.strip("│").split("│")]
    assert (gain, share) == ("+0.0000", "–")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--encoder", "absent"], "--encoder is for --judge: give both or neither"),
        (["--judge", "--encoder", "absent"], "encoder: there is no folder 'absent'"),
        (["--judge", "--encoder", "."], "encoder: the folder '.' has no config.json"),
    ],
)
def test_slips_are_told_before_anything_is_selected(
    config, tmp_path, monkeypatch, options, sentence
):
    monkeypatch.chdir(tmp_path)
    done = call(config, "--out", "run", *options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == f"fedhds: {sentence}\n"
    assert list(tmp_path.iterdir()) == []
