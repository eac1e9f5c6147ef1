"""Runs as a report takes them: what their folders hold, and which are seeds of one thing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Status = Literal["finished", "failed", "unfinished"]
Plain = Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """One run folder.

    Attributes
    ----------
    name : str
        What the folder is called.
    config : mapping
        Every key with its value.
    status : {"finished", "failed", "unfinished"}
        ``reason`` says why a run failed.
    record : mapping
        ``run.json``: the data's fingerprint (``data``), the partition's ``skew`` and ``clients``.
    rounds : tuple of mapping
        The lines of ``rounds.jsonl``.
    summary, unseen, samples : mapping or None
        ``summary.json``; ``unseen.json``, the scores of each unseen sample ``before`` and
        ``after``; ``samples.json``, where each training sample lies and what was chosen. None
        where the run has no such file.
    """

    name: str
    config: Plain
    status: Status
    reason: str | None
    record: Plain
    rounds: tuple[Plain, ...]
    summary: Plain | None
    unseen: Plain | None
    samples: Plain | None

    @property
    def seed(self) -> int:
        """The seed that it was run with."""
        return int(self.config["seed"])


@dataclass(frozen=True)
class Group:
    """Runs that differ in nothing but their seed, in its order; ``label`` is unique in a report.

    ``size`` is the budget as the configuration says it (``150``, ``10%``), "" without one.
    """

    label: str
    method: str
    size: str
    runs: tuple[Run, ...]

    @property
    def finished(self) -> tuple[Run, ...]:
        """The runs that have a summary."""
        return tuple(run for run in self.runs if run.summary is not None)
