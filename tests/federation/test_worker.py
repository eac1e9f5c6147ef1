"""The resident worker of a site: processes of its own, reached through the relay."""

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import echoing
import psutil
import pytest
from flwr.app import Array, ArrayRecord, Context, Message, RecordDict

from fedhds.federation import worker
from fedhds.federation.in_process import CLIENT_CRASHED
from fedhds.federation.messages import WORKER_GONE
from fedhds.federation.relay import SUPERNODE, relay_app
from fedhds.federation.worker import LONGEST_PATH, socket_path

NODE, RUN = 2**63 + 7, 2**63 + 9
"""Flower's numbers have 64 bits."""

PATIENCE = 20.0
"""Seconds to wait for what takes a moment."""


pytestmark = pytest.mark.usefixtures("runtime")


class Home:
    """A SuperNode (a process that stays) with its site's folder, and a relay that asks there."""

    def __init__(self, folder, program=echoing.PROGRAM, **settings):
        self.supernode = subprocess.Popen(["sleep", "600"])
        self.settings = {"folder": str(folder), **settings}
        self.busy = folder / echoing.BUSY
        self.noted = []
        self.app = relay_app("seed: 3\n", program, echoing.echoing_app, self._note)

    def _note(self, node_config, *noted):
        assert node_config == self.settings
        self.noted.append(noted)

    @property
    def path(self):
        return socket_path(self.supernode.pid, self.settings)

    def ask(self, kind="query.hello", records=None):
        message = Message(records or RecordDict(), NODE, kind, group_id="5")
        context = Context(RUN, NODE, dict(self.settings), RecordDict(), {"verb": "run"})
        return self.app(message, context)

    def told(self):
        return dict(self.ask().content["told"])

    def worker(self):
        return psutil.Process(self.told()["process"])


@pytest.fixture
def home(tmp_path, monkeypatch):
    made = []

    def build(*arguments, **settings):
        made.append(Home(tmp_path, *arguments, **settings))
        monkeypatch.setenv(SUPERNODE, str(made[-1].supernode.pid))
        return made[-1]

    yield build
    for each in made:
        each.supernode.kill()
        each.supernode.wait()


def until(condition):
    """Wait for what takes a moment."""
    given_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < given_up
        time.sleep(0.02)


