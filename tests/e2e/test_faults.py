"""A server that dies, in each of its phases and at any time, goes on to the same bits.

It dies in a copy of this process, which has everything imported already.
"""

import fcntl
import json
import logging
import os
import resource
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import psutil
import pytest
import yaml
from safetensors.numpy import load_file
from small import small_config

import fedhds
from fedhds import experiment, files, run_folder
from fedhds.files import read_json
from fedhds.rng import generator
from fedhds.types import RunFailed, Silent, UserError

ROUNDS = 3


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def begin_process(work: Callable[[], object]) -> int:
    """Do some work in a copy of this process, and return the copy's id."""
    child = os.fork()
    if child:
        return child
    status = 1
    logging.getLogger().handlers.clear()  # pytest's keep all that is logged, frames included
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def end_of(child: int) -> int:
    """Wait for a process and return its exit status, or less than 0 where a signal ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class DyingIn(Silent):
    """Dies in a phase of the second round, when it has gone through a part of it."""

    def __init__(self, phase: str) -> None:
        self._phase, self._finished = phase, 0

    def track(self, items, description, total):
        for item in items:
            yield item
            if self._finished == 1 and description == self._phase:
                die()

    def say(self, event, text, **facts):
        self._finished += event == "round"


def dying_while(owner, name: str, in_folder: str):
    """Die in the second round instead of returning from a function that writes a file there."""
    real, seen = getattr(owner, name), []

    def dying(path, *rest):
        seen.append(in_folder in str(path))
        if sum(seen) == 3:  # the untouched adapter and two rounds
            die()
        return real(path, *rest)

    setattr(owner, name, dying)


def adapter(out: Path) -> dict[str, bytes]:
    arrays = load_file(out / "adapter" / "adapter_model.safetensors")
    return {name: array.tobytes() for name, array in arrays.items()}


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults")
    plain = small_config(
        folder, federation__rounds=ROUNDS, selection__samples=8, evaluation__clients=1
    )
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(plain))
    return path


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    """A run in which nothing went wrong."""
    out = tmp_path_factory.mktemp("whole") / "run"
    fedhds.run(config, out)
    return out


def in_phase(phase):
    return lambda config, out: fedhds.run(config, out, progress=DyingIn(phase))


def writing(owner, name, in_folder):
    def work(config, out):
        dying_while(owner, name, in_folder)
        fedhds.run(config, out)

    return work


@pytest.mark.parametrize(
    ("work", "finished"),
    [
        (in_phase("query.select (clients)"), 1),
        (in_phase("train (clients)"), 1),
        (in_phase("evaluate (clients)"), 1),
        (writing(files.Path, "write_bytes", "/checkpoint/"), 1),
        (writing(experiment, "append_lines", "rounds.jsonl"), 2),  # its checkpoint is there
    ],
    ids=["choosing", "tuning", "evaluating", "checkpoint", "line"],
)
def test_killed_in_each_phase_ends_with_the_same_bits(config, whole, tmp_path, work, finished):
    out = tmp_path / "run"
    assert end_of(begin_process(lambda: work(config, out))) == -signal.SIGKILL
    number = run_folder.number(out)
    fedhds.run(config, out, resume=True)
    assert read_json(out / "summary.json")["resumed_from"] == finished
    assert adapter(out) == adapter(whole)
    assert run_folder.number(out) == number > 0
    assert run_folder.number(whole) != number


@pytest.fixture
def stopped(config, tmp_path):
    """Leave a run that was killed in its second round."""
    out = tmp_path / "run"
    work = in_phase("train (clients)")
    assert end_of(begin_process(lambda: work(config, out))) == -signal.SIGKILL
    return out


def everything(out: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}


def refused(config, out: Path) -> str:
    """Resume, and return the sentence that refuses it; nothing is changed."""
    before = everything(out)
    with pytest.raises(UserError) as refusal:
        fedhds.run(config, out, resume=True)
    assert everything(out) == before
    return str(refusal.value)


def test_two_processes_cannot_share_a_run_folder(config, stopped):
    descriptor = os.open(stopped, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert refused(config, stopped) == f"another process is running in '{stopped}'"
    os.close(descriptor)


@pytest.mark.parametrize("left", [0, 100])
def test_a_damaged_checkpoint_is_told(config, stopped, left):
    [kept] = (stopped / "checkpoint").iterdir()
    kept.write_bytes(kept.read_bytes()[:left])
    assert "is damaged, so the run cannot be resumed: say --overwrite" in refused(config, stopped)


def test_a_lost_checkpoint_is_told_and_nothing_removed(config, stopped):
    shutil.rmtree(stopped / "checkpoint")
    assert "has lost its checkpoint: say --overwrite to start again" in refused(config, stopped)


def test_a_resume_without_what_clients_kept_is_refused(config, stopped):
    torn, *_ = sorted(stopped.glob("clients/[0-9]*/coreset-000001-*"))
    torn.write_bytes(bytes(torn.stat().st_size))  # as a power cut may leave it
    lost = f"client {torn.parent.name} lost what it kept in round 1"
    assert lost in refused(config, stopped)


class FullAfter(Silent):
    """Fills the disk after a round: no file may grow over 4 kB, as a checkpoint does."""

    def __init__(self, round: int) -> None:
        self._round = round

    def say(self, event, text, **facts):
        if event == "round" and facts["round"] == self._round:
            _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, most))


def test_a_disk_that_fills_up_while_a_checkpoint_is_written_costs_that_round_alone(
    config, tmp_path
):
    plain = yaml.safe_load(config.read_text()) | {"selection": {"method": "random", "samples": 8}}
    whole, out = tmp_path / "whole", tmp_path / "run"
    fedhds.run(plain, whole)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(OSError, match="File too large"):
            fedhds.run(plain, out, progress=FullAfter(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    kept = [path.name for path in (out / "checkpoint").iterdir()]
    assert kept == ["000001.safetensors"]
    fedhds.run(plain, out, resume=True)
    assert read_json(out / "summary.json")["resumed_from"] == 1
    assert adapter(out) == adapter(whole)


def test_a_run_from_before_a_key_was_added_goes_on(config, whole, stopped):
    out = stopped
    kept, record = yaml.safe_load((out / "config.yaml").read_text()), read_json(out / "run.json")
    for key in ("deadline", "quorum", "over_sampling"):
        del kept["federation"][key]
    (out / "config.yaml").write_text(yaml.safe_dump(kept))
    del record["number"]
    (out / "run.json").write_text(json.dumps(record))
    assert run_folder.number(out) == 0
    fedhds.run(config, out, resume=True)
    assert adapter(out) == adapter(whole)


FLAKY = '''"""Random samples, on clients that fail in a tenth of their rounds.

