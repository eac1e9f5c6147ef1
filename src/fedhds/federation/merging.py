"""Tuning on the clients, and merging what they trained as it arrives.

The server holds as many adapters as its aggregation asks for, and takes them in the order of
the clients' numbers whatever the order of arrival: one that comes before its turn waits on
disk. So neither memory nor the result depends on who is fast.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from fedhds.federation.clients import Answer, Clients
from fedhds.federation.messages import ADAPTER, TRAIN, Content
from fedhds.federation.updates import decode_update
from fedhds.files import read_arrays, scratch_folder, to_bytes, write_quickly
from fedhds.types import Aggregation, Array, Arrays, Codec

Ordered = Iterator[tuple[int, Answer]]


@dataclass
class Merged:
    """What became of a round's tuning.

    Attributes
    ----------
    facts : dict of int to mapping
        What each client that got through it says of its tuning, by client ascending.
    failed : dict of int to str
        Why the others did not.
    samples : dict of int to int
        The samples that each merged adapter was trained on.
    adapter : dict of str to ndarray or None
        The merged adapter; None if nobody trained.
    seconds : float
        Spent on merging, which waiting for the clients is not.
    """

    facts: dict[int, Mapping[str, float]] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    samples: dict[int, int] = field(default_factory=dict)
    adapter: dict[str, Array] | None = None
    seconds: float = 0.0


def tune_and_merge(
    clients: Clients,
    contents: Mapping[int, Content],
    adapter: Arrays,
    aggregation: Aggregation,
    codec: Codec,
    folder: Path | None,
    round: int,
) -> Merged:
    """Let clients tune and merge their adapters.

    Parameters
    ----------
    contents : mapping of int to Content
        What each client is sent.
    adapter : mapping of str to ndarray
        The adapter they start from.
    folder : Path or None
        Where adapters wait for their turn; the system's temporary folder if None.
    """
    merged = Merged()
    schemas = {ADAPTER: codec.schema(adapter)}
    arriving = _Timed(clients.stream(TRAIN, contents, schemas, round))
    started = time.perf_counter()
    with scratch_folder(folder) as shelf:
        encoded = _trained(in_order(arriving, contents, shelf), clients, contents, merged)
        trained = ((decode_update(codec, arrays, adapter), count) for arrays, count in encoded)
        first = next(trained, None)
        if first is not None:
            merged.adapter = aggregation.aggregate(chain([first], trained))
            deque(trained, maxlen=0)  # a method may stop reading, but every client counts
    merged.seconds = time.perf_counter() - started - arriving.seconds
    return merged


def in_order(arriving: Ordered, numbers: Iterable[int], shelf: Path) -> Ordered:
    """Yield each client's answer once those of all before it were yielded.

    Parameters
    ----------
    arriving : iterator of (int, Content or str)
        One answer for each of ``numbers``, in any order.
    shelf : Path
        A folder for the adapters that came early; their facts wait in memory.
    """
    awaited, early = deque(sorted(numbers)), dict[int, Answer]()
    for client, answer in arriving:
        if client != awaited[0]:
            early[client] = _put_by(shelf / str(client), answer)
            continue
        yield awaited.popleft(), answer
        while awaited and awaited[0] in early:
            client = awaited.popleft()
            yield client, _take_back(shelf / str(client), early.pop(client))


def _put_by(path: Path, answer: Answer) -> Answer:
    """Write an answer's adapter to disk, if it has one, and return the rest."""
    if isinstance(answer, str) or ADAPTER not in answer.arrays:
        return answer
    write_quickly(path, to_bytes(answer.arrays[ADAPTER]))
    return Content(answer.facts)


def _take_back(path: Path, answer: Answer) -> Answer:
    """Return an answer with the adapter that waited on disk, and clear it away."""
    if isinstance(answer, str) or not path.exists():
        return answer
    adapter = read_arrays(path)
    path.unlink()
    return Content(answer.facts, {ADAPTER: adapter})


def _trained(
    answers: Ordered, clients: Clients, contents: Mapping[int, Content], merged: Merged
) -> Iterator[tuple[Arrays, int]]:
    """Take the facts out of answers and yield what was trained, with the samples behind it."""
    for client, answer in answers:
        if isinstance(answer, str):
            merged.failed[client] = answer
        elif _contradicts(answer, contents[client], clients.samples[client]):
            reason = "its reply was refused: its counts and its adapter contradict each other"
            merged.failed[client] = reason
        else:
            merged.facts[client] = answer.facts
            if ADAPTER in answer.arrays:
                merged.samples[client] = int(answer.facts["samples"])
                yield answer.arrays[ADAPTER], merged.samples[client]


def _contradicts(reply: Content, asked: Content, size: int) -> bool:
    """Tell whether a reply claims more samples than its client has, or lacks its adapter."""
    samples = reply.facts["samples"]
    trains = bool(asked.facts["tune"]) and samples > 0
    possible = samples <= reply.facts["distinct"] <= size
    return not possible or (ADAPTER in reply.arrays) != trains


class _Timed:
    """An iterator that knows how long it was waited for."""

    def __init__(self, items: Ordered) -> None:
        self._items = items
        self.seconds = 0.0

    def __iter__(self) -> Ordered:
        return self

    def __next__(self) -> tuple[int, Answer]:
        started = time.perf_counter()
        try:
            return next(self._items)
        finally:
            self.seconds += time.perf_counter() - started