def works(process):
    """Tell whether a process, which may be a child that nobody waits for, still works."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_messages_are_answered_by_one_process_that_stays(home):
    site = home(model="m", threads=2)
    array = ArrayRecord({"a": Array("float32", (2,), "numpy.ndarray", b"12345678")})
    reply = site.ask(records=RecordDict({"adapter": array}))
    first, second = reply.content["told"], site.told()
    assert reply.content["adapter"] == array
    assert first["process"] == second["process"] != os.getpid()
    assert (first["call"], second["call"]) == (1, 2)
    assert (first["kind"], first["group"], first["node"], first["run"]) == (
        "query.hello",
        "5",
        NODE,
        RUN,
    )
    assert '"threads": 2' in first["node_config"]
    assert first["run_config"] == '{"verb": "run", "experiment": "seed: 3\\n"}'
    assert (reply.metadata.src_node_id, reply.metadata.dst_node_id) == (NODE, 1)
    # whoever speaks nonsense gets no answer, and the next one does
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(os.fspath(site.path))
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert site.told()["call"] == 3


def test_errors_travel_with_code_and_reason_and_exceptions_as_their_type(home):
    site = home(raises=True)
    refused, crashed = site.ask("query.select"), site.ask("evaluate")
    assert (refused.error.code, refused.error.reason) == (echoing.CODE, echoing.REASON)
    assert (crashed.error.code, crashed.error.reason) == (CLIENT_CRASHED, "KeyError")
    assert refused.metadata.src_node_id == crashed.metadata.src_node_id == NODE
    assert site.noted == []  # a worker keeps what it sends itself


def test_a_worker_that_dies_in_a_message_is_an_error_and_the_next_one_takes_its_place(home):
    site = home()
    before = site.worker()
    reply = site.ask("evaluate")
    assert reply.error.code == WORKER_GONE
    assert reply.error.reason == "the site's worker ended in the middle of the message"
    assert site.noted == [("evaluate", 0, 0, reply.error.reason)]  # as it could not do it itself
    before.wait(PATIENCE)  # its last thread, which may still listen
    assert site.path.is_socket()  # it had no time to clear up
    assert site.worker() != before
    assert site.told()["call"] == 2


def test_only_its_user_can_reach_it_and_only_one_serves(home):
    site = home()
    with ThreadPoolExecutor(3) as pool:
        told = list(pool.map(lambda _: site.told(), range(3)))
    assert len({each["process"] for each in told}) == 1
    assert stat.S_IMODE(site.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(site.path.parent.stat().st_mode) == 0o700
    assert site.path.stat().st_uid == site.path.parent.stat().st_uid == os.getuid()
    command = [sys.executable, "-m", echoing.PROGRAM, str(site.path), str(site.supernode.pid)]
    assert subprocess.run(command, timeout=PATIENCE, check=False).returncode == 0
    assert site.told()["process"] == told[0]["process"]


@pytest.mark.parametrize("reaped", [True, False], ids=["gone", "zombie"])
def test_it_ends_with_its_supernode_however_that_ended(home, reaped):
    site = home()
    process, path = site.worker(), site.path
    site.supernode.send_signal(signal.SIGKILL)
    if reaped:
        site.supernode.wait()
    until(lambda: not works(process))
    assert not [left for left in path.parent.iterdir() if left.name.startswith(path.name)]


def test_it_ends_with_its_supernode_while_it_is_busy(home):
    site = home()
    process, replies = site.worker(), []
    asking = threading.Thread(target=lambda: replies.append(site.ask("train")))
    asking.start()
    until(site.busy.exists)
    site.supernode.kill()
    until(lambda: not works(process))
    asking.join(PATIENCE)
    assert replies[0].error.code == WORKER_GONE


def test_a_supernode_that_ends_while_it_is_looked_at_is_gone():
    class Ending(psutil.Process):
        def status(self):
            raise psutil.NoSuchProcess(self.pid)

    assert worker._is_there(psutil.Process())
    assert not worker._is_there(Ending())


def test_a_worker_belongs_to_one_supernode_with_one_config(monkeypatch):
    own, parent = os.getpid(), os.getppid()
    settings = {"data": "d", "model": "m"}
    path = socket_path(own, settings)
    assert path == socket_path(own, dict(reversed(settings.items())))
    assert path not in {socket_path(parent, settings), socket_path(own, settings | {"model": "n"})}
    # a clock that is set moves the time at which processes began
    monkeypatch.setattr(psutil.Process, "create_time", lambda _: time.perf_counter())
    assert path == socket_path(own, settings)


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o777])
def test_a_folder_that_others_may_enter_is_not_used(runtime, mode):
    folder = runtime / f"fedhds-{os.getuid()}"
    folder.mkdir()
    folder.chmod(mode)
    assert socket_path(os.getpid(), {}) is None
    folder.chmod(0o700)
    assert socket_path(os.getpid(), {}).parent == folder


def test_another_users_folder_is_not_used(monkeypatch, runtime):
    other = os.getuid() + 1
    (runtime / f"fedhds-{other}").mkdir(mode=0o700)  # ours, where that user expects its own
    monkeypatch.setattr(os, "getuid", lambda: other)
    assert socket_path(os.getpid(), {}) is None


@pytest.mark.parametrize("kind", ["link", "file"])
def test_what_is_no_folder_is_not_used(runtime, kind):
    folder = runtime / f"fedhds-{os.getuid()}"
    (runtime / "private").mkdir(mode=0o700)
    folder.symlink_to(runtime / "private") if kind == "link" else folder.touch(mode=0o600)
    assert socket_path(os.getpid(), {}) is None


def test_a_path_that_is_too_long_for_a_socket_is_not_used(monkeypatch, tmp_path):
    long = tmp_path / (LONGEST_PATH * "n")
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    assert socket_path(os.getpid(), {}) is None


def test_another_users_process_is_not_answered(monkeypatch):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert worker._same_user(ours)
        monkeypatch.setattr(os, "getuid", lambda: os.geteuid() + 1)
        assert not worker._same_user(ours)
