"""Selection that compares clients, through the command line, over rounds of a few clients."""

import json

import pytest
import yaml
from small import small_config
from typer.testing import CliRunner

from fedhds.cli.main import app
from fedhds.files import read_json


def call(*arguments):
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output


def config_in(folder, **changes):
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(small_config(folder, **changes)))
    return path


def rounds_of(out):
    return [json.loads(line) for line in (out / "rounds.jsonl").read_text().splitlines()]


TOY = {
    "data.train": "null",
    "data.eval": "null",
    "data.preset": "toy",
    "data.toy_samples": 3,
    "model.name": "embedded",
    "partition.kind": "dirichlet",
    "partition.clients": 6,
    "federation.rounds": 4,
    "federation.fraction": 0.5,
    "selection.method": "fedhds-aligned",
    "selection.samples": 8,
}


@pytest.fixture(scope="module")
def selected(tmp_path_factory):
    """Choose eight samples of three of six clients in each of four rounds."""
    folder = tmp_path_factory.mktemp("aligned")
    path = folder / "toy.yaml"
    path.write_text("{}")
    changes = [word for key, value in TOY.items() for word in ("--set", f"{key}={value}")]
    call("select", path, "--out", folder / "run", *changes)
    return folder / "run"


def test_every_round_adds_other_samples(selected):
    assert [line["samples"] for line in rounds_of(selected)] == [8] * 4
    files = sorted((selected / "coresets").iterdir())
    rows = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    # clients have about 40 samples, and none is asked for more than the four rounds' 32
    assert len(rows) == len({json.dumps(row, sort_keys=True) for row in rows}) == 32


def test_rounds_tell_how_many_groups_were_compared(selected):
    for line in rounds_of(selected):
        told = line["selection"]
        assert told["small_clients"] == 0
        assert 0 < told["chosen_groups"] <= min(8, told["client_groups"])


def test_a_run_with_quality_tunes_on_what_it_chose(tmp_path):
    changes = {"selection__method": "fedhds-quality", "federation__rounds": 2}
    path = config_in(tmp_path, evaluation__every=2, **changes)
    call("run", path, "--out", tmp_path / "run")
    summary = read_json(tmp_path / "run" / "summary.json")
    assert summary["method"] == "fedhds-quality"
    assert (
        0
        < summary["samples_used"]
        <= sum(line["samples"] for line in rounds_of(path.parent / "run"))
    )
    assert summary["rouge_l_after"] is not None
