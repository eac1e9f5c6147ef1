"""Everything that may travel between server and clients, and nothing else.

Four kinds of message. A message holds *facts* (single numbers) and named groups of
arrays: ``adapter`` (the trainable parameters, or how tuning changed them, as the codec of the
run writes them, end to end in one vector of each type), ``selection`` (a method's summaries
and replies), and ``handshake`` (digests, see `fedhds.federation.handshake`). The codec and the
method declare their schemas. There is no place for text, token ids or arrays along the samples,
and both sides refuse what the table below does not allow. Only an error reply holds words: of
ours about the server's message, a refusal of the site's policy, or the type of the exception. A
sum or mean over one sample is that sample's own value: a client that holds little tells more.

Every message says its run and, but for the greeting, its round; so does every reply, and one
that says another is refused: a client that was away may answer what nobody asks any more.

=================  ==============================  ==========================================
kind               to the client                   back to the server
=================  ==============================  ==========================================
``query.hello``    its run; in a deployment        the client's number and how much data it has
                   digests of what both must
                   have alike
``query.select``   one exchange of the selection:  the client's summary, seconds spent
                   the server's last reply; with
                   the first the adapter, and the
                   round's stage if it has one
``train``          the choice: the last reply or   the trained adapter or its change, counts,
                   a quota; whether to tune        mean loss, seconds spent
``evaluate``       the adapter                     sums of scores over its validation samples
=================  ==============================  ==========================================
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from flwr.app import Array as FlowerArray
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from fedhds.federation.records import join, layouts, read, to_record
from fedhds.types import Array, Arrays, ArraySpec, Schema

HELLO, SELECT, TRAIN, EVALUATE = "query.hello", "query.select", "train", "evaluate"

FACTS, ADAPTER, SELECTION, HANDSHAKE = "facts", "adapter", "selection", "handshake"
"""The names of a message's records."""

FAILED, REFUSED, WORKER_GONE, NOT_SENT = 100, 101, 103, 104
"""Our codes of error replies; Flower's own are below. The client failed, or the message was wrong;
the site's policy does not allow it; the site's worker ended in the middle; it was never sent."""

NOT_KEPT = "the site cannot write down what leaves it, so nothing does"
"""What a site says where its ledger cannot be written."""

COUNT_LIMIT = 2**31
"""No fact is as large as this; products of two counts stay within 64 bits."""


class BadMessage(ValueError):
    """A message that the table does not allow; one sentence that says what is wrong."""


COUNTED_AXES = ("groups", "samples")
"""Axes of a summary that no client has more of than samples: a million groups of a client of
ten would keep the server busy for all others."""


@dataclass(frozen=True)
class Fact:
    """A number: whole or not, at least ``low`` and below ``high``."""

    whole: bool = True
    low: float = 0.0
    high: float = COUNT_LIMIT


@dataclass(frozen=True)
class Part:
    """One direction of a kind: its facts and the array groups it must or may hold."""

    facts: Mapping[str, Fact] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kind:
    """A kind of message: what goes down to a client and what comes up."""

    down: Part
    up: Part


SECONDS = Fact(whole=False)

HELLO_ADDRESS = {"run": Fact()}
ADDRESS = {"run": Fact(), "round": Fact(high=10**6)}
SELECT_ADDRESS = ADDRESS | {"step": Fact(high=10**3)}
"""What a message is about: it goes down, and comes up again as it went down."""

KINDS: Mapping[str, Kind] = {
    HELLO: Kind(
        down=Part(HELLO_ADDRESS, optional=(HANDSHAKE,)),
        up=Part(HELLO_ADDRESS | {"client": Fact(), "samples": Fact(), "validation": Fact()}),
    ),
    SELECT: Kind(
        down=Part(SELECT_ADDRESS, optional=(ADAPTER, SELECTION)),
        up=Part(
            SELECT_ADDRESS | {"seconds_signals": SECONDS, "seconds_selection": SECONDS},
            required=(SELECTION,),
        ),
    ),
    TRAIN: Kind(
        down=Part(ADDRESS | {"choose": Fact(), "tune": Fact()}, optional=(ADAPTER, SELECTION)),
        up=Part(
            ADDRESS
            | {
                "samples": Fact(),
                "distinct": Fact(),
                "passes": Fact(),
                "steps": Fact(),
                "skipped_steps": Fact(),
                "loss": Fact(whole=False),
                "seconds_signals": SECONDS,
                "seconds_selection": SECONDS,
                "seconds_tuning": SECONDS,
            },
            optional=(ADAPTER,),
        ),
    ),
    EVALUATE: Kind(
        down=Part(ADDRESS, required=(ADAPTER,)),
        up=Part(
            ADDRESS
            | {
                "samples": Fact(),
                "tokens": Fact(),
                "rouge_l_sum": Fact(whole=False),
                "loss_sum": Fact(whole=False),
                "seconds": SECONDS,
            }
        ),
    ),
}


