"""What a ServerApp tells of its run, to the process that submitted it: JSON lines in a file."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from fedhds.files import append_lines, json_line

BEGIN, END = "begin", "end"
"""The first event, which says the ServerApp's ``process``, and the last: its ``status`` is the
run's exit status, its text the error's sentence."""

T = TypeVar("T")


class EventFile:
    """Progress that is printed for Flower's log, and appended to a file if there is one."""

    def __init__(self, path: Path | None) -> None:
        """Append to ``path``; None only prints."""
        self._path = path

    def track(self, items: Iterable[T], description: str, total: int) -> Iterator[T]:
        """Yield ``items``: a bar would fill the log."""
        return iter(items)

    def say(self, event: str, text: str, **facts: Any) -> None:
        """Tell one thing."""
        if text:
            print(text, flush=True)
        if self._path is None:
            return
        with contextlib.suppress(FileNotFoundError):  # whoever followed is gone: the run goes on
            append_lines(self._path, [json_line({"event": event, "text": text, "facts": facts})])


class EventReader:
    """Reads what an `EventFile` appended since the last look."""

    def __init__(self, path: Path) -> None:
        """Begin at the beginning of ``path``, which need not be there yet."""
        self._path, self._read = path, 0

    def new(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield event, text and facts of each whole line that is new."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._read += len(line)
                told = json.loads(line)
                yield told["event"], told["text"], told["facts"]
