"""A run's state after a round, kept so that a killed run goes on bit for bit.

A checkpoint is one file named after its round, on the disk before the old one goes: there
is always a whole one, even after a power cut.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError

from fedhds.files import read_arrays, write_arrays
from fedhds.types import Array, State, UserError

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
    plain = {name: getattr(state, name) for name in PLAIN}
    plain["distinct"] = {str(client): count for client, count in state.distinct.items()}
    text = json.dumps(plain, ensure_ascii=False, allow_nan=False)
    kept = {f"{name}/{key}": a for name in ARRAYS for key, a in getattr(state, name).items()}
    final = folder / f"{state.round:06d}.safetensors"
    write_arrays(final, {"state": np.frombuffer(text.encode(), np.uint8), **kept})
    for other in folder.iterdir():
        if other != final:
            other.unlink()


def load(folder: Path) -> RunState | None:
    """Read the newest checkpoint under ``folder``; None if there is none.

    Raises
    ------
    UserError
        If it is damaged.
    """
    whole = sorted(folder.glob("[0-9]*.safetensors"))
    if not whole:
        return None
    try:
        kept = read_arrays(whole[-1])
        plain = json.loads(kept.pop("state").tobytes())
    except (SafetensorError, KeyError, ValueError) as error:
        raise UserError(
            f"'{whole[-1]}' is damaged, so the run cannot be resumed: say --overwrite"
        ) from error
    plain["seconds"] = defaultdict(float, plain["seconds"])
    for account in ("sent", "counts"):
        plain[account] = Counter(plain[account])
    plain["distinct"] = {int(client): count for client, count in plain["distinct"].items()}
    plain |= {name: {} for name in ARRAYS}
    for key, array in kept.items():
        name, of = key.split("/", 1)
        plain[name][of] = array
    return RunState(**plain)
