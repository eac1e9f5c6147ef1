"""Three sites and a server over TLS: `docs/deploy.md` is followed word for word, on one machine.

What differs from the page: the server's name is this machine's, ports are free ones, and what the
page tells to do on one site is done on all three. Flower looks for messages every three seconds,
so a run takes a minute; one run serves most tests.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml
from safetensors.numpy import load_file
from small import write_rows

import fedhds
from fedhds import config as configuration
from fedhds.data.loading import load_examples
from fedhds.federation.ledger import Ledger
from fedhds.files import read_json

pytestmark = [pytest.mark.deployment, pytest.mark.timeout(900)]

PAGE = (Path(__file__).parents[2] / "docs" / "deploy.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SITES = ("north", "south", "east")
SAMPLES = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Federation:
    """The page's machines, each a folder; what is left running there ends with `stop`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.server = folder / "hospitals"
        self.running: dict[str, subprocess.Popen] = {}
        binaries = os.path.dirname(sys.executable)
        self.environment = os.environ | {
            "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "FEDHDS_CACHE": str(folder / "cache"),
            "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.1",
            "OMP_NUM_THREADS": "1",
            "TMPDIR": "/tmp",  # sockets want short paths
        }

    def blocks(self, language: str, comment: str) -> list[str]:
        """Return the page's blocks whose first line says ``comment``, with this machine's names."""
        found = [text for kind, text in BLOCK.findall(PAGE) if kind == language]
        named = [text for text in found if text.splitlines()[0] == comment]
        assert named, comment
        local = {"fl.example.org": "localhost", "0.0.0.0": "127.0.0.1", "8000": str(self.port)}
        return [re.sub("|".join(map(re.escape, local)), lambda m: local[m[0]], t) for t in named]

    def carry_out(self, script: str, where: Path) -> str:
        """Carry out a block and return what it printed."""
        done = subprocess.run(
            ["sh", "-e", "-c", script],
            cwd=where,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def leave_running(self, name: str, script: str, where: Path) -> None:
        """Carry out a block that stays."""
        command = shlex.split(script.replace("\\\n", " "), comments=True)
        with open(self.folder / f"{name}.log", "ab") as log:
            self.running[name] = subprocess.Popen(
                command,
                cwd=where,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start_superlink(self) -> None:
        (script,) = self.blocks("sh", "# on the server, in hospitals/, and leave it running")
        self.leave_running("superlink", script, self.server)
        wait_for(lambda: answers(self.port), "the SuperLink does not listen")

    def start_site(self, name: str, *options: str) -> None:
        (script,) = self.blocks("sh", "# on the site north, in its folder, and leave it running")
        own = f"{script.strip()} --port {free_port()} {' '.join(options)}"
        self.leave_running(name, own, self.server / "sites" / name)

    def start_again(self, name: str) -> None:
        """Start a site whose SuperNode was killed, until it stays.

        Flower refuses it, and it ends, while Flower still takes the old one for alive.
        """
        begun = self.log(name).count("SuperNode ID")
        self.start_site(name)

        def is_there() -> bool:
            if self.running[name].poll() is not None:
                self.start_site(name)
            return self.log(name).count("SuperNode ID") > begun

        wait_for(is_there, "the site is not let in again", 240)

    def kill(self, name: str) -> None:
        """End what was left running, and what Flower started for it, at once."""
        process = self.running.pop(name)
        for child in [*psutil.Process(process.pid).children(recursive=True), process]:
            if "deployment.worker" not in " ".join(_command(child)):
                child.kill()
        process.wait()

    def workers(self, name: str) -> list[psutil.Process]:
        """Return the workers of a site that is running."""
        supernode = str(self.running[name].pid)
        found = []
        for process in psutil.process_iter(["cmdline"]):
            command = process.info["cmdline"] or []
            if "fedhds.deployment.worker" in command and command[-1] == supernode:
                found.append(process)
        return found

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def stop(self) -> None:
        for name in list(self.running):
            self.kill(name)


def _command(process: psutil.Process | subprocess.Popen) -> list[str]:
    try:
        return psutil.Process(process.pid).cmdline()
    except psutil.NoSuchProcess:
        return []


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(condition, otherwise: str, seconds: float = 120.0) -> None:
    ended = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ended, otherwise
        time.sleep(0.1)


def toy_rows() -> tuple[dict[str, list[dict]], list[dict]]:
    """Return some of the toy federation's samples for each site, and of its unseen ones."""
    toy = configuration.parse({}).data_preset
    train, unseen = load_examples(toy, None, None, {}, [], 0)
    rows = [row_of(example) for example in train.examples]
    by_site = {name: rows[number::13][:SAMPLES] for number, name in enumerate(SITES)}
    return by_site, [row_of(example) for example in unseen.examples[::60]]


def row_of(example) -> dict:
    names = ("instruction", "input", "output", "task")
    return {name: getattr(example, name) for name in names}


@pytest.fixture(scope="module")
def federation(tmp_path_factory):
    """The page followed up to where the run begins."""
    made = Federation(tmp_path_factory.mktemp("machines"))
    try:
        for script in made.blocks("sh", "# on the server"):
            made.carry_out(script, made.folder)
        (experiment,) = made.blocks("yaml", "# experiment.yaml")
        (made.server / "experiment.yaml").write_text(experiment)
        by_site, unseen = toy_rows()
        write_rows(made.server / "unseen.jsonl", unseen)
        for name, rows in by_site.items():
            write_rows(made.server / "sites" / name / "data.jsonl", rows)
        made.start_superlink()
        register, *_ = made.blocks("sh", "# on the server, in hospitals/")
        made.carry_out(register, made.server)
        for name in SITES:
            check, _ = made.blocks("sh", "# on the site north, in its folder")
            made.carry_out(check, made.server / "sites" / name)
            made.start_site(name)
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def finished(federation):
    """The page's run, which is finished and then resumed as the page says."""
    _, run, resume = federation.blocks("sh", "# on the server, in hospitals/")
    told = federation.carry_out(run, federation.server)
    assert "round 3/3" in told
    assert "is finished already" in federation.carry_out(resume, federation.server)
    return federation.server / "runs" / "first"


def test_the_adapter_is_that_of_one_process(federation, finished, tmp_path):
    by_site, _ = toy_rows()
    # sorted by the column, the sites have the numbers that federation.sites gives them
    rows = [row | {"site": str(n)} for n, name in enumerate(SITES) for row in by_site[name]]
    plain = yaml.safe_load((federation.server / "experiment.yaml").read_text())
    kept = {key: plain["federation"][key] for key in ("rounds", "fraction")}
    plain |= {"federation": kept, "partition": {"kind": "column", "by": "site"}}
    plain["model"]["threads"] = 1
    plain["data"] = {
        "train": str(write_rows(tmp_path / "all.jsonl", rows)),
        "eval": str(federation.server / "unseen.jsonl"),
    }
    alone = fedhds.run(plain, out=tmp_path / "run")
    ours, theirs = (
        load_file(o / "adapter" / "adapter_model.safetensors") for o in (alone.out, finished)
    )
    assert ours.keys() == theirs.keys()
    assert any(np.abs(array).max() > 1e-3 for name, array in ours.items() if "lora_B" in name)
    for name, array in ours.items():
        np.testing.assert_allclose(theirs[name], array, atol=1e-5, rtol=0)
    summary = read_json(finished / "summary.json")
    assert summary["samples_used"] == alone.summary["samples_used"]
    assert summary["samples_total"] == alone.summary["samples_total"]


def test_each_site_has_a_log_of_what_left_it(federation, finished):
    for name in SITES:
        _, audit = federation.blocks("sh", "# on the site north, in its folder")
        folder = federation.server / "sites" / name
        told = federation.carry_out(audit, folder)
        (state,) = (folder / "state").glob("run-*")
        entries, torn = Ledger(state).entries()
        # a greeting, two scores, and in each of three rounds two exchanges and an adapter
        kinds = [entry.kind for entry in entries]
        assert (kinds.count("query.hello"), kinds.count("evaluate")) == (1, 2)
        assert (kinds.count("query.select"), kinds.count("train")) == (6, 3)
        assert torn == []
        assert all(entry.reason is None for entry in entries)
        assert "query.select" in told


def test_one_worker_a_site_serves_all_its_messages(federation, finished):
    assert all(len(federation.workers(name)) == 1 for name in SITES)
    assert not any("by itself" in federation.log(name) for name in SITES)


def test_a_key_that_is_not_registered_does_not_get_in(federation):
    stranger = federation.server / "sites" / "stranger"
    shutil.copytree(federation.server / "sites" / "north", stranger, dirs_exist_ok=True)
    (stranger / "site.key").unlink()
    federation.carry_out("ssh-keygen -q -t ecdsa -b 384 -N '' -f site.key", stranger)
    federation.start_site("stranger")
    process = federation.running.pop("stranger")
    assert process.wait(60) != 0


def test_nobody_gets_in_who_does_not_know_the_server(federation):
    elsewhere = federation.server / "sites" / "elsewhere"
    shutil.copytree(federation.server / "sites" / "north", elsewhere, dirs_exist_ok=True)
    fedhds_init = f"fedhds init other --sites north --host localhost --port {federation.port}"
    federation.carry_out(fedhds_init, federation.folder)
    shutil.copy(federation.folder / "other" / "keys" / "ca.crt", elsewhere / "ca.crt")
    federation.start_site("elsewhere", "--max-retries", "1")
    process = federation.running.pop("elsewhere")
    assert process.wait(60) != 0


def test_a_run_outlives_what_happens_to_its_parts(federation, finished):
    out = federation.server / "runs" / "hard"
    changes = ("selection.method=random", "federation.rounds=4", "federation.deadline=60")
    options = " ".join(f"--set {change}" for change in changes)
    command = f"fedhds run experiment.yaml --out runs/hard {options}"

    def rounds() -> list[dict]:
        path = out / "rounds.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    federation.leave_running("run", command, federation.server)
    wait_for(lambda: len(rounds()) == 1, "round 1 does not end", 180)
    # a site dies and is away for a round, which goes on without it
    (worker,) = federation.workers("south")
    federation.kill("south")
    wait_for(lambda: len(rounds()) == 2, "round 2 does not end", 180)
    assert not worker.is_running()
    south = str(SITES.index("south"))
    assert list(rounds()[1]["failed"]) == [south]
    # the SuperLink dies, and Flower's run with it
    federation.kill("superlink")
    assert federation.running.pop("run").wait(120) == 1
    assert "--resume goes on" in federation.log("run")
    # both come back, and the run goes on with all three
    federation.start_superlink()
    federation.start_again("south")
    federation.carry_out(f"{command} --resume", federation.server)
    summary = read_json(out / "summary.json")
    assert summary["rounds"] == 4
    assert summary["resumed_from"] in (2, 3)
    assert rounds()[3]["failed"] == {}


def test_flowers_own_command_runs_the_app(federation, finished):
    comment = "# on the server, in hospitals/, by Flower's own command"
    (script,) = federation.blocks("sh", comment)
    told = federation.carry_out(script, federation.server)
    number = re.search(r'"run-id": "(\d+)"', told)[1]
    # where the SuperLink was started
    lines = federation.server / "runs" / "deployed" / "rounds.jsonl"
    wait_for(lambda: lines.exists() and lines.read_text(), "no round of it ends", 240)
    stop = f'FLWR_HOME="$PWD/flower" flwr stop {number} federation'
    federation.carry_out(stop, federation.server)


def test_an_interrupted_run_is_stopped(federation, finished):
    command = "fedhds run experiment.yaml --out runs/stopped --set selection.method=random"
    federation.leave_running("stopped", command, federation.server)
    config = federation.server / "runs" / "stopped" / "config.yaml"
    wait_for(config.exists, "the run does not begin")
    process = federation.running.pop("stopped")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    superlink = psutil.Process(federation.running["superlink"].pid)

    def is_led() -> bool:
        children = superlink.children(recursive=True)
        return any("flwr-serverapp" in " ".join(_command(child)) for child in children)

    wait_for(lambda: not is_led(), "the server goes on")
