"""The ClientApp of a deployment where there can be no worker: it answers by itself."""

import contextlib
import os
import subprocess
import sys

import psutil
import pytest
from flwr.app import ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from fedhds.deployment.state import note
from fedhds.federation import relay
from fedhds.federation.ledger import Ledger
from fedhds.federation.messages import FAILED, NOT_KEPT
from fedhds.federation.relay import EXPERIMENT_KEY, SUPERNODE, relay_app

pytestmark = pytest.mark.usefixtures("runtime")


def own_app():
    """Build an app that tells what the experiment is, and fails with words of the site's."""
    app = ClientApp()

    @app.query("hello")
    def hello(message, context):
        told = {"experiment": context.run_config[EXPERIMENT_KEY], "process": os.getpid()}
        return Message(RecordDict({"told": ConfigRecord(told)}), reply_to=message)

    @app.train()
    def train(message, context):
        raise KeyError("a private word")

    return app


@pytest.fixture
def ask(tmp_path):
    def asked(worker="no_such_module", kind="query.hello", own=own_app):
        facts = RecordDict({"facts": MetricRecord({"run": 5, "round": 2})})
        message = Message(facts, 7, kind)
        context = Context(1, 7, {"policy": str(tmp_path / "policy.yaml")}, RecordDict(), {})
        return relay_app("seed: 3\n", worker, own, note)(message, context)

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


def cannot_be_built():
    raise ImportError("a private folder")


@pytest.mark.parametrize(
    ("own", "reason"), [(own_app, "KeyError"), (cannot_be_built, "ImportError")]
)
def test_an_error_travels_as_its_type_and_is_in_the_ledger(
    ask, caplog, monkeypatch, tmp_path, own, reason
):
    monkeypatch.delenv(SUPERNODE, raising=False)
    reply = ask(kind="train", own=own)
    assert (reply.error.code, reply.error.reason) == (FAILED, reason)
    assert "private" in caplog.text  # to the site itself it is told
    (entry,), _ = Ledger(tmp_path / "state" / "run-5").entries()
    assert (entry.kind, entry.round, entry.reason, entry.refused) == ("train", 2, reason, False)


def test_an_error_that_cannot_be_written_down_does_not_travel(ask, monkeypatch, tmp_path):
    monkeypatch.delenv(SUPERNODE, raising=False)
    (tmp_path / "state").touch()  # no folder
    reply = ask(kind="train")
    assert (reply.error.code, reply.error.reason) == (FAILED, NOT_KEPT)


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
    code = "import sys, fedhds.deployment.answering, fedhds.deployment.state; "
    code += "import fedhds.federation.relay, fedhds.federation.supernode; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "flwr" in loaded
    assert not {"torch", "transformers"} & set(loaded)
