"""A thousand clients a round with Flower's encoding, and forged replies at full rate.

    python benchmarks/load.py --write

**Round.** 1,000 clients of four short samples each, all of them in every round, `fedhds`, the
embedded model. Every message and every reply is written as the bytes that Flower sends (its
content-addressed objects, and the metadata as protobuf) and read back, as between machines;
nothing is cached over the messages of a round that Flower would not send once.

**Forged.** A share of 1,000 clients answers with forged summaries or adapters. Counted is
the server's time for reading the bytes, checking, and (of what passes) choosing or merging.
A forged reply costs its share if it takes the server no longer than an honest one: (time with
a share of forgers - time without x the honest share) / forged replies / time of an honest one.
Of each setting the median over five is kept. Replies that are larger than honest ones cost
Flower more for their bytes, before they are ours to refuse; so that is told apart.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil
from flwr.app import Array as FlowerArray
from flwr.app import ArrayRecord, Error, Message, MetricRecord, RecordDict
from flwr.app.message.message import remove_content_from_message
from flwr.clientapp import ClientApp
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.proto.message_pb2 import Message as Proto
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    no_object_id_recompute,
)
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents
from shared import Clock, machine

import fedhds
from fedhds.aggregation.fedavg import FedAvg
from fedhds.codecs.float32 import Float32
from fedhds.federation import checkpoint, clients, in_process, merging, messages
from fedhds.federation.clients import Clients
from fedhds.federation.in_process import FIRST_CLIENT_NODE, InProcessGrid, flower_identity
from fedhds.federation.merging import tune_and_merge
from fedhds.federation.messages import ADAPTER, FACTS, KINDS, SELECT, SELECTION, TRAIN, Content
from fedhds.files import write_text
from fedhds.rng import generator
from fedhds.selection.fedhds import FedHDS
from fedhds.selection.fedhds_aligned import FedHDSAligned
from fedhds.types import Arrays, Silent

CLIENTS, SAMPLES, ROUNDS, WARM_UP = 1000, 4, 6, 1
PARAMETERS, GROUPS, HELD = 250_000, 32, 500
"""Of the forged part: an adapter of a megabyte, and groups of a client of 500 samples."""
REPEATS, SHARES = 5, (0.1, 0.5)
MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # glibc's names for mallopt's settings
RESULT = Path(__file__).parent / "results" / "load.md"


Wire = dict[str, bytes]


def to_wire(message: Message) -> tuple[bytes, str, Wire]:
    """Write a message as Flower sends it: its metadata, and its content as objects."""
    with no_object_id_recompute():
        head = message_to_proto(remove_content_from_message(message)).SerializeToString()
        if message.has_error():
            return head, "", {}
        objects = get_all_nested_objects(message.content)
        return head, message.content.object_id, {k: o.deflate() for k, o in objects.items()}


def from_wire(head: bytes, key: str, objects: Wire) -> Message:
    """Read a message as Flower does, without a cache."""
    message = message_from_proto(Proto.FromString(head))
    if key:
        content = inflate_object_from_contents(key, dict(objects))
        message.__dict__["_content"] = content
    return message


class WireGrid(InProcessGrid):
    """The in-process engine whose messages all go through Flower's bytes."""

    sent, clock = 0, Clock()

    def _answer(self, message: Message) -> Message:
        arrived = self._carry(message)
        with self.clock.timing("clients' work"):
            reply = super()._answer(arrived)
        return self._carry(reply)

    def _carry(self, message: Message) -> Message:
        with self.clock.timing("writing Flower's bytes"):
            wire = to_wire(message)
        WireGrid.sent += len(wire[0]) + sum(map(len, wire[2].values()))
        with self.clock.timing("reading Flower's bytes"):
            return from_wire(*wire)


class Rounds(Silent):
    """Takes down each round's seconds by part, its bytes and the memory after it."""

    def __init__(self, clock: Clock) -> None:
        self.rounds: list[dict[str, float]] = []
        self._clock, self._since = clock, time.perf_counter()

    def say(self, event: str, text: str, **facts: Any) -> None:
        """Close a round's account."""
        if event != "round":
            return
        whole, parts = time.perf_counter() - self._since, self._clock.take()
        parts |= {"whole": whole, "bytes": WireGrid.sent}
        parts["rss"] = psutil.Process().memory_info().rss
        self.rounds.append({"whole": whole, "other": whole - sum_of_parts(parts), **parts})
        WireGrid.sent, self._since = 0, time.perf_counter()


