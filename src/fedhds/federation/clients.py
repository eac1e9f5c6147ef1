"""The clients as the server reaches them: by number, whatever their nodes are called.

Flower's node ids are random; here a client is known by the number it says in its
handshake, and everything goes through clients in the order of their numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter

from flwr.app import Message
from flwr.serverapp import Grid

from fedhds.federation.messages import (
    ADAPTER,
    HELLO,
    KINDS,
    SELECTION,
    BadMessage,
    Content,
    pack_all,
    unpack,
)
from fedhds.federation.site_guard import REFUSED
from fedhds.types import Progress, RunFailed, Schema

DIRECTIONS = {
    ("up", SELECTION): "summaries_up",
    ("down", SELECTION): "plans_down",
    ("up", ADAPTER): "adapters_up",
    ("down", ADAPTER): "adapters_down",
}
"""What each group of arrays is called in the account of bytes."""


Answer = Content | str
"""A client's checked reply, or the reason why there is none."""


class Refusal(str):
    """The reason why a client's site refuses, whose policy does not allow what was asked."""


LONGEST_REASON = 200
"""Characters kept of the reason why a client failed."""


@dataclass
class Clients:
    """The clients of a federation.

    Attributes
    ----------
    nodes, samples, validation : dict of int to int
        By client number: its Flower node, its training and its validation samples.
    sent : Counter
        Bytes of arrays so far, by the names in `DIRECTIONS`.
    refusals : list of str
        Why sites take no part in the run, as they said when they were greeted.
    """

    grid: Grid
    progress: Progress
    nodes: dict[int, int] = field(default_factory=dict)
    samples: dict[int, int] = field(default_factory=dict)
    validation: dict[int, int] = field(default_factory=dict)
    sent: Counter[str] = field(default_factory=Counter)
    refusals: list[str] = field(default_factory=list)

    @property
    def numbers(self) -> list[int]:
        """All clients' numbers, ascending."""
        return sorted(self.nodes)

    def greet(self) -> None:
        """Ask every node who it is; those whose sites refuse the run take no part in it.

        Raises
        ------
        RunFailed
            If a node does not answer properly, two say the same number, or all refuse.
        """
        node_ids = sorted(self.grid.get_node_ids())
        for node, answer in self._exchange(HELLO, {node: Content() for node in node_ids}, {}, 0):
            if isinstance(answer, Refusal):
                self.refusals.append(answer)
                self.progress.say("warning", f"warning: a client takes no part: {answer}")
                continue
            if isinstance(answer, str):
                raise RunFailed(f"a client could not be reached: {answer}")
            number = int(answer.facts["client"])
            if number in self.nodes:
                raise RunFailed(f"two clients say that they are client {number}")
            self.nodes[number] = node
            self.samples[number] = int(answer.facts["samples"])
            self.validation[number] = int(answer.facts["validation"])
        if self.refusals and not self.nodes:
            raise RunFailed(f"every client refuses ({'; '.join(dict.fromkeys(self.refusals))})")

    def ask(
        self, kind: str, contents: Mapping[int, Content], schemas: Mapping[str, Schema], round: int
    ) -> tuple[dict[int, Content], dict[int, str]]:
        """Send each client its content and wait for the replies.

        Returns
        -------
        replies : dict of int to Content
            By client number, ascending, whatever the order of arrival.
        failures : dict of int to str
            Why a client's reply is missing.
        """
        answers = dict(sorted(self.stream(kind, contents, schemas, round), key=itemgetter(0)))
        replies = {n: answer for n, answer in answers.items() if isinstance(answer, Content)}
        failures = {n: answer for n, answer in answers.items() if isinstance(answer, str)}
        return replies, failures

    def stream(
        self, kind: str, contents: Mapping[int, Content], schemas: Mapping[str, Schema], round: int
    ) -> Iterator[tuple[int, Answer]]:
        """Send each client its content and yield each one's answer as it arrives."""
        self._count("down", contents.values())
        awaited = {self.nodes[number]: number for number in contents}
        by_node = {self.nodes[number]: content for number, content in contents.items()}
        for node, answer in self._exchange(kind, by_node, schemas, round):
            if isinstance(answer, Content):
                self._count("up", [answer])
            yield awaited.pop(node), answer
        for number in awaited.values():
            yield number, "no reply arrived"

    def _count(self, way: str, travelled: Collection[Content]) -> None:
        """Add contents to the account of bytes."""
        for (direction, group), name in DIRECTIONS.items():
            if direction == way:
                self.sent[name] += sum(content.size(group) for content in travelled)

    def _exchange(
        self, kind: str, contents: Mapping[int, Content], schemas: Mapping[str, Schema], round: int
    ) -> Iterator[tuple[int, Answer]]:
        """Yield each node's checked content, or the reason why there is none."""
        messages = (  # packed one by one: each holds an adapter
            Message(records, node, kind, group_id=str(round))
            for node, records in zip(contents, pack_all(contents.values()), strict=True)
        )
        replies = self.grid.send_and_receive(messages)
        for reply in self.progress.track(replies, f"{kind} (clients)", len(contents)):
            node = reply.metadata.src_node_id
            if reply.has_error():
                reason = _readable(reply.error.reason or f"error {reply.error.code}")
                yield node, Refusal(reason) if reply.error.code == REFUSED else reason
                continue
            try:
                yield node, unpack(reply.content, KINDS[kind].up, schemas)
            except BadMessage as error:
                yield node, _readable(f"its reply was refused: {error}")


def _readable(reason: str) -> str:
    """Cut a reason that came over the wire to a printable line."""
    return "".join(c if c.isprintable() else "?" for c in reason[:LONGEST_REASON])
