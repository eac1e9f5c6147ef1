"""The resident worker of a site: one process that holds model and data between messages.

Flower starts a process for every message, which would load the base model anew each time
(flower#3670). A worker loads it once and answers over a local socket that only its user can open.
It ends with its SuperNode, however that ended.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import socket
import stat
import struct
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.serde import recorddict_from_proto, recorddict_to_proto
from flwr.proto.recorddict_pb2 import RecordDict as RecordDictProto

from fedhds.federation.frames import receive_frame, send_frame
from fedhds.federation.in_process import answer, flower_identity

LONGEST_PATH = 100
"""Bytes of a socket's path above which the system may not take it."""

BETWEEN_LOOKS = 0.5
"""Seconds between two looks at whether the SuperNode is still there."""

log = logging.getLogger(__name__)


def socket_path(supernode: int, settings: Mapping[str, Any]) -> Path | None:
    """Say where the worker of a SuperNode listens; None where no such socket can be.

    Parameters
    ----------
    supernode : int
        Its process.
    settings : mapping
        Its node config.
    """
    # not of when it began, which is told by a clock that may be set: no second worker for that
    said = repr((supernode, sorted(settings.items())))
    folder = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    path = folder / f"fedhds-{os.getuid()}" / f"{hashlib.sha256(said.encode()).hexdigest()[:16]}"
    return path if len(bytes(path)) < LONGEST_PATH and _own_folder(path.parent) else None


def _own_folder(folder: Path) -> bool:
    """Make a folder that is this user's alone; tell whether it is."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return False
    alone = stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077
    return alone and found.st_uid == os.getuid()


def serve(path: Path, supernode: int, app: ClientApp) -> None:
    """Answer messages until the SuperNode is gone; return at once if another worker does.

    Parameters
    ----------
    path : Path
        Where to listen, from `socket_path`.
    supernode : int
        The SuperNode's process.
    app : ClientApp
        What answers.
    """
    lock = os.open(f"{path}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    path.unlink(missing_ok=True)  # of a worker that was killed
    threading.Thread(target=_end_with, args=(psutil.Process(supernode), path), daemon=True).start()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening, flower_identity():
        listening.bind(os.fspath(path))
        path.chmod(0o600)
        listening.listen()
        while True:
            connection, _ = listening.accept()
            with connection:
                _answer_one(connection, app)


def _end_with(supernode: psutil.Process, path: Path) -> None:
    """End this process, whatever it is doing, once the SuperNode is gone."""
    try:
        while _is_there(supernode):
            time.sleep(BETWEEN_LOOKS)
    finally:  # whatever happens to the one who looks
        path.unlink(missing_ok=True)
        Path(f"{path}.lock").unlink(missing_ok=True)
        os._exit(0)


def _is_there(process: psutil.Process) -> bool:
    """Tell whether a process still works; it may end while it is looked at."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _answer_one(connection: socket.socket, app: ClientApp) -> None:
    """Answer one message; whoever asks may have gone meanwhile, or ask nonsense."""
    if not _same_user(connection):
        return
    try:
        header, payload = receive_frame(connection)
        message, context = _arrived(header, payload)
        reply = answer(app, message, context)
        if reply.has_error():
            error = {"code": reply.error.code, "reason": reply.error.reason}
            send_frame(connection, {"error": error}, b"")
        else:
            send_frame(connection, {}, packed(reply.content))
    except Exception:  # the next one is answered all the same
        log.exception("a message was not answered")


def _same_user(connection: socket.socket) -> bool:
    """Tell whether the process at the other end is this user's, where the system can say."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True  # the folder is this user's alone
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return bool(struct.unpack("3i", told)[1] == os.getuid())


def _arrived(header: dict[str, Any], payload: bytes) -> tuple[Message, Context]:
    """Make the message and its context anew, in the worker's process."""
    node = int(header["node"])
    message = Message(
        unpacked(payload), node, str(header["kind"]), group_id=str(header.get("group", ""))
    )
    context = Context(
        int(header["run"]), node, header["node_config"], RecordDict(), header["run_config"]
    )
    return message, context


def packed(records: RecordDict) -> bytes:
    """Write Flower's records as bytes."""
    return bytes(recorddict_to_proto(records).SerializeToString())


def unpacked(payload: bytes) -> RecordDict:
    """Read what `packed` wrote."""
    return recorddict_from_proto(RecordDictProto.FromString(payload))
