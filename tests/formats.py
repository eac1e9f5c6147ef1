"""Small data in the format of every preset, as files that a configuration can name."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from small import write_rows

UNSEEN = "summarization"
"""The task that is in the data for evaluation; Dolly has a category of this name."""

Write = Callable[[Path, Sequence[str], int], dict[str, Any]]


def write_instructions(folder: Path, tasks: Sequence[str], count: int) -> dict[str, Any]:
    """Write rows with the usual columns, the unseen task in a file of its own."""
    files = {"train": tasks, "eval": [UNSEEN]}
    return {
        key: str(
            write_rows(
                folder / f"{key}.jsonl",
                [
                    {"instruction": f"{task} {n}", "input": "a", "output": f"{n % 7}", "task": task}
                    for task in names
                    for n in range(count)
                ],
            )
        )
        for key, names in files.items()
    }


def write_dolly(folder: Path, tasks: Sequence[str], count: int) -> dict[str, Any]:
    """Write one file of rows with Dolly's columns, from which one category is held out."""
    rows = [
        {"instruction": f"{task} {n}", "context": "", "response": f"{n % 7}", "category": task}
        for task in (*tasks, UNSEEN)
        for n in range(count)
    ]
    return {"train": str(write_rows(folder / "dolly.jsonl", rows)), "holdout": [UNSEEN]}


def write_messages(folder: Path, tasks: Sequence[str], count: int) -> dict[str, Any]:
    """Write conversations of three turns."""
    rows = [
        {
            "task": task,
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": f"{task} {n}"},
                {"role": "assistant", "content": f"{n % 7}"},
            ],
        }
        for task in (*tasks, UNSEEN)
        for n in range(count)
    ]
    return {"train": str(write_rows(folder / "messages.jsonl", rows)), "holdout": [UNSEEN]}


def write_natural_instructions(folder: Path, tasks: Sequence[str], count: int) -> dict[str, Any]:
    """Write a repository with so many instances a task that ``count`` of each are drawn."""
    for split, names in (("train", tasks), ("test", [UNSEEN])):
        write_split(folder, split, names)
        for name in names:
            # a fifth of a training task is drawn; an unseen one of this size gives all
            inputs = [str(n) for n in range(5 * count if split == "train" else count)]
            write_task(folder, name, inputs)
    return {"train": str(folder)}


def write_split(folder: Path, split: str, tasks: Sequence[str]) -> None:
    """Write one of the two files that name the tasks."""
    path = folder / "splits" / "default" / f"{split}_tasks.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{task}\n" for task in tasks), encoding="utf-8")


def write_task(folder: Path, name: str, inputs: Sequence[str]) -> Path:
    """Write a task of Natural Instructions with one instance an input."""
    instances = [
        {"id": f"{name}-{n}", "input": text, "output": [f"{n % 7}", "or this"]}
        for n, text in enumerate(inputs)
    ]
    task = {"Definition": [f"Do {name}."], "Positive Examples": [], "Instances": instances}
    path = folder / "tasks" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(task), encoding="utf-8")
    return path


WRITERS: dict[str, Write] = {
    "alpaca": write_instructions,
    "dolly": write_dolly,
    "messages": write_messages,
    "natural-instructions": write_natural_instructions,
    "p3": write_instructions,
    "toy": lambda *_: {},
}
"""How to write data of each preset: into a folder, for the tasks, so many samples each.

Each returns the keys of ``data`` that name what it wrote.
"""
