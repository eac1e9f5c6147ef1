"""What a client keeps on its own disk between messages.

In a deployment every message is a new process, so a client's memory lives in files named
by round and step. A step reads what was kept *before* it and never what a killed run
kept at or after it; so a round that is played again gives the same result.
"""

from __future__ import annotations

import re
from pathlib import Path

from fedhds.files import read_arrays, write_arrays
from fedhds.types import Array, Arrays

NAME = re.compile(r"(?P<kind>[a-z]+)-(?P<round>\d{6})-(?P<step>\d{3})\.safetensors")


class ClientStore:
    """Named arrays by kind, round and step in one folder."""

    def __init__(self, folder: Path) -> None:
        """Keep files under ``folder``, which is made when first needed."""
        self.folder = folder

    def save(self, kind: str, round: int, step: int, arrays: Arrays) -> None:
        """Keep ``arrays``, and drop what no later step of this kind can ask for."""
        of_earlier_rounds = [key for key in self._keys(kind) if key[0] < round]
        for outdated in of_earlier_rounds[:-1]:
            self._path(kind, *outdated).unlink(missing_ok=True)
        write_arrays(self._path(kind, round, step), arrays)

    def at(self, kind: str, round: int, step: int) -> dict[str, Array] | None:
        """Return what was kept at exactly ``(round, step)``, or None."""
        path = self._path(kind, round, step)
        return read_arrays(path) if path.exists() else None

    def before(self, kind: str, round: int, step: int) -> dict[str, Array] | None:
        """Return what was last kept before ``(round, step)``, or None."""
        earlier = [key for key in self._keys(kind) if key < (round, step)]
        return read_arrays(self._path(kind, *earlier[-1])) if earlier else None

    def drop(self, kind: str) -> None:
        """Forget all arrays of a kind."""
        for key in self._keys(kind):
            self._path(kind, *key).unlink(missing_ok=True)

    def _keys(self, kind: str) -> list[tuple[int, int]]:
        matches = [NAME.fullmatch(path.name) for path in self.folder.glob(f"{kind}-*")]
        return sorted((int(m["round"]), int(m["step"])) for m in matches if m and m["kind"] == kind)

    def _path(self, kind: str, round: int, step: int) -> Path:
        return self.folder / f"{kind}-{round:06d}-{step:03d}.safetensors"
