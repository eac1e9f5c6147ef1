"""The command line on Flower's simulation: the same bits as in process, and nothing left behind.

A start of Ray takes long, so one interrupted run that is resumed serves most of the tests.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file
from small import small_config
from typer.testing import CliRunner

from fedhds.cli.main import app
from fedhds.files import read_json

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="needs fedhds[simulation]")

SIMULATION = ("--set", "federation.engine=simulation")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with ``small.yaml``, whose paths are relative to it, and an empty home."""
    folder = tmp_path_factory.mktemp("small")
    plain = small_config(
        folder, federation__rounds=8, federation__codec="int8", evaluation__every=2
    )
    plain["model"]["name"] = "model"
    plain["data"] |= {"train": "train.jsonl", "eval": "unseen.jsonl"}
    (folder / "small.yaml").write_text(yaml.safe_dump(plain))
    (folder / "home").mkdir()
    return folder


def start(folder: Path, out: str, *options: str) -> subprocess.Popen:
    """Start a simulation as a terminal does: in a group of its own that Ctrl-C reaches whole."""
    command = [sys.executable, "-m", "fedhds", "run", "small.yaml", "--out", out, "--json-log"]
    return subprocess.Popen(
        [*command, *SIMULATION, *options],
        cwd=folder,
        env=os.environ | {"HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def end(process: subprocess.Popen) -> SimpleNamespace:
    """Wait for a run and return its status, its events and its standard error."""
    said, complaints = process.communicate()
    events = [json.loads(line) for line in said.splitlines()]
    return SimpleNamespace(status=process.returncode, events=events, stderr=complaints)


def interrupt(folder: Path, out: str, kind: signal.Signals) -> SimpleNamespace:
    """Start a simulation and interrupt it after its second round."""
    process, lines = start(folder, out), folder / out / "rounds.jsonl"
    while process.poll() is None and not (lines.exists() and lines.read_text().count("\n") >= 2):
        time.sleep(0.005)
    os.killpg(process.pid, kind)
    return end(process)


@pytest.fixture(scope="module")
def interrupted(folder):
    result = interrupt(folder, "simulated", signal.SIGINT)
    shutil.copytree(folder / "simulated", folder / "failing")
    return result


@pytest.fixture(scope="module")
def resumed(folder, interrupted):
    return end(start(folder, "simulated", "--resume"))


@pytest.fixture(scope="module")
def in_process(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        done = CliRunner().invoke(app, ["run", "small.yaml", "--out", "in-process", "--quiet"])
    assert done.exit_code == 0, done.output
    return folder / "in-process"


def living(folder: Path) -> list[str]:
    """Return the processes that were started with the folder's home (on Linux)."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if f"HOME={folder / 'home'}\0" in (path / "environ").read_text(errors="replace"):
                found.append((path / "cmdline").read_text())
        except OSError:
            continue  # it ended, or it is another user's
    return found


def test_interrupted_ends_with_130_and_says_how_to_go_on(interrupted):
    assert (interrupted.status, interrupted.stderr) == (130, "")
    assert "--resume" in interrupted.events[-1]["text"]


def test_resumed_has_the_adapter_of_an_uninterrupted_run_in_process(folder, resumed, in_process):
    assert (resumed.status, resumed.stderr) == (0, "")
    assert resumed.events[-1]["resumed_from"] < 8
    ours, theirs = (
        load_file(out / "adapter" / "adapter_model.safetensors")
        for out in (folder / "simulated", in_process)
    )
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    assert all(array.any() for name, array in ours.items() if "lora_B" in name)


def test_resumed_accounts_for_what_it_did_as_in_process(folder, resumed, in_process):
    ours, theirs = (read_json(out / "summary.json") for out in (folder / "simulated", in_process))
    same = ("bytes", "samples_used", "sample_passes", "per_task", "validation", "failures")
    assert {key: ours[key] for key in same} == {key: theirs[key] for key in same}
    assert all(ours["seconds"][phase] > 0 for phase in ("signals", "selection", "tuning"))


def test_nothing_is_left_behind(folder, resumed):
    deadline = time.monotonic() + 20  # Ray's last helper takes a second to end
    while living(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert living(folder) == []
    assert list((folder / "home").iterdir()) == []
    assert not (folder / "simulated" / "clients").exists()


def test_resuming_what_is_finished_starts_nothing(folder, resumed, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setitem(sys.modules, "ray", None)
    command = ["run", "small.yaml", "--out", "simulated", "--resume", *SIMULATION]
    assert CliRunner().invoke(app, command).exit_code == 0


@pytest.mark.parametrize(
    ("mistake", "key"),
    [
        ("federation.client_cpus=1000000", "federation.client_cpus"),
        ("federation.client_cpus=0", "federation.client_cpus"),
        ("federation.client_gpus=1000", "federation.client_gpus"),
        ("federation.engine=simulated", "federation.engine"),
    ],
)
def test_a_mistake_ends_with_2_and_one_sentence(folder, monkeypatch, mistake, key):
    monkeypatch.chdir(folder)
    options = ("--out", "never", *SIMULATION, "--set", mistake)
    done = CliRunner().invoke(app, ["run", "small.yaml", *options])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"fedhds: {key}")
    assert done.stderr.count("\n") == 1
    assert not (folder / "never").exists()


@pytest.mark.long
def test_a_run_whose_clients_all_fail_ends_with_1(folder, interrupted):
    shutil.rmtree(folder / "failing" / "clients")
    (folder / "failing" / "clients").write_text("no folder, so no client can keep anything")
    failed = end(start(folder, "failing", "--resume"))
    assert failed.status == 1
    assert "failed twice" in failed.events[-1]["text"]
    assert "NotADirectoryError" in failed.stderr  # what the clients' processes logged


@pytest.mark.long
def test_terminated_ends_like_interrupted(folder):
    terminated = interrupt(folder, "terminated", signal.SIGTERM)
    assert (terminated.status, terminated.stderr) == (130, "")
