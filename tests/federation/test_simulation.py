"""Flower's apps on real Ray: processes that answer, fail and die; one start serves all tests."""

import logging
import os
import signal
import sys
import tempfile
import time
from importlib.util import find_spec
from logging.handlers import BufferingHandler
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp

from fedhds.federation import simulation
from fedhds.models import usable_cores
from fedhds.types import RunFailed, UserError

# not importorskip: Ray must find our switches when it is imported
with_ray = pytest.mark.skipif(find_spec("ray") is None, reason="needs fedhds[simulation]")

CLIENTS, PROCESSES = 4, 2
CPU = torch.device("cpu")
ONE_EACH = usable_cores() / PROCESSES  # so that there are two processes on any machine


def build_app(folder: Path) -> ClientApp:
    """Build an app of local functions: they are pickled whole, as no actor finds this module."""
    app = ClientApp()

    def reply(message, **facts):
        return Message(RecordDict({"facts": ConfigRecord(facts)}), reply_to=message)

    @app.query("count")
    def count(message, context):
        calls = context.state.get("calls", ConfigRecord({"n": 0}))["n"] + 1
        context.state["calls"] = ConfigRecord({"n": calls})
        return reply(message, client=context.node_config["partition-id"], calls=calls)

    @app.query("meet")
    def meet(message, context):
        (folder / str(os.getpid())).touch()
        deadline = time.monotonic() + 60
        while len(list(folder.iterdir())) < PROCESSES and time.monotonic() < deadline:
            time.sleep(0.01)
        return reply(message, met=len(list(folder.iterdir())), pid=os.getpid())

    @app.query("fail")
    def fail(message, context):
        if context.node_config["partition-id"] == 1:
            logging.getLogger("fedhds").error("said by a client")
            raise ValueError("private text")
        return reply(message)

    @app.query("dawdle")
    def dawdle(message, context):
        time.sleep(2.0 if context.node_config["partition-id"] == 3 else 0.0)
        return reply(message)

    @app.query("die")
    def die(message, context):
        if context.node_config["partition-id"] == 2:
            os._exit(3)
        return reply(message)

    return app


def run(client_app: ClientApp, told: dict[str, list]) -> None:
    """Run an app that asks everyone everything, and fails in the end."""
    server_app = ServerApp()

    @server_app.main()
    def main(grid, context):
        nodes = sorted(grid.get_node_ids())
        for turn, kind in enumerate(("count", "meet", "fail", "die", "count")):
            asked = [Message(RecordDict(), node, f"query.{kind}") for node in nodes]
            replies = {reply.metadata.src_node_id: reply for reply in grid.send_and_receive(asked)}
            told[f"{kind}-{turn}"] = [replies[node] for node in nodes]
        asked = [Message(RecordDict(), node, "query.dawdle") for node in nodes]
        replies = grid.send_and_receive(asked, timeout=1.0)
        told["dawdle"] = sorted(nodes.index(reply.metadata.src_node_id) for reply in replies)
        raise RunFailed("that is all")

    simulation.run_simulation(server_app, client_app, CLIENTS, ONE_EACH, 0.0)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A finished simulation: the replies by question, what was logged, what was left."""
    told, before, logged = {}, signal.getsignal(signal.SIGTERM), BufferingHandler(1000)
    meeting = tmp_path_factory.mktemp("meeting")
    logging.getLogger("fedhds").addHandler(logged)
    with (
        tempfile.TemporaryDirectory(dir="/tmp") as temporary,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(tempfile, "tempdir", temporary)
        with pytest.raises(RunFailed, match="that is all"):
            run(build_app(meeting), told)
        left = list(Path(temporary).iterdir())
    logging.getLogger("fedhds").removeHandler(logged)
    lines = [record.getMessage() for record in logged.buffer]
    kept = signal.getsignal(signal.SIGTERM) == before
    return SimpleNamespace(told=told, lines=lines, left=left, kept=kept)


def facts(replies: list[Message], name: str) -> list[object]:
    return [reply.content["facts"][name] for reply in replies]


def errors(replies: list[Message]) -> dict[int, str]:
    """Return the reasons of error replies by client."""
    return {n: reply.error.reason for n, reply in enumerate(replies) if reply.has_error()}


@with_ray
def test_a_client_that_takes_longer_than_it_may_is_not_heard(simulated):
    assert simulated.told["dawdle"] == [0, 1, 2]


@with_ray
def test_clients_run_side_by_side_in_as_many_processes_as_fit(simulated):
    replies = simulated.told["meet-1"]
    assert facts(replies, "met") == [PROCESSES] * CLIENTS
    assert len(set(facts(replies, "pid"))) == PROCESSES
    assert os.getpid() not in facts(replies, "pid")


@with_ray
def test_each_client_keeps_its_number_and_its_state(simulated):
    for turn, calls in (("count-0", 1), ("count-4", 2)):
        assert facts(simulated.told[turn], "client") == list(range(CLIENTS))
        assert facts(simulated.told[turn], "calls") == [calls] * CLIENTS


@with_ray
def test_an_exception_is_a_failure_without_its_words(simulated):
    assert errors(simulated.told["fail-2"]) == {1: "ValueError"}


@with_ray
def test_what_a_client_logs_as_an_error_is_logged_here(simulated):
    assert "said by a client" in simulated.lines


@with_ray
def test_a_dead_process_is_its_clients_failure_and_is_replaced(simulated):
    [(client, reason)] = errors(simulated.told["die-3"]).items()
    assert (client, reason.split(" (")[0]) == (2, "its process died")
    assert errors(simulated.told["count-4"]) == {}


@with_ray
def test_nothing_of_ray_is_left(simulated):
    import ray

    assert simulated.left == []
    assert simulated.kept
    assert not ray.is_initialized()


@with_ray
@pytest.mark.parametrize(
    ("cpus", "gpus", "device", "key"),
    [
        (usable_cores() + 1, 0.0, "cpu", "federation.client_cpus"),
        (1.0, torch.cuda.device_count() + 1, "cpu", "federation.client_gpus"),
        (1.0, 0.0, "cuda", "federation.client_gpus"),
    ],
)
def test_what_would_wait_for_ever_is_refused(cpus, gpus, device, key):
    with pytest.raises(UserError, match=key):
        simulation.check(cpus, gpus, torch.device(device))


def test_without_ray_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'fedhds\[simulation\]'"):
        simulation.check(1.0, 0.0, CPU)


@with_ray
def test_a_client_that_fits_is_let_through():
    simulation.check(float(usable_cores()), 0.0, CPU)
