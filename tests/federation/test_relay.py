"""The ClientApp of a deployment where there can be no worker: it answers by itself."""

import contextlib
import os
import subprocess
import sys

import psutil
import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from fedhds.federation import relay
from fedhds.federation.relay import SUPERNODE, relay_app

pytestmark = pytest.mark.usefixtures("runtime")


def own_app():
    """Build an app that tells what the experiment is."""
    app = ClientApp()

    @app.query("hello")
    def hello(message, context):
        told = {"experiment": context.run_config["experiment"], "process": os.getpid()}
        return Message(RecordDict({"told": ConfigRecord(told)}), reply_to=message)

    return app


@pytest.fixture
def ask(tmp_path):
    experiment = tmp_path / "experiment.yaml"
    experiment.write_text("seed: 3\n")

    def asked(worker="no_such_module"):
        message = Message(RecordDict(), 7, "query.hello")
        context = Context(1, 7, {}, RecordDict(), {})
        return relay_app(experiment, worker, own_app)(message, context)

    return asked


def answered_here(reply, caplog):
    told = reply.content["told"]
    assert (told["process"], told["experiment"]) == (os.getpid(), "seed: 3\n")
    assert "there is no resident worker: this process loads everything by itself" in caplog.text


def test_without_a_supernode_it_answers_by_itself(ask, caplog, monkeypatch):
    monkeypatch.delenv(SUPERNODE, raising=False)
    answered_here(ask(), caplog)


def test_with_a_supernode_that_is_gone_it_answers_by_itself(ask, caplog, monkeypatch):
    gone = subprocess.Popen(["true"])
    gone.wait()
    monkeypatch.setenv(SUPERNODE, str(gone.pid))
    answered_here(ask(), caplog)


def test_with_a_worker_that_cannot_start_it_answers_by_itself(ask, caplog, monkeypatch):
    monkeypatch.setenv(SUPERNODE, str(os.getpid()))
    answered_here(ask("no_such_module"), caplog)


def test_a_worker_that_never_listens_is_ended(ask, caplog, monkeypatch, runtime):
    (runtime / "sleeping.py").write_text("import time; time.sleep(600)")
    monkeypatch.setenv("PYTHONPATH", str(runtime))
    monkeypatch.setenv(SUPERNODE, str(os.getpid()))
    monkeypatch.setattr(relay, "SECONDS_TO_START", 0.5)
    answered_here(ask("sleeping"), caplog)
    children = psutil.Process().children()
    _, there = psutil.wait_procs([c for c in children if runs(c, "sleeping")], timeout=10)
    assert not there


def runs(process, module):
    """Tell whether a process that may be ending runs a module."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return module in process.cmdline()
    return False


def test_a_supernode_that_others_started_is_found_among_the_parents(runtime, monkeypatch):
    """Flower starts its program for a message through other processes; none says who it is."""
    monkeypatch.delenv(SUPERNODE, raising=False)
    code = "from fedhds.federation.relay import _supernode; print(_supernode())"
    program = runtime / "flower-supernode"
    program.write_text(f"""#!/bin/sh\necho $$\nsh -c '{sys.executable} -c "{code}"; true'\n""")
    program.chmod(0o700)
    told = subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()
    assert told[0] == told[1]


def test_it_loads_neither_torch_nor_transformers():
    code = "import sys, fedhds.deployment.message, fedhds.federation.relay; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "flwr" in loaded
    assert not {"torch", "transformers"} & set(loaded)
