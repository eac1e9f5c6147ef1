"""Natural Instructions v2 as its repository has it: tasks in files, and a split of them.

Source: Wang et al., "Super-NaturalInstructions", 2022; sampled as FedHDS's published code does.

Deviations from that code: draws are seeded per task, so that adding a task leaves the others'
as they were; evaluation takes the best of all of an instance's answers, not the first alone,
which is what is trained on.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from fedhds.data.columns import ColumnsPreset
from fedhds.rng import generator
from fedhds.types import Rows, UserError

LONGEST_INPUT = 1024
"""Inputs of as many characters, or more, are left out."""

FEWEST = 20
"""A training task with fewer instances left is skipped; an unseen one keeps as many."""

SHARE, UNSEEN_SHARE = 0.2, 0.02
"""The share of a task's instances that is drawn, rounded down."""


@dataclass(frozen=True)
class NaturalInstructions(ColumnsPreset):
    """The folder of the repository: ``splits/default/`` names the tasks, ``tasks/`` has them.

    The first definition is the instruction and the file's name the task; rows keep what the
    instance says of itself, its ``id`` for one.
    """

    brings_unseen: ClassVar[bool] = True

    def read(self, train: str | None, unseen: str | None, seed: int) -> tuple[Rows, Rows]:
        """Read both splits from the folder ``train``, drawing a share of each task.

        Returns
        -------
        train, unseen : Rows
            In the order of the splits and of the tasks' files. ``dropped`` counts instances:
            ``input_too_long``, ``task_too_small`` and ``not_drawn``.

        Raises
        ------
        UserError
            If a file of the repository is missing or is not what it should be.
        """
        folder = Path(train or "")
        return _read_split(folder, "train", seed), _read_split(folder, "test", seed)


def _read_split(folder: Path, split: str, seed: int) -> Rows:
    """Read a share of every task of a split."""
    names = _read_text(folder / "splits" / "default" / f"{split}_tasks.txt").split()
    rows: list[dict[str, Any]] = []
    dropped: Counter[str] = Counter()
    for name in dict.fromkeys(names):
        definition, instances = _read_task(folder / "tasks" / f"{name}.json")
        short = [each for each in instances if len(str(each.get("input"))) < LONGEST_INPUT]
        dropped["input_too_long"] += len(instances) - len(short)
        if split == "train" and len(short) < FEWEST:
            dropped["task_too_small"] += len(short)
            continue
        share = int(SHARE * len(short)) if split == "train" else _unseen_count(len(short))
        drawn = generator(seed, f"natural-instructions {name}").permutation(len(short))[:share]
        dropped["not_drawn"] += len(short) - len(drawn)
        for position in sorted(drawn.tolist()):
            rows.append({**short[position], "instruction": definition, "task": name})
    return Rows(rows, +dropped)


def _unseen_count(available: int) -> int:
    """Return how many instances of an unseen task are evaluated on."""
    return min(available, max(FEWEST, int(UNSEEN_SHARE * available)))


def _read_task(path: Path) -> tuple[str, list[dict[str, Any]]]:
    """Return a task's first definition and its instances."""
    try:
        task = json.loads(_read_text(path))
        definition, instances = task["Definition"][0], task["Instances"]
    except (ValueError, RecursionError) as error:
        raise UserError(f"data.train: '{path}' is not JSON ({error})") from error
    except (KeyError, IndexError, TypeError) as error:
        raise UserError(_no_task(path)) from error
    rows = isinstance(instances, list) and all(isinstance(each, dict) for each in instances)
    if not rows or isinstance(task["Definition"], str):
        raise UserError(_no_task(path))
    return definition, instances


def _no_task(path: Path) -> str:
    return f"data.train: '{path}' is no task: it needs a list 'Definition' and a list 'Instances'"


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(
            f"data.train: there is no file '{path}', which the repository of Natural "
            "Instructions has"
        ) from error
    except (OSError, ValueError) as error:
        raise UserError(f"data.train: '{path}' cannot be read ({error})") from error
