"""The ledger of a site: every message that ever left it, kept before it leaves.

One JSON object a line in the run's folder on the site, never changed and never removed: time,
kind, round, seconds of work, bytes, the facts (numbers) with their hash, each array's name, type,
shape, bytes and hash, and the reason where the message was an error. The hashes are SHA-256 of
what travelled, so that what a server says it received can be compared.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedhds.files import append_durably, json_line

if TYPE_CHECKING:
    from flwr.app import RecordDict

MESSAGES = "messages.jsonl"
"""What a ledger is called in the run's folder on the site."""


@dataclass(frozen=True)
class Sent:
    """An array that left; ``sha256`` is of the bytes as they travelled, NumPy's header included."""

    record: str
    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Entry:
    """A message that left, or was about to when the site died.

    ``time`` is UTC in ISO 8601. ``reason`` is None unless it was an error, and ``refused``
    whether the policy was why. ``seconds`` is how long the site had worked for it.
    """

    time: str
    kind: str
    round: int
    seconds: float
    bytes: int = 0
    facts: Mapping[str, float] = field(default_factory=dict)
    facts_sha256: str | None = None
    arrays: tuple[Sent, ...] = ()
    reason: str | None = None
    refused: bool = False


class Ledger:
    """The messages of one run, in a folder on the site."""

    def __init__(self, folder: Path) -> None:
        """Keep them under ``folder``, which is made when first needed."""
        self.path = folder / MESSAGES

    def keep(self, entry: Entry) -> None:
        """Write a message down and wait for the disk (OSError if that fails)."""
        append_durably(self.path, json_line(asdict(entry)))

    def entries(self) -> tuple[list[Entry], list[int]]:
        """Read what was kept.

        Returns
        -------
        entries : list of Entry
            Earliest first.
        torn : list of int
            The numbers of lines, from 1, that cannot be read: a crash came while they were written.
        """
        lines = self.path.read_bytes().splitlines() if self.path.exists() else []
        read = {number: _read(line) for number, line in enumerate(lines, 1)}
        kept = [entry for entry in read.values() if entry is not None]
        return kept, [number for number, entry in read.items() if entry is None]

    def samples(self, round: int) -> int:
        """Add up the samples that the site tuned on in a round, over all its messages."""
        entries, _ = self.entries()
        tuned = (entry for entry in entries if entry.round == round and entry.facts.get("passes"))
        return sum(int(entry.facts["samples"]) for entry in tuned)

    def seconds(self, round: int) -> float:
        """Add up how long the site worked for the messages of a round."""
        entries, _ = self.entries()
        return sum(entry.seconds for entry in entries if entry.round == round)


def entry_of(records: RecordDict, kind: str, round: int, seconds: float) -> Entry:
    """Describe a reply that is about to leave."""
    facts: dict[str, Any] = {}
    for record in records.metric_records.values():
        facts |= record
    arrays = tuple(
        Sent(group, name, array.dtype, tuple(array.shape), len(array.data), _hash(array.data))
        for group, own in records.array_records.items()
        for name, array in own.items()
    )
    hashed = hash_of_facts(facts)
    return Entry(_now(), kind, round, seconds, size(records), facts, hashed, arrays)


def error_entry(reason: str, refused: bool, kind: str, round: int, seconds: float) -> Entry:
    """Describe an error reply that is about to leave."""
    size = len(reason.encode())
    return Entry(_now(), kind, round, seconds, size, reason=reason, refused=refused)


def size(records: RecordDict) -> int:
    """Return a message's bytes: of arrays and numbers, with their names."""
    return sum(record.count_bytes() for record in records.values())


def hash_of_facts(facts: Mapping[str, Any]) -> str:
    """Return the SHA-256 of facts as JSON without spaces, by name ascending."""
    return _hash(json.dumps(dict(facts), sort_keys=True, separators=(",", ":")).encode())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _hash(data: bytes) -> str:
    return sha256(data).hexdigest()


def _read(line: bytes) -> Entry | None:
    try:
        plain = json.loads(line)
        arrays = [Sent(**array | {"shape": tuple(array["shape"])}) for array in plain["arrays"]]
        return Entry(**plain | {"arrays": tuple(arrays)})
    except (ValueError, TypeError, KeyError):
        return None