Source: nobody
"""
from dataclasses import dataclass
import numpy as np
from fedhds.rng import generator
from fedhds.types import ArraySpec, Coreset, Exchange, SelectionMethod

@dataclass(frozen=True)
class Flaky(SelectionMethod):
    budget = "required"
    COUNT = {"count": ArraySpec("int64", (1,), low=0)}

    @property
    def steps(self):
        return (Exchange(self.tell, self.divide, self.COUNT, self.COUNT),)

    def tell(self, signals, received, memory, rng):
        if rng.random() < 0.05:  # of the client and the round, whichever attempt it is
            raise RuntimeError("choosing failed")
        calls = memory.get("calls", np.zeros(1, np.int64)) + 1
        return {"count": calls}, {"calls": calls}

    def divide(self, state, summaries, budget, rng):
        calls = state.get("calls", np.zeros(1, np.int64))
        calls = calls + sum(summary["count"] for summary in summaries.values())
        each = 1 + (budget + calls) % 3
        return {"calls": calls}, {client: {"count": each} for client in summaries}

    def pick(self, signals, received, memory, rng):
        if rng.random() < 0.05:
            raise RuntimeError("tuning failed")
        count = min(signals.samples, int(received["count"][0]))
        turned = rng.permutation(signals.samples)[:count] + memory["calls"]
        return Coreset.of(turned % signals.samples)
'''


@pytest.fixture
def flaky(tmp_path, monkeypatch):
    """Install a method with memory and state whose clients fail, and return its name."""
    folder = tmp_path / "site-packages"
    info = folder / "flaky-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "flaky.py").write_text(FLAKY)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: flaky\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[fedhds.selection]\nflaky = flaky:Flaky\n")
    monkeypatch.syspath_prepend(folder)
    return "flaky"


def test_a_run_that_fails_keeps_the_last_good_adapter_and_says_who_failed(tmp_path, flaky):
    changes = {"federation__rounds": 50, "federation__fraction": 1.0, "federation__quorum": 1.0}
    changes |= {"selection__method": flaky, "selection__samples": 12}
    config, out = small_config(tmp_path, **changes, evaluation__clients=1), tmp_path / "run"
    with pytest.raises(RunFailed, match=r"failed twice: only .* of at least 8 clients"):
        fedhds.run(config, out)
    failure = read_json(out / "failure.json")
    assert failure["round"] == finished_rounds(out) + 1
    assert "clients got through it (RuntimeError)" in failure["reason"]
    first, second = failure["dropped_replies"].values()
    assert first == second != {}  # this method's clients fail by the round, not the attempt
    assert set(first.values()) == {"RuntimeError"}
    assert adapter(out)


class Measuring(Silent):
    """Writes each round's resident memory, in bytes, as a line of a file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w")

    def say(self, event, text, **facts):
        if event == "round":
            print(psutil.Process().memory_info().rss, file=self._file, flush=True)


