"""Runs that are killed, interrupted, resumed: the same bits as one that never was."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from safetensors.numpy import load_file
from small import small_config

import fedhds
from fedhds import experiment
from fedhds.files import read_json
from fedhds.rng import generator

ROUNDS = 30  # so many that a run is not over before it is killed, on a busy machine either


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    plain = small_config(folder, federation__rounds=ROUNDS, evaluation__every=5)
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(plain))
    return path


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    """A run that is never killed, and how many seconds it took."""
    out = tmp_path_factory.mktemp("whole") / "run"
    started = time.monotonic()
    assert start(config, out).wait() == 0
    return out, time.monotonic() - started


def start(config: Path, out: Path, *options: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "fedhds", "run", str(config), "--out", str(out), "--quiet"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, env=environment)


def adapter(out: Path) -> dict[str, bytes]:
    arrays = load_file(out / "adapter" / "adapter_model.safetensors")
    return {name: array.tobytes() for name, array in arrays.items()}


def lines(out: Path) -> list[str]:
    path = out / "rounds.jsonl"
    return path.read_text().splitlines() if path.exists() else []


def kill_after_round(config, out, round, delay, kind=signal.SIGKILL):
    """Start or resume a run and kill it ``delay`` seconds after it finished a round."""
    process = start(config, out, "--resume")
    while process.poll() is None and len(lines(out)) < round:
        time.sleep(0.005)
    time.sleep(delay)
    process.send_signal(kind)
    return process.wait()


def test_killed_at_random_moments_ends_with_the_same_bits(config, whole, tmp_path):
    rng, out, kept = generator(0, "moments"), tmp_path / "run", []
    for round in (0, 1, 4, 9):
        kill_after_round(config, out, round, delay=float(rng.uniform(0, 0.15)))
        assert lines(out)[: len(kept)] == kept
        kept = lines(out)
    assert start(config, out, "--resume").wait() == 0
    assert lines(out)[: len(kept)] == kept
    assert adapter(out) == adapter(whole[0])
    summary, expected = read_json(out / "summary.json"), read_json(whole[0] / "summary.json")
    assert summary["resumed_from"] == len(kept)
    same = (
        "rouge_l_after",
        "loss_after",
        "samples_used",
        "sample_passes",
        "best_round",
        "per_task",
    )
    assert {key: summary[key] for key in same} == {key: expected[key] for key in same}


def test_a_run_that_another_process_finishes_meanwhile_stays_as_it_is(tmp_path, monkeypatch):
    config, out = small_config(tmp_path, federation__rounds=1), tmp_path / "run"
    prepare, before = experiment.prepare, {}

    def slowly(*arguments, **options):
        """Prepare while the other process runs from beginning to end."""
        monkeypatch.setattr(experiment, "prepare", prepare)
        fedhds.run(config, out)
        before.update({path: path.read_bytes() for path in out.rglob("*") if path.is_file()})
        return prepare(*arguments, **options)

    monkeypatch.setattr(experiment, "prepare", slowly)
    fedhds.run(config, out, resume=True)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_killed_while_starting_up_resumes(config, whole, tmp_path):
    out = tmp_path / "run"
    process = start(config, out)
    while process.poll() is None and not out.exists():
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert start(config, out, "--resume").wait() == 0
    assert adapter(out) == adapter(whole[0])


def test_what_selection_remembers_outlives_a_kill(tmp_path):
    method = {"selection__method": "fedhds-aligned", "selection__samples": 6}
    rounds = 8  # each takes long enough to be killed in: clients are grouped, then tuned
    plain = small_config(tmp_path, federation__rounds=rounds, evaluation__every=rounds, **method)
    path, whole, out = tmp_path / "aligned.yaml", tmp_path / "whole", tmp_path / "run"
    path.write_text(yaml.safe_dump(plain))
    kill_after_round(path, out, 2, 0.0)
    fedhds.run(path, out, resume=True)
    fedhds.run(path, whole)
    assert 2 <= read_json(out / "summary.json")["resumed_from"] < rounds
    chosen = [[json.loads(line)["samples"] for line in lines(folder)] for folder in (whole, out)]
    assert chosen == [[6] * rounds] * 2
    assert adapter(out) == adapter(whole)


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_politely_says_how_to_go_on(config, whole, tmp_path, kind):
    out = tmp_path / "run"
    command = [sys.executable, "-m", "fedhds", "run", str(config), "--out", str(out)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell's background job ignores Ctrl-C, and what it starts would, too
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while process.poll() is None and len(lines(out)) < 2:
        time.sleep(0.005)
    process.send_signal(kind)
    _, said = process.communicate()
    assert process.returncode == 130
    assert "--resume" in said.splitlines()[-1]
    assert "Traceback" not in said
    assert start(config, out, "--resume").wait() == 0
    assert adapter(out) == adapter(whole[0])


def test_resuming_where_nothing_is_starts(config, whole, tmp_path):
    assert start(config, tmp_path / "new", "--resume").wait() == 0
    assert adapter(tmp_path / "new") == adapter(whole[0])
    assert read_json(tmp_path / "new" / "summary.json")["resumed_from"] is None


def test_resuming_a_finished_run_changes_nothing(config, whole):
    out = whole[0]
    before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in out.rglob("*")}
    assert start(config, out, "--resume").wait() == 0
    assert {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in out.rglob("*")} == before


def test_every_round_has_a_line_with_its_number(whole):
    assert [json.loads(line)["round"] for line in lines(whole[0])] == list(range(1, ROUNDS + 1))


def test_nothing_but_the_run_folders_own_files_is_left(whole):
    names = {path.name for path in whole[0].iterdir()}
    assert names == {
        "adapter",
        "checkpoint",
        "config.yaml",
        "rounds.jsonl",
        "run.json",
        "samples.json",
        "summary.json",
        "unseen.json",
    }


@pytest.mark.parametrize("lost", [["rounds.jsonl"], ["rounds.jsonl", "summary.json", "adapter"]])
def test_killed_after_the_last_checkpoint_completes_the_folder(config, whole, tmp_path, lost):
    out = tmp_path / "run"
    shutil.copytree(whole[0], out)
    (out / "summary.json").unlink()
    for name in set(lost) - {"summary.json"}:
        path = out / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (out / ".fedhds-tmp-abc").write_text("half")
    (out / ".fedhds-tmp-def").mkdir()  # adapters that waited for their turn
    (out / ".fedhds-tmp-def" / "3").write_text("an adapter")
    (out / ".fedhds-tmp-def" / ".fedhds-tmp-ghi").write_text("half of one")
    assert start(config, out, "--resume").wait() == 0
    assert lines(out) == lines(whole[0])
    assert adapter(out) == adapter(whole[0])
    assert {path.name for path in out.iterdir()} == {path.name for path in whole[0].iterdir()}


def test_killed_while_overwriting_leaves_nothing_of_the_old_run(config, whole, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(whole[0], out)
    old = out / "clients" / "0"
    old.mkdir(parents=True)
    (old / "used-000001-000.safetensors").write_text("of another experiment")
    (out / "config.yaml").unlink()  # the first to go
    assert start(config, out, "--resume").wait() == 0
    assert adapter(out) == adapter(whole[0])
    assert read_json(out / "summary.json")["resumed_from"] is None
