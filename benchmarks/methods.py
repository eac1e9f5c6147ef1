r"""Every selection method side by side: what it covers, what tuning on it gives, what it takes.

    python benchmarks/methods.py --data P3_FOLDER --model MODEL_FOLDER --encoder ENCODER_FOLDER

P3_FOLDER holds ``train.jsonl.gz`` and ``unseen.jsonl.gz``; MODEL_FOLDER the model that is tuned,
which serves as proxy and scorer, too. Two parts, each over the same --seeds:

- ``judge``: 150 samples chosen in one round of all of 40 clients (Dirichlet 0.5 over the tasks) of
  P3 and of the toy federation, judged as ``fedhds select --judge`` does; with seed 0 also the CPU
  seconds of choosing with nothing read before, beyond those of `random`;
- ``tune``: ``configs/p3.yaml``, 15 rounds of ten clients that choose ten samples together.

The knowledge of `recost` is 5,000 rows of ``train.jsonl.gz`` (toy: another seed's samples); what
asks for the very same as a sample is never put in front of it. Finished runs under --out are
kept, so several processes may share the seeds and parts; the table is of all that is there.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import time
from itertools import combinations
from pathlib import Path
from statistics import mean, stdev

import numpy as np
from coverage import load, settings, spaces
from shared import machine

import fedhds
from fedhds import config as configuration
from fedhds.evaluation.coverage import compare
from fedhds.files import write_json, write_jsonl
from fedhds.judging import central_order, chosen_positions, labels_of
from fedhds.preparation import Inputs, read_inputs
from fedhds.rng import generator
from fedhds.types import Silent

CONFIG = Path(__file__).parent.parent / "configs" / "p3.yaml"
RESULTS = Path(__file__).parent / "results"
SIZE = 150
ROUND = 10
"""Samples a round where a model is tuned: 150 in 15 rounds."""
KNOWLEDGE = 5000
NAMES = (
    *("random", "fedhds", "fedhds-turbo", "fedhds-aligned", "fedhds-quality"),
    *("perplexity", "ifd", "feddqc", "zip", "density", "ask-llm", "recost", "k-center"),
    *("semdedup", "deita", "coreset-cent", "global-select"),
)
ROWS = {name: {"selection.method": name} for name in NAMES} | {
    "perplexity, high": {"selection.method": "perplexity", "selection.prefer": "high"},
    "ifd filter, then fedhds-aligned": {
        "selection.method": "fedhds-aligned",
        "selection.filter.method": "ifd",
    },
    "perplexity within fedhds-aligned": {
        "selection.method": "fedhds-aligned",
        "selection.within.method": "perplexity",
    },
}
"""Each row's settings."""
FEDERATIONS = ("p3", "toy")


def resources(arguments: argparse.Namespace, federation: str, row: str) -> dict[str, object]:
    """Return the models and texts that a row's method needs beside the tuned model."""
    reader = arguments.model if federation == "p3" else "embedded"
    named: dict[str, dict[str, object]] = {
        "fedhds-turbo": {"model.proxy": reader},
        "ask-llm": {"model.scorer": reader},
        "deita": {"model.scorer": reader},
        "recost": {"selection.knowledge": arguments.out / f"knowledge-{federation}.jsonl"},
    }
    return named.get(ROWS[row]["selection.method"], {})


