"""What the benchmarks share: a clock over named functions, and a line about the machine."""

from __future__ import annotations

import os
import platform
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any


class Clock:
    """Seconds by label, each second counted once: under the innermost label that is running."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._running: list[str] = []
        self._since = 0.0

    @contextmanager
    def timing(self, label: str) -> Iterator[None]:
        """Count the block under ``label``, but for what it has timed within it."""
        self._turn()
        self._running.append(label)
        try:
            yield
        finally:
            self._turn()
            self._running.pop()

    def watch(self, owner: Any, name: str, label: str) -> None:
        """Time every call of ``owner.name`` from now on, for the rest of the process."""
        watched: Callable[..., Any] = getattr(owner, name)

        @wraps(watched)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.timing(label):
                return watched(*args, **kwargs)

        setattr(owner, name, timed)

    def take(self) -> dict[str, float]:
        """Return what was counted since the last call."""
        taken, self.seconds = dict(self.seconds), defaultdict(float)
        return taken

    def _turn(self) -> None:
        now = time.perf_counter()
        if self._running:
            self.seconds[self._running[-1]] += now - self._since
        self._since = now


def machine(threads: int) -> str:
    """Describe this machine in a line."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    kind = names[0] if names else platform.processor() or platform.machine()
    return f"{platform.machine()} ({kind}), {os.cpu_count()} cores, {threads} thread(s), no GPU"
