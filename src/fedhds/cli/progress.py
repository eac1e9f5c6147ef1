"""Three ways to show how far a run is: bars and text, results only, JSON lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from fedhds.files import json_line

T = TypeVar("T")


class _Rate(ProgressColumn):
    """Items a second."""

    def render(self, task: Task) -> Text:
        """Write the rate once it is known."""
        return Text("" if task.speed is None else f"{task.speed:.1f}/s")


class TextProgress:
    """Sentences on standard error, and bars with rate and remaining time on a terminal."""

    def __init__(self) -> None:
        self._console = Console(
            stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False
        )
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._bars.start()

    def close(self) -> None:
        """Stop drawing, whatever happened."""
        self._bars.stop()

    def track(self, items: Iterable[T], description: str, total: int) -> Iterator[T]:
        """Draw a bar while ``items`` are taken."""
        task = self._bars.add_task(description, total=total)
        try:
            for item in items:
                yield item
                self._bars.advance(task)
        finally:
            self._bars.remove_task(task)

    def say(self, event: str, text: str, **facts: Any) -> None:
        """Print a sentence, if there is one."""
        if text:
            self._console.print(text)


class QuietProgress:
    """Nothing but errors, on standard error."""

    def close(self) -> None:
        """Stop; there is nothing to do."""

    def track(self, items: Iterable[T], description: str, total: int) -> Iterator[T]:
        """Yield ``items`` untouched."""
        return iter(items)

    def say(self, event: str, text: str, **facts: Any) -> None:
        """Print errors and warnings only."""
        if event in ("error", "warning"):
            print(text, file=sys.stderr)


class JsonProgress(QuietProgress):
    """One JSON object a line on standard output; long steps tell when they begin and end."""

    def track(self, items: Iterable[T], description: str, total: int) -> Iterator[T]:
        """Yield ``items`` between two lines."""
        started = time.perf_counter()
        self.say("step", "", step=description, total=total)
        yield from items
        seconds = round(time.perf_counter() - started, 3)
        self.say("step-done", "", step=description, total=total, seconds=seconds)

    def say(self, event: str, text: str, **facts: Any) -> None:
        """Print the event with its time and facts, and its text where there is one."""
        told = {"time": round(time.time(), 3), "event": event, **facts}
        told |= {"text": text} if text else {}
        print(json_line(told), flush=True)