NO_PART = ("whole", "bytes", "rss", "other")
PARTS = (
    (clients, "unpack", "checking replies"),
    (clients, "check_address", "checking replies"),
    (messages, "to_record", "packing messages"),
    (merging, "decode_update", "merging"),
    (FedAvg, "aggregate", "merging"),
    (FedHDSAligned, "agree", "choosing"),
    (FedHDSAligned, "choose", "choosing"),
    (checkpoint, "save", "checkpoint"),
)
"""What is timed of the server: an owner's function, and the part of a round it counts as."""


def sum_of_parts(parts: dict[str, float]) -> float:
    """Add the seconds of all parts."""
    return sum(seconds for name, seconds in parts.items() if name not in NO_PART)


def play_rounds(count: int, rounds: int) -> list[dict[str, float]]:
    """Run ``rounds`` rounds of ``count`` clients and return what each took."""
    clock = WireGrid.clock
    for owner, name, label in PARTS:
        clock.watch(owner, name, label)
    in_process.InProcessGrid = WireGrid  # type: ignore[misc]
    told = Rounds(clock)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.jsonl"
        rows = [
            {"instruction": f"Add {n} and {client}.", "output": str(n), "client": f"c{client:05d}"}
            for client in range(count)
            for n in range(SAMPLES)
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        config = {
            "model": {"threads": 1},
            "data": {"train": str(path)},
            "partition": {"kind": "column", "by": "client"},
            "selection": {"method": "fedhds-aligned", "samples": count},
            "federation": {"rounds": rounds, "fraction": 1.0},
            "evaluation": {"validation": 0.0, "per_task": 1, "max_new_tokens": 1},
        }
        fedhds.run(config, Path(folder) / "run", progress=told)
    return told.rounds[WARM_UP:]


class CannedGrid(InProcessGrid):
    """Answers for each client with content that was written to bytes before."""

    def __init__(self, canned: Sequence[tuple[str, Wire] | Error]) -> None:
        super().__init__(ClientApp(), len(canned))
        self._canned, self.flower = canned, 0.0

    def _answer(self, message: Message) -> Message:
        canned = self._canned[message.metadata.dst_node_id - FIRST_CLIENT_NODE]
        if isinstance(canned, Error):
            return Message(canned, reply_to=message)
        started = time.process_time()
        content = inflate_object_from_contents(canned[0], dict(canned[1]))
        self.flower += time.process_time() - started
        return Message(content, reply_to=message)  # type: ignore[arg-type]


def canned(records: RecordDict) -> tuple[str, Wire]:
    """Write a content to bytes."""
    with no_object_id_recompute():
        objects = get_all_nested_objects(records)
        return records.object_id, {key: each.deflate() for key, each in objects.items()}


def honest_adapter() -> RecordDict:
    facts = dict.fromkeys(KINDS[TRAIN].up.facts, 0) | {"round": 1, "samples": 9, "distinct": 9}
    adapter = generator(0, "load").standard_normal(PARAMETERS, np.float32)
    return messages.pack(Content(facts, {ADAPTER: {"w": adapter}}))


def honest_summary() -> RecordDict:
    facts = dict.fromkeys(KINDS[SELECT].up.facts, 0) | {"round": 1}
    centroids = generator(0, "load").standard_normal((GROUPS, 2), np.float32)
    numbers = {"samples": np.array([HELD]), "ungrouped": np.array([0])}
    return messages.pack(Content(facts, {SELECTION: {"centroids": centroids, **numbers}}))


Forge = Callable[[RecordDict], RecordDict | Error]


def arrays(group: str, change: Callable[[Arrays], dict[str, Any]]) -> Forge:
    """Forge a group's arrays; the others stay."""

    def forge(records: RecordDict) -> RecordDict:
        honest = {name: array.numpy() for name, array in records[group].items()}
        forged = change(honest)
        records[group] = ArrayRecord(
            {n: a if isinstance(a, FlowerArray) else FlowerArray(a) for n, a in forged.items()}
        )
        return records

    return forge


def largest(change: Callable[[Any], Any]) -> Callable[[Arrays], dict[str, Any]]:
    """Change the largest array."""

    def changed(honest: Arrays) -> dict[str, Any]:
        name = max(honest, key=lambda each: honest[each].size)
        return {**honest, name: change(np.array(honest[name]))}

    return changed


def last_is(value: float) -> Callable[[Any], Any]:
    def change(array: Any) -> Any:
        array.flat[-1] = value
        return array

    return change


def claiming(array: Any) -> FlowerArray:
    """Claim far more than there is."""
    packed = FlowerArray(array[:1])
    return FlowerArray("float32", (2**40, *array.shape[1:]), packed.stype, packed.data)


def of_round(records: RecordDict) -> RecordDict:
    records[FACTS] = MetricRecord({**records[FACTS], "round": 2})
    return records


def forgeries(group: str) -> dict[str, Forge]:
    """Name the ways in which an adapter or a summary is forged."""
    many = {f"{n}": np.zeros(1, np.float32) for n in range(1000)}
    return {
        "not a number at the end": arrays(group, largest(last_is(np.nan))),
        "infinite at the end": arrays(group, largest(last_is(np.inf))),
        "float64": arrays(group, largest(np.float64)),
        "claims 2^40 rows": arrays(group, largest(claiming)),
        "another round": of_round,
        "a reason of 1 MB": lambda _: Error(100, "x" * 10**6),
        "1,000 arrays": arrays(group, lambda honest: honest | many),
    }


def longer(group: str, times: int) -> Forge:
    return arrays(group, largest(lambda a: np.repeat(a, times, axis=0)))


def reached(grid: InProcessGrid, count: int) -> Clients:
    numbers = range(count)
    known = Clients(grid, Silent())
    known.nodes = {number: FIRST_CLIENT_NODE + number for number in numbers}
    known.samples = dict.fromkeys(numbers, HELD)
    return known


def serve_adapters(grid: InProcessGrid, count: int) -> None:
    untouched = {"w": np.zeros(PARAMETERS, np.float32)}
    asked = Content({"choose": 1, "tune": 1}, {ADAPTER: untouched})
    contents = dict.fromkeys(range(count), asked)
    tune_and_merge(reached(grid, count), contents, untouched, FedAvg(), Float32(), None, 1)


def serve_summaries(grid: InProcessGrid, count: int) -> None:
    method = FedHDS()
    (exchange,) = method.steps
    contents = dict.fromkeys(range(count), Content({"step": 0}))
    replies, _ = reached(grid, count).ask(SELECT, contents, {SELECTION: exchange.summary}, 1)
    summaries = {client: reply.arrays[SELECTION] for client, reply in replies.items()}
    exchange.server({}, summaries, None, generator(0, "load"))


Serve = Callable[[InProcessGrid, int], None]


def timed(serve: Serve, replies: Sequence[tuple[str, Wire] | Error]) -> tuple[float, float]:
    """Return the server's seconds for these replies: all of them, and without Flower's reading.

    Of the processor, as other processes run beside this one.
    """
    grid = CannedGrid(replies)
    started = time.process_time()
    serve(grid, len(replies))
    seconds = time.process_time() - started
    return seconds, seconds - grid.flower


def measure_forged(
    serve: Serve, honest: Callable[[], RecordDict], forged: dict[str, Forge], count: int
) -> Iterator[dict[str, Any]]:
    """Yield what each forgery costs, relative to an honest reply."""
    good = canned(honest())
    timed(serve, [good] * count)
    for name, forge in forged.items():
        records = forge(honest())
        bad = records if isinstance(records, Error) else canned(records)
        row: dict[str, Any] = {"forgery": name}
        for share in SHARES:
            bads = round(share * count)
            mixed = [bad, *[good] * round(1 / share - 1)] * bads
            ratios: list[tuple[float, float]] = []
            for _ in range(REPEATS):  # by turns, as other processes come and go
                without, having = timed(serve, [good] * count), timed(serve, mixed)
                ratios.append(
                    tuple(  # type: ignore[arg-type]
                        (w - (1 - share) * h) / share / h
                        for h, w in zip(without, having, strict=True)
                    )
                )
            row[f"{share:.0%}"] = [sorted(ratio[place] for ratio in ratios) for place in (0, 1)]
        yield row


def figures(values: Sequence[float], digits: int = 2) -> str:
    """Write a median and the range."""
    low, high = (f"{value:,.{digits}f}" for value in (min(values), max(values)))
    return f"{median(values):,.{digits}f} ({low} to {high})"


def round_table(rounds: Sequence[dict[str, float]], count: int) -> list[str]:
    """Write what a round takes."""
    names = [name for name in rounds[0] if name not in ("whole", "bytes", "rss")]
    names.sort(key=lambda name: -median(each[name] for each in rounds))
    server = [each["whole"] - each["clients' work"] for each in rounds]
    lines = [
        f"## {count:,} clients a round",
        "",
        f"`fedhds-aligned` (three messages a client), {SAMPLES} samples a client, the embedded "
        f"model, {len(rounds)} rounds after {WARM_UP} that warms up: medians (smallest to "
        "largest).",
        "",
        "| | seconds a round |",
        "|---|---:|",
        f"| **all but the clients' work** | {figures(server)} |",
    ]
    for name in names:
        beside = "beside it" if name == "clients' work" else "of it"
        lines.append(f"| {beside} {name} | {figures([each[name] for each in rounds])} |")
    milliseconds = [1000 * seconds / count for seconds in server]
    rss = [each["rss"] / 1e6 for each in rounds]
    return [
        *lines,
        f"| a client, milliseconds | {figures(milliseconds)} |",
        "",
        f"On the wire: {figures([each['bytes'] / 1e6 for each in rounds], 1)} MB a round. "
        f"Resident memory: {rss[0]:,.1f} MB after the first of these rounds, {rss[-1]:,.1f} MB "
        "after the last.",
    ]


def forged_table(title: str, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Write what forged replies cost."""
    shares = [f"{share:.0%}" for share in SHARES]
    names = [f"{share} forged, {of}" for share in shares for of in ("all", "without reading bytes")]
    lines = [
        f"## {title}",
        "",
        f"| forgery | {' | '.join(names)} |",
        "|---|" + "---:|" * len(names),
    ]
    for row in rows:
        cells = [figures(values) for share in shares for values in row[share]]
        lines.append(f"| {row['forgery']} | {' | '.join(cells)} |")
    return [*lines, ""]


def keep_freed_memory() -> None:
    """Let glibc keep what is freed.

    Giving large blocks back and getting them again takes longer than checking them, and
    whether it does so hangs on what was freed before.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        for setting in (MMAP_THRESHOLD, TRIM_THRESHOLD):
            libc.mallopt(setting, 2**30)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="at least 2")
    parser.add_argument("--write", action="store_true", help=f"keep {RESULT.name}")
    options = parser.parse_args(arguments)
    keep_freed_memory()
    with flower_identity():
        few = options.clients // 5
        forged = forgeries(ADAPTER) | {
            "half as long": arrays(ADAPTER, largest(lambda a: a[: len(a) // 2])),
            "ten times as long": longer(ADAPTER, 10),
        }
        adapters = list(measure_forged(serve_adapters, honest_adapter, forged, few))
        forged = forgeries(SELECTION) | {
            "320 groups, which are possible": longer(SELECTION, 10),
            "a million groups, which are not": longer(SELECTION, 10**6 // GROUPS),
        }
        summaries = list(measure_forged(serve_summaries, honest_summary, forged, options.clients))
    rounds = play_rounds(options.clients, options.rounds)
    explained = (
        "What a forged reply costs the server, an honest one being 1: medians of "
        f"{REPEATS} (smallest to largest). 'All' holds Flower's reading of the bytes, which comes "
        "before anything of ours; whoever sends more than an honest client costs more there."
    )
    lines = [
        "# Load: many clients a round, and forged replies",
        "",
        f"Machine: {machine(1)}, shared with other processes.",
        "Command: `python benchmarks/load.py --write`, which says how it is measured.",
        "",
        *round_table(rounds, options.clients),
        "",
        explained,
        "",
        *forged_table(f"Forged adapters: {few:,} clients, {PARAMETERS:,} parameters", adapters),
        *forged_table(f"Forged summaries: {options.clients:,} clients, {GROUPS} groups", summaries),
    ]
    text = "\n".join(lines)
    if options.write:
        write_text(RESULT, text)
    print(text)


if __name__ == "__main__":
    main()
