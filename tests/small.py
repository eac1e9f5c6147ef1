"""A small experiment on files: a tiny model, eight clients' questions, two unseen tasks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tiny import save_tiny

CLIENTS = 8
UNSEEN = ("upper", "last")


def rows(task: str, count: int) -> list[dict[str, Any]]:
    """Make ``count`` short samples of a task, all different, with a column of their own."""
    return [
        {
            "instruction": f"{task} {n}",
            "input": "ab"[n % 2],
            "output": f"{n % 7}",
            "task": task,
            "id": n,
        }
        for n in range(count)
    ]


def write_rows(path: Path, samples: list[dict[str, Any]]) -> Path:
    """Write samples as JSONL."""
    path.write_text("".join(json.dumps(sample) + "\n" for sample in samples), encoding="utf-8")
    return path


def small_config(folder: Path, **changes: Any) -> dict[str, Any]:
    """Write model and data under ``folder`` and return a configuration that uses them.

    ``changes`` maps dotted keys, written with two underscores for the dot, to values.
    """
    train = [sample for c in range(CLIENTS) for sample in rows(f"task{c}", 12 + c)]
    unseen = [sample for task in UNSEEN for sample in rows(task, 4)]
    config: dict[str, Any] = {
        "model": {"name": str(save_tiny(folder / "model")), "threads": 1},
        "data": {
            "train": str(write_rows(folder / "train.jsonl", train)),
            "eval": str(write_rows(folder / "unseen.jsonl", unseen)),
            "prompt": "plain",
        },
        "federation": {"rounds": 3, "fraction": 0.4},
        "tuning": {"lr": 0.01, "batch_size": 4},
        "evaluation": {"max_new_tokens": 4, "every": 1, "validation": 0.1},
    }
    for key, value in changes.items():
        section, name = key.split("__")
        config.setdefault(section, {})[name] = value
    return config
