"""The simulation engine: Flower's apps with the clients side by side in Ray's processes.

The one place that knows Ray. Flower's own ``run_simulation`` is deprecated, keeps a process
that died in its pool (where it fails every message that it is given), cannot be interrupted
while the ServerApp waits in its thread, and polls. So the ServerApp runs here, in the calling
thread, over a `Grid` whose messages are answered by Ray's actors.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import secrets
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp

from fedhds.federation.in_process import (
    CLIENT_CRASHED,
    RUN_ID,
    SERVER_NODE,
    InProcessGrid,
    answer,
    flower_identity,
)
from fedhds.models import usable_cores
from fedhds.types import UserError

LONGEST_FOLDER = 25
"""Characters of the temporary folder above which Ray's sockets would not fit into a path."""

SWITCHES = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # announces a change that does not concern us
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",  # what it would print to our standard output
    "RAY_AUTH_MODE": "token",  # its ports are open to the network
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
}
"""Ray's environment variables, most of which it reads when it is imported."""

log = logging.getLogger(__name__)


def check(cpus: float, gpus: float, device: torch.device) -> None:
    """Refuse what Ray lacks, or would wait for without end.

    Parameters
    ----------
    cpus, gpus : float
        What each client takes.
    device : torch.device
        Where the model is to be.

    Raises
    ------
    UserError
        If Ray is missing or already in use, or this machine has no room for one client.
    """
    if importlib.util.find_spec("ray") is None:
        raise UserError(
            "federation.engine 'simulation' needs Ray: pip install 'fedhds[simulation]'"
        )
    if _ray().is_initialized():
        raise UserError(
            "federation.engine 'simulation' starts Ray, which this process already uses: "
            "call ray.shutdown() before"
        )
    for key, wanted, there in (
        ("cpus", cpus, usable_cores()),
        ("gpus", gpus, torch.cuda.device_count()),
    ):
        if wanted > there:
            raise UserError(
                f"federation.client_{key} is {wanted:g}, but this machine has {there} to give"
            )
    if gpus > 1 and gpus != int(gpus):
        raise UserError(f"federation.client_gpus is {gpus:g}: above 1 it must be a whole number")
    if device.type == "cuda" and not gpus:
        raise UserError(
            "federation.client_gpus is 0, but the model is to be on a GPU: set it to a client's "
            "share of one, or model.device to cpu"
        )


def run_simulation(
    server_app: ServerApp, client_app: ClientApp, clients: int, cpus: float, gpus: float
) -> None:
    """Run a federation of ``clients`` clients, as many at a time as there is room for.

    Parameters
    ----------
    client_app : ClientApp
        Is pickled, once for each process.
    cpus, gpus : float
        What each client takes, as `check` let it pass.
    """
    with _local_ray() as ray, flower_identity():
        host = ray.remote(_Host).options(num_cpus=cpus, num_gpus=gpus)
        server_app(
            SimulationGrid(
                client_app, clients, places(cpus, gpus), lambda: host.remote(client_app)
            ),
            Context(RUN_ID, SERVER_NODE, {}, RecordDict(), {}),
        )


