"""Telling trackers of a run: one tracker per file, found by its name.

A tracker may fail (its server is gone, the disk is full) and the run goes on: what it could
not take is offered to it again after the next round, and what is left at the end is counted.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fedhds.trackers._numbers import of_round, of_summary, settings
from fedhds.types import Progress, TrackedRun, Tracker, UserError


def check(trackers: Mapping[str, Tracker]) -> None:
    """Refuse trackers that cannot be used here, before anything of a run is written.

    Raises
    ------
    UserError
        If a package is missing, or if a tracker's own check fails.
    """
    for name, tracker in trackers.items():
        try:
            tracker.check()
        except ImportError as error:
            raise UserError(
                f"tracking.{name} needs the package '{error.name}', which is not installed: "
                "pip install 'fedhds[trackers]' brings what fedhds' own trackers need"
            ) from error
        except Exception as error:
            raise UserError(f"tracking.{name} cannot be used: {_brief(error)}") from error


class Tracking:
    """All trackers of one run."""

    def __init__(self, followers: Sequence[_Follower]) -> None:
        self._followers = followers
        self._seen = 0
        self._finished = False

    def follow(self, lines: Sequence[str]) -> None:
        """Tell of the lines of ``rounds.jsonl`` that have not been told yet.

        To be called after the checkpoint that holds them. A kill in between loses nothing,
        as a resumed run offers all its lines again and each tracker leaves out the rounds
        it has; told before the checkpoint, a round that is played again would count twice.
        """
        for line in lines[self._seen :]:
            record = json.loads(line)
            self._tell(record["round"], of_round(record))
        self._seen = len(lines)
        self._catch_up()

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Tell of the finished run, before it counts as finished and is never resumed."""
        self._tell(summary["rounds"], of_summary(summary))
        self._catch_up()
        self._finished = True

    def close(self) -> None:
        """Let go of the trackers, whatever came of the run."""
        for follower in self._followers:
            follower.close(self._finished)

    def _tell(self, step: int, numbers: Mapping[str, float]) -> None:
        for follower in self._followers:
            follower.tell(step, numbers)

    def _catch_up(self) -> None:
        for follower in self._followers:
            follower.catch_up()


@contextmanager
def tracking(
    trackers: Mapping[str, Tracker],
    folder: Path,
    config: Mapping[str, Any],
    lines: Sequence[str],
    progress: Progress,
) -> Iterator[Tracking]:
    """Track a run for as long as the block lasts.

    Parameters
    ----------
    folder : Path
        The run folder; the trackers' own files lie in ``tracking/`` under it.
    config : mapping
        The resolved configuration.
    lines : sequence of str
        The lines of the rounds that a resumed run has behind it.
    """
    run, known, finished = folder.resolve().name, settings(config), len(lines)

    def opener(name: str, tracker: Tracker) -> Callable[[], TrackedRun]:
        return lambda: tracker.open(run, folder / "tracking" / name, known, finished)

    tracked = Tracking([_Follower(name, opener(name, t), progress) for name, t in trackers.items()])
    try:
        tracked.follow(lines)
        yield tracked
    finally:
        tracked.close()


class _Follower:
    """One tracker with what it is still to be told."""

    def __init__(self, name: str, open_run: Callable[[], TrackedRun], progress: Progress) -> None:
        self._name, self._open, self._progress = name, open_run, progress
        self._run: TrackedRun | None = None
        self._waiting: deque[tuple[int, Mapping[str, float]]] = deque()
        self._told = 0
        self._warned = False

    def tell(self, step: int, numbers: Mapping[str, float]) -> None:
        """Queue numbers for the tracker."""
        self._waiting.append((step, numbers))
        self._told += 1

    def catch_up(self) -> None:
        """Hand over what waits, in order; what fails waits on."""
        try:
            run = self._run or self._open()
            if self._run is None:
                self._waiting = deque(entry for entry in self._waiting if entry[0] > run.logged)
                self._run = run
            while self._waiting:
                run.log(*self._waiting[0])
                self._waiting.popleft()
        except Exception as error:
            self._warn(error)

    def close(self, finished: bool) -> None:
        """Close the tracker's run and say how much of ours it lacks."""
        try:
            if self._run is not None:
                self._run.close(finished)
        except Exception as error:
            self._warn(error)
        if missing := len(self._waiting):
            self._progress.say(
                "warning",
                f"warning: {missing} of {self._told} records were not logged by "
                f"tracking.{self._name}; rounds.jsonl and summary.json have them",
                tracker=self._name,
                missing=missing,
            )

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            text = f"tracking.{self._name} fails, and the run goes on: {_brief(error)}"
            self._progress.say("warning", f"warning: {text}", tracker=self._name)
        self._warned = True


def _brief(error: Exception) -> str:
    """Return the first sentence of an error's message, not too long."""
    line = (str(error).strip().splitlines() or [""])[0] or type(error).__name__
    return line.split(". ")[0].rstrip(".: ")[:200]