@dataclass(frozen=True)
class Content:
    """What one message says: numbers by name, and arrays by group and name."""

    facts: Mapping[str, float] = field(default_factory=dict)
    arrays: Mapping[str, Arrays] = field(default_factory=dict)

    def size(self, group: str) -> int:
        """Return the bytes of a group's arrays; 0 if the message has no such group."""
        return sum(array.nbytes for array in self.arrays.get(group, {}).values())


def address(content: Content) -> dict[str, float]:
    """Return what a message is about, of its facts."""
    return {name: content.facts[name] for name in SELECT_ADDRESS if name in content.facts}


def check_address(reply: Content, asked: Content) -> None:
    """Refuse a reply to anything else than what was asked.

    Raises
    ------
    BadMessage
        Saying what it answers.
    """
    for name, value in address(asked).items():
        if reply.facts[name] != value:
            raise BadMessage(f"it answers {name} {reply.facts[name]:.0f}, not {name} {value:.0f}")


def pack(content: Content) -> RecordDict:
    """Put a content into Flower's records."""
    return next(pack_all([content]))


def pack_all(contents: Iterable[Content]) -> Iterator[RecordDict]:
    """Put contents into Flower's records, one by one; what they share is packed once."""
    arrays: Arrays | None = None
    for content in contents:
        records = RecordDict({FACTS: MetricRecord(dict(content.facts))})
        for group, given in content.arrays.items():
            if group != ADAPTER:
                records[group] = to_record(given)
                continue
            if given is not arrays:
                arrays, adapter = given, to_record(join(given))
            records[group] = adapter
        yield records


def unpack(
    records: RecordDict, part: Part, schemas: Mapping[str, Schema], held: int | None = None
) -> Content:
    """Take a content out of Flower's records, refusing whatever is not allowed.

    Parameters
    ----------
    records : RecordDict
        As it arrived.
    part : Part
        What this direction of this kind of message may hold.
    schemas : mapping of str to Schema
        The arrays allowed in each group.
    held : int or None
        How many samples the sender has, which bounds `COUNTED_AXES`.

    Raises
    ------
    BadMessage
        For an unknown record or fact, a missing one, or an array outside its schema.
    """
    groups: dict[str, ArrayRecord] = {}
    for name, record in records.items():
        if name in (*part.required, *part.optional) and isinstance(record, ArrayRecord):
            groups[name] = record
        elif name != FACTS:
            raise BadMessage(f"it holds the record '{name}', which does not belong there")
    for name in part.required:
        if name not in groups:
            raise BadMessage(f"the record '{name}' is missing")
    facts = read_facts(records, part)
    return Content(
        facts,
        {
            name: _adapter(group, schemas[name])
            if name == ADAPTER
            else _arrays(group, schemas[name], held)
            for name, group in groups.items()
        },
    )


QUOTA: Schema = {"quota": ArraySpec("int64", (1,), low=0)}
"""What a purely local method receives: its client's share of the budget."""

STAGE: Schema = {"stage": ArraySpec("int64", (2,), low=1, high=COUNT_LIMIT)}
"""What the first exchange may bring: which stage the round is of, and of how many."""


def told(records: RecordDict, name: str) -> int:
    """Return the run or round that a message says it is of; 0 if it says none that can be."""
    facts = records.get(FACTS)
    number = facts.get(name, 0) if isinstance(facts, MetricRecord) else 0
    return number if isinstance(number, int) and 0 <= number < COUNT_LIMIT else 0


def register(app: ClientApp, kind: str, handle: Callable[[Message, Context], Message]) -> None:
    """Let a ClientApp answer a kind of message."""
    category, _, action = kind.partition(".")
    decorator = getattr(app, category)
    (decorator(action) if action else decorator())(handle)


