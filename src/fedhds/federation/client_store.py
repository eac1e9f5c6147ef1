"""What a client keeps on its own disk between messages.

In a deployment a message may be a new process, so a client's memory lives in files named
by round and step. A step reads what was kept *before* it and never what a killed run
kept at or after it; so a round that is played again gives the same result.

Nothing here waits for the disk: a killed process leaves whole files, but a power cut may
tear or lose the last ones. A file's name ends in a checksum of its bytes, so that a torn
one is never read, and `ClientStore.survived` tells what a resumed run can build on.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from zlib import crc32

from safetensors.numpy import load

from fedhds.files import to_bytes, write_quickly
from fedhds.types import Array, Arrays

NAME = re.compile(r"([a-z]+)-(\d{6})-(\d{3})-([0-9a-f]{8})\.safetensors")
"""Kind, round, step and checksum."""

CORESET = "coreset"
"""What every client keeps that got through a round, and keeps last."""

Key = tuple[int, int]


class Torn(Exception):
    """A file does not hold what was written to it."""


class ClientStore:
    """Named arrays by kind, round and step in one folder."""

    def __init__(self, folder: Path) -> None:
        """Keep files under ``folder``, which is made when first needed."""
        self.folder = folder

    def save(self, kind: str, round: int, step: int, arrays: Arrays) -> None:
        """Keep ``arrays``, and drop what no later step of this kind can ask for."""
        data = to_bytes(arrays)
        ours = f"{kind}-{round:06d}-{step:03d}-{crc32(data):08x}.safetensors"
        others = [(key, name) for key, name in self._files(kind) if name != ours]
        write_quickly(self.folder / ours, data)
        last = max((key for key, _ in others if key[0] < round), default=None)
        for key, name in others:
            if key == (round, step) or (key[0] < round and key != last):
                with contextlib.suppress(FileNotFoundError):  # another process was first
                    os.unlink(os.path.join(self.folder, name))

    def at(self, kind: str, round: int, step: int) -> dict[str, Array] | None:
        """Return what was kept at exactly ``(round, step)``, or None."""
        names = [name for key, name in self._files(kind) if key == (round, step)]
        return self._read(names[-1]) if names else None

    def before(self, kind: str, round: int, step: int) -> dict[str, Array] | None:
        """Return what was last kept before ``(round, step)``, or None."""
        names = [name for key, name in self._files(kind) if key < (round, step)]
        return self._read(names[-1]) if names else None

    def survived(self, last: int, now: int) -> bool:
        """Tell whether what was kept until the end of round ``now`` can be built on.

        All of it must be whole, and a coreset of round ``last`` or later be there: the
        client got through that round, and if it failed in later ones it may have kept more.
        """
        try:
            for key, name in self._files():
                if key[0] <= now:
                    self._read(name)
        except Torn:
            return False
        return any(last <= key[0] <= now for key, _ in self._files(CORESET))

    def _files(self, kind: str | None = None) -> list[tuple[Key, str]]:
        """List the files of a kind (or of all), earliest first."""
        try:
            there = os.listdir(self.folder)
        except FileNotFoundError:
            return []
        matches = [match for match in map(NAME.fullmatch, there) if match]
        return sorted(((int(m[2]), int(m[3])), m[0]) for m in matches if kind in (None, m[1]))

    def _read(self, name: str) -> dict[str, Array]:
        with open(os.path.join(self.folder, name), "rb", buffering=0) as file:
            data = file.read()
        if f"-{crc32(data):08x}." not in name:
            raise Torn(f"'{self.folder / name}' is torn")
        return {key: array.copy() for key, array in load(data).items()}  # what it loads is fixed


class RoundAdapter:
    """The round's adapter, which a client is sent once a round and may need in two messages.

    It is the same for all clients, so those of one machine keep it once; a process that
    has it in memory does not read it again.
    """

    def __init__(self, folder: Path) -> None:
        """Keep it under ``folder``, for other processes."""
        self._store = ClientStore(folder)
        self._known: tuple[int, Arrays] | None = None

    def keep(self, round: int, adapter: Arrays) -> None:
        """Keep the adapter of a round, and forget earlier ones."""
        if self._known is None or self._known[0] != round:
            self._store.save("adapter", round, 0, adapter)
            self._known = round, adapter

    def of(self, round: int) -> Arrays | None:
        """Return the adapter of a round, or None if no client of this machine got it."""
        if self._known is not None and self._known[0] == round:
            return self._known[1]
        return self._store.at("adapter", round, 0)
