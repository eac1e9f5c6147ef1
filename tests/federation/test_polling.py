"""The grid of a deployment: replies as they come, a deadline that holds, each with its sender."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from flwr.app import Error, Message, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.run import Run

from fedhds.federation import polling
from fedhds.federation.in_process import SERVER_NODE, flower_identity
from fedhds.federation.messages import NOT_SENT
from fedhds.federation.polling import PollingGrid

EXPIRED = 3
"""An error code of Flower's own."""


@dataclass
class Later(Grid):
    """A grid whose nodes answer at the look that is theirs, counted from one; others never do."""

    looks: dict[int, int]
    answer: Callable[[Message], Message] = lambda message: Message(RecordDict(), reply_to=message)
    refuses: tuple[int, ...] = ()
    sent: list[Message] = field(default_factory=list)
    looked: int = 0

    run = Run.create_empty(1)

    def set_run(self, run):
        raise NotImplementedError

    def create_message(self, *arguments, **settings):
        raise NotImplementedError

    def get_node_ids(self):
        return list(self.looks)

    def push_messages(self, messages):
        identifiers = []
        for message in messages:
            node = message.metadata.dst_node_id
            message.metadata.__dict__["_message_id"] = f"message-{node}"
            self.sent.append(message)
            identifiers.append(None if node in self.refuses else f"message-{node}")
        return identifiers

    def pull_messages(self, message_ids):
        self.looked += 1
        asked = set(message_ids)
        due = [m for m in self.sent if self.looks.get(m.metadata.dst_node_id) == self.looked]
        return [self.answer(m) for m in due if m.metadata.message_id in asked]

    def send_and_receive(self, messages, *, timeout=None):
        raise NotImplementedError


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(polling, "BETWEEN_LOOKS", 0.01)
    with flower_identity():
        yield


def messages(*nodes):
    return (Message(RecordDict(), node, "train", group_id="1") for node in nodes)


def nodes_of(replies):
    return [reply.metadata.src_node_id for reply in replies]


def test_a_reply_is_handed_on_before_the_next_one_is_there():
    grid = Later({11: 3, 12: 1, 13: 2})
    replies = PollingGrid(grid).send_and_receive(messages(11, 12, 13))
    assert (next(replies).metadata.src_node_id, grid.looked) == (12, 1)
    assert (next(replies).metadata.src_node_id, grid.looked) == (13, 2)
    assert nodes_of(replies) == [11]
    assert grid.looked == 3  # no look for nothing


def test_messages_are_made_one_by_one_each_when_the_last_is_sent():
    grid, made = Later({11: 1, 12: 1}), []

    def making():
        for message in messages(11, 12):
            made.append(len(grid.sent))
            yield message

    assert nodes_of(PollingGrid(grid).send_and_receive(making())) == [11, 12]
    assert made == [0, 1]


def test_nobody_is_waited_for_after_the_deadline():
    started = time.monotonic()
    replies = PollingGrid(Later({11: 1})).send_and_receive(messages(11, 12), timeout=0.1)
    assert nodes_of(replies) == [11]
    assert 0.1 <= time.monotonic() - started < 5


@pytest.mark.parametrize("jump", [-1e6, 1e6])
def test_the_deadline_does_not_move_with_the_clock(monkeypatch, jump):
    clock, started = time.time, time.monotonic()
    replies = PollingGrid(Later({11: 1, 12: 4})).send_and_receive(messages(11, 12, 13), timeout=0.2)
    assert next(replies).metadata.src_node_id == 11
    monkeypatch.setattr(time, "time", lambda: clock() + jump)
    assert nodes_of(replies) == [12]
    assert 0.2 <= time.monotonic() - started < 5


def test_a_message_lives_as_long_as_its_deadline():
    grid = Later({11: 1})
    list(PollingGrid(grid).send_and_receive(messages(11), timeout=7.5))
    assert [message.metadata.ttl for message in grid.sent] == [7.5]


def test_without_a_deadline_a_message_lives_as_long_as_flower_lets_it():
    grid = Later({11: 1})
    (ours,) = messages(11)
    longest = ours.metadata.ttl
    list(PollingGrid(grid).send_and_receive([ours]))
    assert grid.sent[0].metadata.ttl == longest > 3600


def test_a_message_that_is_not_taken_is_its_nodes_error():
    replies = list(PollingGrid(Later({11: 1}, refuses=(12,))).send_and_receive(messages(12, 11)))
    assert nodes_of(replies) == [12, 11]
    assert replies[0].error == Error(NOT_SENT, "the SuperLink did not take it")
    assert not replies[1].has_error()


def from_server(message, content):
    """Answer as Flower does for a reply that got lost: it comes from the SuperLink itself."""
    reply = Message(content, reply_to=message)
    reply.metadata.__dict__["_src_node_id"] = SERVER_NODE
    return reply


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (Error(EXPIRED, "it expired"), Error(EXPIRED, "it expired")),
        (RecordDict(), Error(NOT_SENT, "its reply came from another node")),
    ],
)
def test_a_reply_that_got_lost_is_the_error_of_the_node_that_was_asked(content, expected):
    grid = Later({11: 1, 12: 1}, answer=lambda message: from_server(message, content))
    replies = list(PollingGrid(grid).send_and_receive(messages(11, 12)))
    assert nodes_of(replies) == [11, 12]
    assert [reply.error for reply in replies] == [expected, expected]
