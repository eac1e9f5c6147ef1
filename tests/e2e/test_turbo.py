"""FedHDS-Turbo through the command line: a frozen proxy with a tokenizer of its own."""

import json

import pytest
import yaml
from safetensors.numpy import load_file
from small import small_config
from tiny import save_tiny
from typer.testing import CliRunner

from fedhds.cli.main import app
from fedhds.files import read_json


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("turbo")
    proxy = save_tiny(folder / "proxy", "gpt2")
    plain = small_config(folder, model__proxy=str(proxy), selection__method="fedhds-turbo")
    path = folder / "turbo.yaml"
    path.write_text(yaml.safe_dump(plain))
    return path


@pytest.fixture(scope="module")
def first(config, tmp_path_factory):
    """A run before anything was read, with a cache of its own."""
    out = tmp_path_factory.mktemp("first") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEDHDS_CACHE", str(out.parent))
        assert call("run", config, "--out", out).exit_code == 0
        yield out


def adapter(out):
    arrays = load_file(out / "adapter" / "adapter_model.safetensors")
    return {name: array.tobytes() for name, array in arrays.items()}


def entries(out):
    return sorted(path.name for path in (out.parent / "signals").rglob("*.safetensors"))


def test_each_client_that_took_part_was_read_once(first):
    rounds = [json.loads(line) for line in (first / "rounds.jsonl").read_text().splitlines()]
    assert len(entries(first)) == len({client for line in rounds for client in line["clients"]})


def test_run_on_what_is_known_already_gives_the_same_bits(config, first, tmp_path):
    before = entries(first)
    assert call("run", config, "--out", tmp_path / "run").exit_code == 0
    assert adapter(tmp_path / "run") == adapter(first)
    assert entries(first) == before


def test_proxy_is_in_the_config_that_is_kept(config, first):
    kept = yaml.safe_load((first / "config.yaml").read_text())
    assert kept["model"]["proxy"].endswith("proxy")
    assert read_json(first / "summary.json")["method"] == "fedhds-turbo"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("model.proxy=null", "selection.method 'fedhds-turbo' reads the samples with a small"),
        ("model.proxy=./nowhere", "model.proxy: there is no model folder './nowhere'"),
        ("selection.layers=[3]", "selection.layers: there is no layer 3 in a model of 2"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(config, tmp_path, change, sentence):
    done = call("run", config, "--out", tmp_path / "run", "--set", change)
    assert done.exit_code == 2
    assert sentence in done.output
    assert not (tmp_path / "run").exists()
