"""The clients as the server reaches them: by number, whatever their nodes are called.

Flower's node ids are random; here a client is known by the number it says in its
handshake, and everything goes through clients in the order of their numbers.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

from flwr.app import Message
from flwr.serverapp import Grid

from fedhds.federation.messages import (
    ADAPTER,
    FAILED,
    HANDSHAKE,
    HELLO,
    KINDS,
    REFUSED,
    SELECTION,
    BadMessage,
    Content,
    check_address,
    pack_all,
    unpack,
)
from fedhds.types import Arrays, Progress, RunFailed, Schema

DIRECTIONS = {
    ("up", SELECTION): "summaries_up",
    ("down", SELECTION): "plans_down",
    ("up", ADAPTER): "adapters_up",
    ("down", ADAPTER): "adapters_down",
}
"""What each group of arrays is called in the account of bytes."""


Answer = Content | str
"""A client's checked reply, or the reason why there is none."""

BETWEEN_LOOKS = 1.0
"""Seconds between two looks at which sites are there."""


class Refusal(str):
    """The reason why a client's site refuses, whose policy does not allow what was asked."""


class Absence(str):
    """The reason why there is no answer that says nothing of the client: it may answer later."""


LONGEST_REASON = 200
"""Characters kept of the reason why a client failed."""

log = logging.getLogger(__name__)


