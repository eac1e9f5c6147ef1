"""The ClientApp of a deployment: hands each message to the site's resident worker.

It imports neither torch nor a model, as it is started anew for every message.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
from flwr.app import Context, Error, Message
from flwr.clientapp import ClientApp as ClientApp  # for those who may not import flwr

from fedhds.federation.frames import receive_frame, send_frame
from fedhds.federation.messages import FAILED, KINDS, NOT_KEPT, WORKER_GONE, register, told
from fedhds.federation.worker import packed, socket_path, unpacked

SUPERNODE = "FEDHDS_SUPERNODE"
"""The environment variable that tells the SuperNode's process to what it starts."""

EXPERIMENT_KEY = "experiment"
"""Where the experiment's text is put in the run config, for whoever opens the site."""

SECONDS_TO_START = 120.0
"""How long a new worker may take until it listens; its models are loaded later."""

log = logging.getLogger(__name__)


Note = Callable[[Mapping[str, Any], str, int, int, str], None]
"""Puts an error reply into the site's ledger: node config, kind, run, round, reason."""


def relay_app(experiment: str, worker: str, own: Callable[[], ClientApp], note: Note) -> ClientApp:
    """Build the ClientApp.

    Parameters
    ----------
    experiment : str
        The experiment's text, which Flower brought with the app.
    worker : str
        The module that is a worker's program.
    own : callable
        Builds the app that answers in this process where there can be no worker.
    note : callable
        Keeps what leaves though neither of these two answered.
    """
    app = ClientApp()

    def relay(message: Message, context: Context) -> Message:
        context.run_config[EXPERIMENT_KEY] = experiment
        try:
            connection = _connect(context.node_config, worker)
            if connection is not None:
                with connection:
                    return _asked(connection, message, context)
            log.warning("there is no resident worker: this process loads everything by itself")
            return own()(message, context)
        except ConnectionError:
            error = Error(WORKER_GONE, "the site's worker ended in the middle of the message")
        except Exception as raised:  # its words may be the site's
            log.exception("a message was not answered")
            error = Error(FAILED, type(raised).__name__)
        run, round = (told(message.content, name) for name in ("run", "round"))
        try:
            note(context.node_config, message.metadata.message_type, run, round, str(error.reason))
        except Exception:
            log.exception("what leaves cannot be written down, so it does not leave")
            error = Error(FAILED, NOT_KEPT)
        return Message(error, reply_to=message)

    for kind in KINDS:
        register(app, kind, relay)
    return app


def _asked(connection: socket.socket, message: Message, context: Context) -> Message:
    """Ask the worker and make its answer the reply (ConnectionError if it is gone)."""
    about = message.metadata
    header = {
        "kind": about.message_type,
        "group": about.group_id,
        "node": context.node_id,
        "run": context.run_id,
        "node_config": dict(context.node_config),
        "run_config": dict(context.run_config),
    }
    send_frame(connection, header, packed(message.content))
    answer, payload = receive_frame(connection)
    if "error" in answer:
        error = Error(answer["error"]["code"], answer["error"]["reason"])
        return Message(error, reply_to=message)
    return Message(unpacked(payload), reply_to=message)


def _connect(settings: Mapping[str, Any], worker: str) -> socket.socket | None:
    """Reach the SuperNode's worker, starting one where there is none; None if that fails."""
    supernode = _supernode()
    path = supernode and socket_path(supernode, settings)
    if not path:
        return None
    if connection := _reach(path):
        return connection
    # in a session of its own: an interrupt at the terminal is the SuperNode's to answer
    command = [sys.executable, "-m", worker, os.fspath(path), str(supernode)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    given_up = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < given_up:
        if connection := _reach(path):
            return connection
        if process.poll() not in (None, 0):  # 0: another one was first
            return None
        time.sleep(0.05)
    process.kill()
    return None


def _reach(path: Path) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(os.fspath(path))
    except OSError:
        connection.close()
        return None
    return connection


def _supernode() -> int | None:
    """Return the process of the SuperNode that this one belongs to, if it can be told."""
    if told := os.environ.get(SUPERNODE):
        return int(told) if psutil.pid_exists(int(told)) else None
    for parent in psutil.Process().parents():
        if any(Path(part).name == "flower-supernode" for part in parent.cmdline()[:3]):
            return int(parent.pid)
    return None
