"""A run's state after a round, kept so that a killed run goes on bit for bit.

A checkpoint is one folder named after its round, written beside the old one and then
renamed: there is always a whole one. The old one goes only after that.
"""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedhds.files import read_arrays, read_json, write_arrays, write_json
from fedhds.types import Array, State

Evaluation = dict[str, Any]
"""Scores of one adapter: ``round``, ``unseen`` (per sample) and ``validation`` (sums)."""


@dataclass
class RunState:
    """Everything that a later round depends on.

    Attributes
    ----------
    round : int
        The last finished round; 0 before the first.
    adapter : dict of str to ndarray
        The global adapter after it.
    method : State
        What the selection's server half remembers.
    before, best : Evaluation or None
        The evaluation of the untouched adapter, and of the best so far.
    best_adapter : dict of str to ndarray
        The adapter that the best evaluation belongs to; the untouched one before there is any.
    worse_since : int
        Evaluations since the best one.
    seconds : dict of str to float
        Time by phase.
    sent, counts : Counter
        Bytes by direction, and passes, skipped steps and the like.
    distinct : dict of int to int
        By client, how many different samples it has trained on.
    lines : list of str
        The finished rounds' lines of ``rounds.jsonl``.
    """

    adapter: dict[str, Array]
    round: int = 0
    method: State = field(default_factory=dict)
    before: Evaluation | None = None
    best: Evaluation | None = None
    best_adapter: dict[str, Array] = field(default_factory=dict)
    worse_since: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    sent: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    distinct: dict[int, int] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)


PLAIN = ("round", "before", "best", "worse_since", "seconds", "sent", "counts", "lines")
ARRAYS = ("adapter", "best_adapter", "method")


def save(folder: Path, state: RunState) -> None:
    """Write ``state`` under ``folder`` and drop older checkpoints."""
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / f"{state.round:06d}"
    unfinished = folder / f"unfinished-{final.name}"
    shutil.rmtree(unfinished, ignore_errors=True)
    plain = {name: getattr(state, name) for name in PLAIN}
    plain["distinct"] = {str(client): count for client, count in state.distinct.items()}
    write_json(unfinished / "state.json", plain)
    for name in ARRAYS:
        write_arrays(unfinished / f"{name}.safetensors", getattr(state, name))
    unfinished.rename(final)
    for other in folder.iterdir():
        if other != final:
            shutil.rmtree(other)


def load(folder: Path) -> RunState | None:
    """Read the newest whole checkpoint under ``folder``; None if there is none."""
    whole = sorted(path for path in folder.glob("[0-9]*") if path.is_dir())
    if not whole:
        return None
    plain = read_json(whole[-1] / "state.json")
    plain["seconds"] = defaultdict(float, plain["seconds"])
    for account in ("sent", "counts"):
        plain[account] = Counter(plain[account])
    plain["distinct"] = {int(client): count for client, count in plain["distinct"].items()}
    plain |= {name: read_arrays(whole[-1] / f"{name}.safetensors") for name in ARRAYS}
    return RunState(**plain)
