"""Tune on data of one's own, spread over clients by one of its columns.

    python examples/own_data.py --out runs/own-data

Writes a small JSONL file with column names of its own, makes one client of each hospital,
and tunes the embedded tiny Llama for a few rounds. It takes about a minute on a CPU.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

import fedhds

HOSPITALS = ("north", "south", "east", "west")
TRIAGE = {
    "red": ("chest pain", "a numb arm", "a blue face"),
    "yellow": ("a broken hand", "a deep cut", "a hot head"),
    "green": ("an old cough", "a sore knee", "a small cut"),
}
SINCE = ("this morning", "noon", "yesterday", "Monday", "last week")
UNSEEN = "last night"


def rows(hospital: str, times: Iterable[str]) -> list[dict[str, str]]:
    """Make a hospital's samples; a real one would have its own, of course."""
    return [
        {
            "hospital": hospital,
            "question": "Which colour does this patient get?",
            "complaint": f"{complaint} since {time}",
            "answer": colour,
        }
        for colour, complaints in TRIAGE.items()
        for complaint in complaints
        for time in times
    ]


def write(path: Path, samples: list[dict[str, str]]) -> Path:
    """Write one JSON object a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(sample) + "\n" for sample in samples), encoding="utf-8")
    return path


def main() -> None:
    """Write the data, run, and tell what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/own-data"), help="where to write")
    parser.add_argument("--rounds", type=int, default=8)
    options = parser.parse_args()
    train = [row for hospital in HOSPITALS for row in rows(hospital, SINCE)]
    config = {
        "data": {
            "train": str(write(options.out / "train.jsonl", train)),
            "eval": str(write(options.out / "unseen.jsonl", rows("elsewhere", [UNSEEN]))),
            "columns": {"instruction": "question", "input": "complaint", "output": "answer"},
        },
        "partition": {"kind": "column", "by": "hospital"},
        "selection": {"method": "fedhds", "samples": 40},
        "federation": {"rounds": options.rounds, "fraction": 1.0},
        "tuning": {"lr": 4e-3, "epochs": 3, "batch_size": 4},
        "evaluation": {"max_new_tokens": 12},
    }
    result = fedhds.run(config, out=options.out / "run", overwrite=(options.out / "run").exists())
    summary = result.summary
    print(f"samples trained on: {summary['samples_used']} of {summary['samples_total']}")
    print(f"unseen Rouge-L: {summary['rouge_l_before']:.3f} -> {summary['rouge_l_after']:.3f}")
    print(f"unseen loss: {summary['loss_before']:.3f} -> {summary['loss_after']:.3f}")
    print(f"the adapter is in {result.out / 'adapter'}")


if __name__ == "__main__":
    main()