def write_knowledge(arguments: argparse.Namespace) -> None:
    """Draw a knowledge base for each federation, once."""
    arguments.out.mkdir(parents=True, exist_ok=True)
    if (arguments.out / "knowledge-toy.jsonl").is_file():
        return
    with gzip.open(arguments.data / "train.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = lines.readlines()
    drawn = generator(0, "knowledge").choice(len(rows), KNOWLEDGE, replace=False)
    text = "".join(rows[i] for i in sorted(drawn))
    (arguments.out / "knowledge-p3.jsonl").write_text(text, encoding="utf-8")
    toy = load(settings(arguments, "toy", 1000) | ROWS["random"] | {"selection.samples": 1})
    clients = read_inputs(toy, Silent(), selects=False).data.clients
    examples = [sample.example for client in clients for sample in client.train]
    fields = ("instruction", "input", "output")
    write_jsonl(
        arguments.out / "knowledge-toy.jsonl",
        [{field: getattr(example, field) for field in fields} for example in examples],
    )


def select(arguments: argparse.Namespace, federation: str, seed: int) -> None:
    """Choose with every row and judge what came; one file for each row of a partition."""
    out: Path = arguments.out / federation / str(seed)
    out.mkdir(parents=True, exist_ok=True)
    missing = [row for row in arguments.rows if not (out / f"{name_of(row)}.json").is_file()]
    if not missing:
        return
    common = settings(arguments, federation, seed) | {
        "federation.rounds": 1,
        "federation.fraction": 1,
        "selection.samples": SIZE,
    }
    inputs = read_inputs(load(common | ROWS["random"]), Silent(), selects=False)
    examples = [sample.example for client in inputs.data.clients for sample in client.train]
    labels = labels_of(examples)
    places = spaces(out, inputs, arguments.encoder, seed)
    central = central_order(load(common | ROWS["random"]), inputs, Silent())[:SIZE]
    for row in missing:
        given = common | ROWS[row] | resources(arguments, federation, row)
        cache = out / name_of(row) / "cache" if seed == 0 else arguments.out / "cache"
        chosen, seconds = choose(out / name_of(row), load(given), inputs, cache)
        judged = {
            space: compare(rows, {"row": chosen, "coreset-cent": central}, labels, seed)
            for space, rows in places.items()
        }
        found = {"seconds": seconds, "samples": len(examples), "chosen": chosen.tolist()}
        write_json(out / f"{name_of(row)}.json", found | {"judged": judged})
        print(f"{federation} {seed} {row}: {seconds:.1f} s", flush=True)


def choose(
    folder: Path, config: configuration.Config, inputs: Inputs, cache: Path
) -> tuple[np.ndarray, float]:
    """Select with what is in a cache; return the chosen positions and the CPU seconds."""
    os.environ["FEDHDS_CACHE"] = str(cache)
    started = time.process_time()
    fedhds.select(config, folder / "run", overwrite=True)
    seconds = time.process_time() - started
    return chosen_positions(folder / "run", inputs.data.clients), seconds


def tune(arguments: argparse.Namespace, row: str, seed: int) -> None:
    """Tune a model on what a row chooses in each round."""
    given = {
        "data.train": arguments.data / "train.jsonl.gz",
        "data.eval": arguments.data / "unseen.jsonl.gz",
        "model.name": arguments.model,
        "model.threads": 1,
        "seed": seed,
        "selection.samples": ROUND,
    }
    given |= ROWS[row] | resources(arguments, "p3", row)
    config = configuration.load(CONFIG, [f"{key}={value}" for key, value in given.items()])
    os.environ["FEDHDS_CACHE"] = str(arguments.out / "cache")
    fedhds.run(config, arguments.out / "tuned" / f"{name_of(row)}-{seed}", resume=True)


def name_of(row: str) -> str:
    """Turn a row's name into a file's."""
    return row.replace(", ", "-").replace(" ", "-")


def read(arguments: argparse.Namespace) -> dict[str, dict[str, list[dict]]]:
    """Read what is there: by federation (or ``tuned``) and row, in the order of the seeds."""
    found: dict[str, dict[str, list[dict]]] = {}
    for row in ROWS:
        for place in FEDERATIONS:
            files = sorted((arguments.out / place).glob(f"*/{name_of(row)}.json"))
            if files:
                found.setdefault(place, {})[row] = [json.loads(f.read_text()) for f in files]
        runs = [arguments.out / "tuned" / f"{name_of(row)}-{s}" / "summary.json" for s in range(99)]
        tuned = [json.loads(run.read_text()) for run in runs if run.is_file()]
        if tuned:
            found.setdefault("tuned", {})[row] = tuned
    return found


def spread(values: list[float], digits: int) -> str:
    """Write a mean with its standard deviation."""
    deviation = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):+.{digits}f}{deviation}"