@dataclass
class Clients:
    """The clients of a federation.

    Attributes
    ----------
    run : int
        The run's number, which every message and every reply says.
    deadline : float or None
        Seconds that clients have for a message; without one they are waited for.
    nodes, samples, validation : dict of int to int
        By client number: its Flower node, its training and its validation samples.
    sent : Counter
        Bytes of arrays so far, by the names in `DIRECTIONS`.
    handshake : mapping of str to ndarray or None
        Digests of what clients must have alike, sent where they may not (a deployment).
    refusals : dict of int to str
        By node, why sites take no part in the run, as they said when they were greeted.
    """

    grid: Grid
    progress: Progress
    run: int = 0
    deadline: float | None = None
    nodes: dict[int, int] = field(default_factory=dict)
    samples: dict[int, int] = field(default_factory=dict)
    validation: dict[int, int] = field(default_factory=dict)
    sent: Counter[str] = field(default_factory=Counter)
    handshake: Arrays | None = None
    _greeted: set[int] = field(default_factory=set)
    refusals: dict[int, str] = field(default_factory=dict)

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
        for _, reason in self._greet_new(None):  # where it loads its model first, that takes long
            raise RunFailed(f"a client could not be reached: {reason}")
        self._check_any()

    def gather(self, sites: Sequence[str], seconds: float) -> None:
        """Wait until all sites of a deployment are there, or refuse to take part.

        Parameters
        ----------
        sites : sequence of str
            Their names, by client number.
        seconds : float
            How long to wait.

        Raises
        ------
        RunFailed
            If one does not fit, some are missing when the time is over, or all refuse.
        """
        given_up = time.monotonic() + seconds
        while len(self.nodes) + len(set(self.refusals.values())) < len(sites):
            left = max(0.0, given_up - time.monotonic())
            for node, reason in self._greet_new(min(left, self.deadline or left)):
                if not isinstance(reason, Absence):
                    raise RunFailed(f"a site does not fit: {reason} (one of {self._absent(sites)})")
                self._greeted.discard(node)  # it is asked again
            if time.monotonic() > given_up:
                why = "".join(f" ({each})" for each in dict.fromkeys(self.refusals.values()))
                raise RunFailed(f"not all sites are there: {self._absent(sites)} missing{why}")
            time.sleep(BETWEEN_LOOKS)
        self._check_any()

    def _absent(self, sites: Sequence[str]) -> str:
        """Name the sites that have not said who they are, or refuse."""
        return ", ".join(name for n, name in enumerate(sites) if n not in self.nodes)

    def refresh(self) -> None:
        """Greet whoever is new: a site that returned as another node is found there from now on."""
        for _, reason in self._greet_new(self.deadline):
            self.progress.say("warning", f"warning: a client that is new does not fit: {reason}")

    def _check_any(self) -> None:
        if self.refusals and not self.nodes:
            reasons = dict.fromkeys(self.refusals.values())
            raise RunFailed(f"every client refuses ({'; '.join(reasons)})")

    def _greet_new(self, timeout: float | None) -> Iterator[tuple[int, str]]:
        """Ask nodes that were never asked who they are; yield those that do not fit, and why."""
        there = sorted(self.grid.get_node_ids())
        self.refusals = {node: why for node, why in self.refusals.items() if node in there}
        digests = {} if self.handshake is None else {HANDSHAKE: self.handshake}
        content = Content({"run": self.run}, digests)
        new = {node: content for node in there if node not in self._greeted}
        self._greeted.update(new)
        unanswered = set(new)
        for node, answer in self._exchange(HELLO, new, {}, 0, timeout, {}):
            unanswered.discard(node)
            if isinstance(answer, Refusal):
                self.refusals[node] = answer
                self.progress.say("warning", f"warning: a client takes no part: {answer}")
            elif isinstance(answer, str):
                yield node, answer
            elif self.nodes.get(number := int(answer.facts["client"])) in there:
                self._greeted.discard(node)  # a client that was killed is listed for a while
                yield node, f"two clients say that they are client {number}"
            else:
                self.nodes[number] = node
                self.samples[number] = int(answer.facts["samples"])
                self.validation[number] = int(answer.facts["validation"])
        for node in sorted(unanswered):
            yield node, Absence("it does not answer")

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
        """Send each client its content and yield each one's answer as it arrives.

        The run and the round are added to the facts.
        """
        self._count("down", contents.values())
        awaited = {self.nodes[number]: number for number in contents}
        about = {"run": self.run, "round": round}
        by_node = {
            self.nodes[number]: Content({**content.facts, **about}, content.arrays)
            for number, content in contents.items()
        }
        held = {self.nodes[number]: self.samples[number] for number in contents}
        for node, answer in self._exchange(kind, by_node, schemas, round, self.deadline, held):
            if isinstance(answer, Content):
                self._count("up", [answer])
            yield awaited.pop(node), answer
        within = "" if self.deadline is None else f" within {self.deadline:g} s"
        for number in awaited.values():
            yield number, f"no reply arrived{within}"

    def _count(self, way: str, travelled: Collection[Content]) -> None:
        """Add contents to the account of bytes."""
        for (direction, group), name in DIRECTIONS.items():
            if direction == way:
                self.sent[name] += sum(content.size(group) for content in travelled)

    def _exchange(
        self,
        kind: str,
        contents: Mapping[int, Content],
        schemas: Mapping[str, Schema],
        round: int,
        timeout: float | None,
        held: Mapping[int, int],
    ) -> Iterator[tuple[int, Answer]]:
        """Yield each node's checked content, or why there is none; of several the first."""
        awaited = set(contents)
        messages = (  # packed one by one: each holds an adapter
            Message(records, node, kind, group_id=str(round))
            for node, records in zip(contents, pack_all(contents.values()), strict=True)
        )
        replies = self.grid.send_and_receive(messages, timeout=timeout)
        for reply in self.progress.track(replies, f"{kind} (clients)", len(contents)):
            node = reply.metadata.src_node_id
            if node not in awaited:
                log.warning("node %d answers %s of round %d again, or unasked", node, kind, round)
                continue
            awaited.remove(node)
            if reply.has_error():
                reason = _readable(reply.error.reason or f"error {reply.error.code}")
                kinds: dict[int, type[str]] = {REFUSED: Refusal, FAILED: str}
                yield node, kinds.get(reply.error.code, Absence)(reason)
                continue
            try:
                content = unpack(reply.content, KINDS[kind].up, schemas, held.get(node))
                check_address(content, contents[node])
                yield node, content
            except BadMessage as error:
                yield node, _readable(f"its reply was refused: {error}")


def _readable(reason: str) -> str:
    """Cut a reason that came over the wire to a printable line."""
    return "".join(c if c.isprintable() else "?" for c in reason[:LONGEST_REASON])
