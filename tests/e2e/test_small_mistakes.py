"""Slips of the command line that are not about the data."""

import subprocess
import sys

import pytest
import yaml
from small import small_config
from typer.testing import CliRunner

from fedhds.cli.main import app


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(small_config(folder, federation__rounds=1)))
    out = folder / "run"
    assert CliRunner().invoke(app, ["run", str(path), "--out", str(out), "-q"]).exit_code == 0
    return out


@pytest.mark.parametrize(
    "override",
    [
        "adapter.rank=4",
        "model.name=embedded",
        " model.name=embedded",
        "model={name: embedded}",
        "adapter={kind: prefix-tuning}",
    ],
)
def test_eval_refuses_another_model_than_the_adapters(finished, override):
    done = CliRunner().invoke(app, ["eval", str(finished), "--set", override])
    assert done.exit_code == 2
    assert "is of another adapter or model.name" in done.stderr


def test_columns_named_as_ours_are_kept(tmp_path):
    config = small_config(tmp_path, federation__rounds=1)
    rows = '{"instruction": "a", "output": "1", "task": "t", "client": "mine"}\n' * 12
    (tmp_path / "train.jsonl").write_text(rows)
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(config))
    out = tmp_path / "out"
    assert CliRunner().invoke(app, ["select", str(path), "--out", str(out), "-q"]).exit_code == 0
    (coreset,) = (out / "coresets").iterdir()
    assert '"client_": "mine"' in coreset.read_text()
    assert '"client": "t"' in coreset.read_text()


def test_patience_without_evaluations_is_told(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(small_config(tmp_path, federation__rounds=1)))
    options = ["--set", "evaluation.every=0", "--set", "evaluation.patience=2"]
    done = CliRunner().invoke(app, ["run", str(path), "--out", str(tmp_path / "o"), *options])
    assert "evaluation.patience is not used" in done.stderr


def test_full_disk_is_a_sentence_and_can_be_resumed(tmp_path):
    plain = small_config(tmp_path, federation__rounds=2)
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(plain))
    command = [sys.executable, "-m", "fedhds", "run", str(tmp_path / "small.yaml"), "-q"]
    command += ["--out", str(tmp_path / "run")]
    # a limit on files' sizes stands for the disk: no adapter fits into 2 kB
    limited = "import resource, runpy, sys; "
    limited += "resource.setrlimit(resource.RLIMIT_FSIZE, (2048, resource.RLIM_INFINITY)); "
    limited += "sys.argv = sys.argv[1:]; runpy.run_module('fedhds', run_name='__main__')"
    full = subprocess.run(
        [sys.executable, "-c", limited, *command[2:]], capture_output=True, text=True
    )
    assert full.returncode == 1
    assert full.stderr.splitlines()[-1].startswith("fedhds: the disk is full (File too large)")
    assert subprocess.run([*command, "--resume"], capture_output=True).returncode == 0