def judged_table(rows: dict[str, list[dict]]) -> list[str]:
    """Write a federation's coverage and cost as Markdown."""
    names = list(next(iter(rows.values()))[0]["judged"])
    cells = [f"of the ceiling's gain, {name} | redundancy, {name}" for name in names]
    lines = [
        f"| method | partitions | {' | '.join(cells)} | CPU seconds for 1,000 samples |",
        "|---|---:|" + "---:|---:|" * len(names) + "---:|",
    ]
    for row, parts in rows.items():
        line = [row, str(len(parts))]
        for name in names:
            shares = [
                100 * part["judged"][name]["row"]["gain"] / part["judged"][name]["ceiling"]["gain"]
                for part in parts
            ]
            line.append(f"{spread(shares, 0)} %")
            line.append(f"{mean(p['judged'][name]['row']['redundancy'] for p in parts):.3f}")
        beyond = parts[0]["seconds"] - rows["random"][0]["seconds"]
        cost = f"{max(0.0, 1000 * beyond / parts[0]['samples']):.1f}"
        line.append("–" if row == "random" else cost)
        lines.append(f"| {' | '.join(line)} |")
    return lines


def tuned_table(rows: dict[str, list[dict]]) -> list[str]:
    """Write what tuning came to as Markdown: beside random, seed by seed."""
    lines = [
        "| method | seeds | passes | unseen loss | against random, seed by seed | unseen Rouge-L "
        "gain | validation loss |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    base = {each["seed"]: each["loss_after"] for each in rows.get("random", [])}
    for row, parts in rows.items():
        beside = [each["loss_after"] - base[each["seed"]] for each in parts if each["seed"] in base]
        gains = [each["rouge_l_after"] - each["rouge_l_before"] for each in parts]
        losses = (
            [each["loss_after"] for each in parts],
            [each["validation"]["after"]["loss"] for each in parts],
        )
        line = [
            row,
            str(len(parts)),
            f"{mean(each['sample_passes'] for each in parts):.0f}",
            spread(losses[0], 3).lstrip("+"),
            "–" if row == "random" or not beside else spread(beside, 3),
            spread(gains, 3),
            spread(losses[1], 3).lstrip("+"),
        ]
        lines.append(f"| {' | '.join(line)} |")
    return lines


def alike(rows: dict[str, list[dict]]) -> str:
    """Say which two rows' coresets have most in common."""
    count = min(map(len, rows.values()))
    shared = {
        (one, other): mean(
            len({*rows[one][i]["chosen"]} & {*rows[other][i]["chosen"]}) for i in range(count)
        )
        for one, other in combinations(rows, 2)
    }
    (one, other), most = max(shared.items(), key=lambda item: item[1])
    return (
        f"No two coresets are equal; most in common have `{one}` and `{other}`: "
        f"{most:.0f} of {SIZE}."
        if most < SIZE
        else f"**`{one}` and `{other}` chose the same.**"
    )


def document(found: dict[str, dict[str, list[dict]]]) -> str:
    """Write all tables."""
    lines = [
        "# Every selection method, side by side",
        "",
        f"Machine: {machine(1)}. Command: `python benchmarks/methods.py --data P3_FOLDER --model "
        "MODEL_FOLDER --encoder ENCODER_FOLDER`, which says what was done. Means ± standard "
        "deviations over partitions or seeds. The model that is tuned reads, stands for the proxy "
        "and is the scorer: it has 3 million parameters and was never taught to answer "
        "questions, so `ask-llm` and `deita` show that they run, not what they are worth. CPU "
        "seconds are beyond those of `random`, of seed 0 alone, one thread, nothing read before; "
        "other processes ran beside.",
        "",
    ]
    for federation in FEDERATIONS:
        if federation in found:
            lines += [f"## {federation}: {SIZE} samples in one round of 40 clients", ""]
            lines += [*judged_table(found[federation]), "", alike(found[federation]), ""]
    if "tuned" in found:
        lines += ["## p3: 15 rounds of ten clients, ten samples a round, tuned on", ""]
        lines += tuned_table(found["tuned"])
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    """Run what is missing and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--encoder", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/methods"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--parts", nargs="*", choices=("judge", "tune"), default=["judge", "tune"])
    arguments = parser.parse_args()
    write_knowledge(arguments)
    for seed in arguments.seeds:
        for federation in FEDERATIONS if "judge" in arguments.parts else ():
            select(arguments, federation, seed)
        for row in arguments.rows if "tune" in arguments.parts else ():
            tune(arguments, row, seed)
    text = document(read(arguments))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "methods.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