class SimulationGrid(InProcessGrid):
    """A `Grid` whose messages are answered in other processes, several at a time.

    A process that dies takes its message with it, which becomes that client's failure; a
    new process takes its place.
    """

    def __init__(self, app: ClientApp, clients: int, places: int, start: Callable[[], Any]) -> None:
        """Host ``clients`` clients in at most ``places`` processes made by ``start``."""
        super().__init__(app, clients)
        self._start = start
        self._idle = [start() for _ in range(min(places, clients))]

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterator[Message]:
        """Send each message as soon as a process is free, and yield replies as they come.

        As in `InProcessGrid`, a client's own time decides whether it is late; a process that
        takes the place of another one first prepares the experiment, which counts.
        """
        for reply, seconds in self._replies_to(messages):
            if timeout is None or seconds <= timeout:
                yield reply

    def _replies_to(self, messages: Iterable[Message]) -> Iterator[tuple[Message, float]]:
        """Yield replies as they come, with the seconds that each took its client."""
        busy: dict[Any, tuple[Any, Message]] = {}
        for message in messages:
            if not self._idle:
                yield self._receive(busy)
            host = self._idle.pop()
            context = self._contexts[message.metadata.dst_node_id]
            busy[host.answer.remote(message, context)] = host, message
        while busy:
            yield self._receive(busy)

    def _answer(self, message: Message) -> Message:
        return next(self.send_and_receive([message]))

    def _receive(self, busy: dict[Any, tuple[Any, Message]]) -> tuple[Message, float]:
        """Wait for the next reply and take its process back."""
        ray = _ray()
        [first], _ = ray.wait(list(busy))
        host, message = busy.pop(first)
        node = message.metadata.dst_node_id
        try:
            reply: Message
            reply, self._contexts[node], errors, seconds = ray.get(first)
        except ray.exceptions.RayError as error:
            log.error("the process of node %d is gone: %s", node, error)
            ray.kill(host)
            self._idle.append(self._start())
            reason = f"its process died ({type(error).__name__})"
            return Message(Error(CLIENT_CRASHED, reason), reply_to=message), 0.0
        for line in errors:
            log.error("%s", line)
        self._idle.append(host)
        return reply, seconds


class _Host:
    """An actor: a process that answers for whichever client a message is for."""

    def __init__(self, app: ClientApp) -> None:
        self._app = app
        self._errors = _Errors()
        logging.getLogger().addHandler(self._errors)

    def answer(
        self, message: Message, context: Context
    ) -> tuple[Message, Context, list[str], float]:
        """Return the reply, the client's context, the errors to log where it shows, and seconds."""
        started = time.perf_counter()
        reply = answer(self._app, message, context)
        return reply, context, self._errors.take(), time.perf_counter() - started


class _Errors(logging.Handler):
    """Keeps what is logged as an error; the standard error of Ray's processes is a file."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(self.format(record))

    def take(self) -> list[str]:
        """Return what was logged since the last call."""
        lines, self._lines = self._lines, []
        return lines


def places(cpus: float, gpus: float) -> int:
    """Count the clients that fit on this machine; a share of a GPU is of one GPU."""
    by_cpu = int(usable_cores() / cpus + 1e-9)
    if not gpus:
        return by_cpu
    there = torch.cuda.device_count()
    by_gpu = there * int(1 / gpus + 1e-9) if gpus <= 1 else int(there / gpus)
    return min(by_cpu, by_gpu)


def _ray() -> Any:
    """Import Ray under our switches; one imported before stays as it was set up."""
    if "ray" not in sys.modules:
        os.environ |= {name: os.environ.get(name, value) for name, value in SWITCHES.items()}
    import ray

    return ray


@contextmanager
def _local_ray() -> Iterator[Any]:
    """Start a Ray of our own that only this process may use, and leave nothing of it."""
    ray = _ray()
    short = None if len(tempfile.gettempdir()) <= LONGEST_FOLDER else "/tmp"
    with tempfile.TemporaryDirectory(prefix="ray-", dir=short, ignore_cleanup_errors=True) as own:
        try:
            with _keeping_sigterm():
                ray.init(
                    address="local",  # whatever RAY_ADDRESS says
                    num_cpus=usable_cores(),
                    num_gpus=torch.cuda.device_count(),
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    _temp_dir=own,
                )
            yield ray
        except BaseException as error:
            # what a frame still holds of Ray's can crash Python when it exits after an interrupt
            traceback.clear_frames(error.__traceback__)
            raise
        finally:
            ray.shutdown()


@contextmanager
def _keeping_sigterm() -> Iterator[None]:
    """Give SIGTERM back to whoever had it: Ray takes it over when it starts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit:  # Ray's own answer to a signal that came meanwhile
        signal.signal(signal.SIGTERM, before)
        signal.raise_signal(signal.SIGTERM)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
