"""Runs that are tracked: killed and resumed, refused, and overwritten."""

import os
import signal
import subprocess
import sys
import time

import pytest
import yaml
from small import small_config
from tracked import rounds_logged
from typer.testing import CliRunner

from fedhds.cli.main import app

ROUNDS = 8
TRACKERS = ("mlflow", "tensorboard")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    plain = small_config(folder, federation__rounds=ROUNDS, evaluation__every=0)
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(plain | {"tracking": {name: {} for name in TRACKERS}}))
    return path


def start(config, out):
    command = [sys.executable, "-m", "fedhds", "run", str(config), "--out", str(out)]
    return subprocess.Popen(
        [*command, "--quiet", "--resume"],
        stdout=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def checkpoints(out):
    return max((int(p.stem) for p in out.glob("checkpoint/[0-9]*")), default=-1)


@pytest.fixture(scope="module")
def resumed(config, tmp_path_factory):
    """A run killed as soon as a checkpoint was there, and then finished."""
    out = tmp_path_factory.mktemp("tracked") / "run"
    process = start(config, out)
    while process.poll() is None and checkpoints(out) < 3:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert start(config, out).wait() == 0
    return out


@pytest.mark.parametrize("name", TRACKERS)
def test_killed_and_resumed_run_has_each_round_once(resumed, name):
    assert rounds_logged(name, resumed) == list(range(1, ROUNDS + 1))


def test_overwriting_clears_what_was_tracked(resumed, config):
    changes = ["--set", "tracking={}", "--set", "federation.rounds=1", "--overwrite", "--quiet"]
    done = CliRunner().invoke(app, ["run", str(config), "--out", str(resumed), *changes])
    assert done.exit_code == 0
    assert not (resumed / "tracking").exists()


def test_missing_package_is_found_before_anything_is_written(config, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    done = CliRunner().invoke(app, ["run", str(config), "--out", str(tmp_path / "never")])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "fedhds[trackers]" in done.stderr
    assert not (tmp_path / "never").exists()