def finished_rounds(out: Path) -> int:
    path = out / "rounds.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def kill_at(rounds: int, seconds: float, config: dict, out: Path) -> int:
    """Resume a run, kill it so long after so many rounds, and return its exit status."""
    child = begin_process(lambda: fedhds.run(config, out, resume=True))
    while finished_rounds(out) < rounds and os.waitid(os.P_PID, child, _LOOK) is None:
        time.sleep(0.002)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return end_of(child)


_LOOK = os.WEXITED | os.WNOHANG | os.WNOWAIT


@pytest.mark.parametrize(
    ("rounds", "kills"), [(12, 2), pytest.param(500, 40, marks=pytest.mark.long)]
)
@pytest.mark.timeout(1800)
def test_soak_ends_with_the_bits_of_the_same_failures_without_kills(tmp_path, flaky, rounds, kills):
    changes = {"federation__rounds": rounds, "federation__fraction": 0.75}
    changes |= {"selection__method": flaky, "selection__samples": 12}
    config = small_config(tmp_path, **changes, evaluation__every=25, evaluation__clients=2)
    whole, out, memory = tmp_path / "whole", tmp_path / "run", tmp_path / "memory"
    run = begin_process(lambda: fedhds.run(config, whole, progress=Measuring(memory)))
    assert end_of(run) == 0
    draw = generator(0, "soak")
    for moment in sorted(draw.choice(rounds - 2, size=kills, replace=False).tolist()):
        assert kill_at(moment, float(draw.uniform(0, 0.05)), config, out) == -signal.SIGKILL
    assert end_of(begin_process(lambda: fedhds.run(config, out, resume=True))) == 0
    assert adapter(out) == adapter(whole)
    lines = [json.loads(line) for line in (out / "rounds.jsonl").read_text().splitlines()]
    asked, failed = (sum(len(line[key]) for line in lines) for key in ("clients", "failed"))
    assert 0.05 < failed / asked < 0.15
    check_memory([int(line) for line in memory.read_text().split()])


def check_memory(rss: list[int]) -> None:
    """From round 100 on nothing may grow but the lines of the rounds.

    They are held once and written once, half a kB each: 0.4 MB in 400 rounds. What the system
    keeps of freed memory goes up and down by 4 MB, hence medians over 20 rounds.
    """
    if len(rss) >= 120:
        early, late = median(rss[100:120]), median(rss[-20:])
        print(f"resident after round 100: {early / 1e6:.1f} MB, at the end: {late / 1e6:.1f} MB")
        assert late - early < 5e6
