"""Flower's grid of a deployment, with what ours needs of one.

Flower's own ``send_and_receive`` holds all replies until the last one is there, looks every
three seconds, and measures its time by a clock that may jump. A reply that cannot be fetched has
no sender there.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from flwr.app import Error, Message, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.run import Run

from fedhds.federation.messages import NOT_SENT

BETWEEN_LOOKS = 0.5
"""Seconds between two looks for replies."""


class PollingGrid(Grid):
    """A `Grid` over another one, that yields each reply as it arrives."""

    def __init__(self, grid: Grid) -> None:
        """Send and receive through ``grid``."""
        self._grid = grid

    def set_run(self, run: Run) -> None:
        """Set the run; Flower's interface asks for it."""
        self._grid.set_run(run)

    @property
    def run(self) -> Run:
        """Flower's description of the run."""
        return self._grid.run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """Build a message from the server to a node."""
        return self._grid.create_message(content, message_type, dst_node_id, group_id, ttl)

    def get_node_ids(self) -> Iterable[int]:
        """Return the nodes that are there now."""
        return self._grid.get_node_ids()

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Send messages, all at once."""
        return self._grid.push_messages(messages)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Fetch the replies that are there."""
        return self._grid.pull_messages(message_ids)

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterator[Message]:
        """Send messages one by one and yield replies as they come, until ``timeout`` seconds.

        A node works on a message no longer than it has time for it: it is not given out later.
        """
        awaited: dict[str, Message] = {}
        for message in messages:
            if timeout is not None:
                message.metadata.ttl = timeout
            sent = list(self._grid.push_messages([message]))
            if sent and sent[0]:
                awaited[sent[0]] = message
            else:
                yield Message(Error(NOT_SENT, "the SuperLink did not take it"), reply_to=message)
        ended = None if timeout is None else time.monotonic() + timeout
        while awaited:
            replies = list(self._grid.pull_messages(list(awaited)))
            for reply in replies:
                yield _attributed(reply, awaited.pop(reply.metadata.reply_to_message_id))
            if ended is not None and time.monotonic() >= ended:
                return
            if awaited and not replies:
                time.sleep(BETWEEN_LOOKS)


def _attributed(reply: Message, message: Message) -> Message:
    """Return a reply as its node's, which one that got lost on the way is not."""
    if reply.metadata.src_node_id == message.metadata.dst_node_id:
        return reply
    reason = reply.error.reason if reply.has_error() else "its reply came from another node"
    code = reply.error.code if reply.has_error() else NOT_SENT
    return Message(Error(code, reason), reply_to=message)
