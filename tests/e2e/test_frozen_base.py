"""A method that reads with the untuned base, through the command line."""

import os

import pytest
import yaml
from small import CLIENTS, small_config
from typer.testing import CliRunner

from fedhds.cli.main import app
from fedhds.files import read_json


def samples_used(config, out, change):
    done = CliRunner().invoke(app, ["run", str(config), "--out", str(out), "--set", change])
    assert done.exit_code == 0, done.output
    return read_json(out / "summary.json")["samples_used"]


@pytest.mark.parametrize("kind", ["lora", "prefix-tuning"])
def test_each_client_is_read_once_whatever_the_round_and_the_seed(
    easiest, tmp_path, monkeypatch, kind
):
    monkeypatch.setenv("FEDHDS_CACHE", str(tmp_path / "cache"))
    plain = small_config(
        tmp_path, selection__method=easiest, selection__samples=9, federation__rounds=2,
        federation__fraction=1.0, evaluation__validation=0, adapter__kind=kind,
    )  # fmt: skip
    path = tmp_path / "base.yaml"
    path.write_text(yaml.safe_dump(plain))
    for seed in (1, 2):
        # the second round chooses the nine of the first again, though the adapter has moved
        assert samples_used(path, tmp_path / f"run-{seed}", f"seed={seed}") == 9
        # and one entry for the places of all samples on a report's map
        assert len(list((tmp_path / "cache").rglob("*.safetensors"))) == CLIENTS + 1


def test_cache_that_cannot_be_kept_is_told_before_the_run(easiest, tmp_path, monkeypatch):
    monkeypatch.setenv("FEDHDS_CACHE", os.devnull)
    path = tmp_path / "base.yaml"
    path.write_text(
        yaml.safe_dump(small_config(tmp_path, selection__method=easiest, selection__samples=9))
    )
    done = CliRunner().invoke(app, ["run", str(path), "--out", str(tmp_path / "run")])
    assert done.exit_code == 2
    assert "for what a frozen model reads cannot be written to: set FEDHDS_CACHE" in done.output
