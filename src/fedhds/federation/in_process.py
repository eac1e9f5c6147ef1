"""The in-process engine: Flower's apps in one process, no Ray, one base model in memory."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count

from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

SERVER_NODE = 1
FIRST_CLIENT_NODE = 2
RUN_ID = 1
CLIENT_CRASHED = 2
"""Flower's code for an exception that left a ClientApp."""


class InProcessGrid(Grid):
    """A `Grid` that calls the ClientApp directly, one message after the other."""

    def __init__(self, app: ClientApp, clients: int) -> None:
        """Host ``clients`` clients of ``app``, one node each."""
        self._app = app
        self._run = Run.create_empty(RUN_ID)
        self._contexts = {
            FIRST_CLIENT_NODE + number: Context(
                run_id=RUN_ID,
                node_id=FIRST_CLIENT_NODE + number,
                node_config={"partition-id": number, "num-partitions": clients},
                state=RecordDict(),
                run_config={},
            )
            for number in range(clients)
        }
        self._replies: dict[str, Message] = {}
        self._identifiers = count()

    def set_run(self, run: Run) -> None:
        """Set the run; Flower's interface asks for it."""
        self._run = run

    @property
    def run(self) -> Run:
        """Flower's description of the run."""
        return self._run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """Build a message from the server to a node."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        """Return all nodes."""
        return list(self._contexts)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Answer messages at once and keep the replies for `pull_messages`."""
        identifiers = []
        for message in messages:
            identifier = str(next(self._identifiers))
            self._replies[identifier] = self._answer(message)
            identifiers.append(identifier)
        return identifiers

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Hand out the replies to pushed messages, each once."""
        return [self._replies.pop(identifier) for identifier in message_ids]

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterator[Message]:
        """Answer the messages one by one, as if the clients worked side by side.

        So a client is late if its own work takes longer than ``timeout`` seconds, and its reply
        is dropped then.
        """
        for message in messages:
            started = time.perf_counter()
            reply = self._answer(message)
            if timeout is None or time.perf_counter() - started <= timeout:
                yield reply

    def _answer(self, message: Message) -> Message:
        return answer(self._app, message, self._contexts[message.metadata.dst_node_id])


def answer(app: ClientApp, message: Message, context: Context) -> Message:
    """Call a ClientApp; an exception that leaves it becomes an error reply."""
    try:
        return app(message, context)
    except Exception as error:
        return Message(Error(CLIENT_CRASHED, type(error).__name__), reply_to=message)


def run_in_process(server_app: ServerApp, client_app: ClientApp, clients: int) -> None:
    """Run a federation of ``clients`` clients in this process."""
    with flower_identity():
        grid = InProcessGrid(client_app, clients)
        server_app(grid, Context(RUN_ID, SERVER_NODE, {}, RecordDict(), {}))


@contextmanager
def flower_identity() -> Iterator[None]:
    """Set the identity that Flower's `Message` asks of the process, and take it back.

    A private touch: without it no message can be made outside Flower's runtimes.
    """
    before = TaskIdentity._task_id, TaskIdentity._run_id, TaskIdentity._node_id
    TaskIdentity._task_id, TaskIdentity._run_id, TaskIdentity._node_id = 1, RUN_ID, SERVER_NODE
    try:
        yield
    finally:
        TaskIdentity._task_id, TaskIdentity._run_id, TaskIdentity._node_id = before