def read_facts(records: RecordDict, part: Part) -> dict[str, float]:
    """Take the facts out of Flower's records (errors as in `unpack`)."""
    allowed = part.facts
    record = records.get(FACTS, MetricRecord())
    if not isinstance(record, MetricRecord):
        raise BadMessage("its facts are not numbers")
    _check_names("fact", record, allowed)
    facts: dict[str, float] = {}
    for name, fact in allowed.items():
        value = record[name]
        if isinstance(value, list) or not math.isfinite(value) or not fact.low <= value < fact.high:
            raise BadMessage(f"the fact '{name}' is out of range")
        if fact.whole and not isinstance(value, int):
            raise BadMessage(f"the fact '{name}' is not a whole number")
        facts[name] = value if fact.whole else float(value)
    return facts


def _check_names(kind: str, record: Iterable[str], allowed: Collection[str]) -> None:
    """Refuse the first unknown name, however many follow, or else the first that is missing."""
    for name in record:
        if name not in allowed:
            raise BadMessage(f"the {kind} '{name}' is unknown")
    there = set(record)
    for name in allowed:
        if name not in there:
            raise BadMessage(f"the {kind} '{name}' is missing")


def _adapter(record: ArrayRecord, schema: Schema) -> dict[str, Array]:
    """Take an adapter out of its vectors: exactly the schema's names, shapes and types."""
    known = layouts(tuple((n, np.dtype(spec.dtype), spec.shape) for n, spec in schema.items()))
    if len(record) != len(known) or set(record) != {layout.name for layout in known}:
        raise BadMessage("its adapter has other parameters than the model's")
    arrays: dict[str, Array] = {}
    for layout in known:
        bounds = [(schema[name].low, schema[name].high) for name, *_ in layout.places]
        loosest = min(low for low, _ in bounds), max(high for _, high in bounds)
        whole = ArraySpec(str(layout.dtype), (layout.length,), *loosest)
        parts = layout.split(_array(ADAPTER, record[layout.name], whole, {}, {}))
        for name, own in zip(parts, bounds, strict=True):
            if own != loosest:
                _check_range(name, parts[name], schema[name])
        arrays |= parts
    return arrays


def _arrays(record: ArrayRecord, schema: Schema, held: int | None) -> dict[str, Array]:
    _check_names("array", record, schema)
    lengths = dict[str, int]()
    limits = {} if held is None else dict.fromkeys(COUNTED_AXES, held)
    return {name: _array(name, record[name], schema[name], lengths, limits) for name in schema}


def _array(
    name: str,
    packed: FlowerArray,
    spec: ArraySpec,
    lengths: dict[str, int],
    limits: Mapping[str, int],
) -> Array:
    """Check one array against its spec; ``lengths`` collects the named axes seen so far.

    What the sender claims is checked before the bytes are read, and the bytes after.
    """
    _check_shape(name, packed.dtype, tuple(packed.shape), spec, lengths, limits)
    try:
        array = read(packed)
    except Exception as error:
        raise BadMessage(f"the array '{name}' cannot be read") from error
    if array.dtype != spec.dtype or array.shape != tuple(packed.shape):
        _check_shape(name, str(array.dtype), array.shape, spec, lengths, limits)
    _check_range(name, array, spec)
    return array


def _check_range(name: str, array: Array, spec: ArraySpec) -> None:
    bounded = array.size and (spec.low > -np.inf or spec.high < np.inf)
    if not np.isfinite(array).all() or (
        bounded and not (array.min() >= spec.low and array.max() <= spec.high)
    ):
        raise BadMessage(f"the array '{name}' holds values out of range")


def _check_shape(
    name: str,
    dtype: str,
    shape: tuple[int, ...],
    spec: ArraySpec,
    lengths: dict[str, int],
    limits: Mapping[str, int],
) -> None:
    if dtype != spec.dtype:
        raise BadMessage(f"the array '{name}' is of {dtype}, not {spec.dtype}")
    if len(shape) != len(spec.shape):
        raise BadMessage(f"the array '{name}' has {len(shape)} axes, not {len(spec.shape)}")
    for length, axis in zip(shape, spec.shape, strict=True):
        expected = lengths.setdefault(axis, length) if isinstance(axis, str) else axis
        if length != expected:
            raise BadMessage(f"the array '{name}' has the shape {tuple(shape)}, not {spec.shape}")
        most = (
            min(spec.longest, limits.get(axis, spec.longest)) if isinstance(axis, str) else length
        )
        if length > most:
            raise BadMessage(
                f"the array '{name}' has {length} {axis}, of which {most} are possible"
            )
