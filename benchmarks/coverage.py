r"""How well each method's coreset covers all clients' data, judged beside chance and a ceiling.

    python benchmarks/coverage.py --write --data P3_FOLDER --model MODEL_FOLDER \
        --encoder ENCODER_FOLDER

P3_FOLDER holds ``train.jsonl.gz``, MODEL_FOLDER the model that reads it, ENCODER_FOLDER a
sentence encoder for the second judging space; without --encoder the first alone is used, and
without --data the toy federation alone. Each federation has 40 clients, Dirichlet 0.5 over the
tasks; partitions differ in their seed. ``once`` is one round of all clients, ``rounds`` 40
rounds of two clients that choose four samples each time, and the union cut to 150 by a seeded
draw. Every coreset is `fedhds.select`'s, judged by `fedhds.judge`'s parts.

Finished selections under --out are kept, so several processes may share --partitions and
--federations between them; ``--rows`` runs some of the rows. The tables are of all that is there.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from statistics import mean, stdev

import numpy as np
from shared import machine

import fedhds
from fedhds import config as configuration
from fedhds.config import Config
from fedhds.data.texts import text_of
from fedhds.evaluation.coverage import compare, cut
from fedhds.evaluation.spaces import SentenceEncoder, lexical
from fedhds.files import write_json
from fedhds.judging import central_order, chosen_positions, labels_of
from fedhds.preparation import Inputs, read_inputs
from fedhds.types import Silent

RESULTS = Path(__file__).parent / "results"
CLIENTS = 40
CASES = {
    "once, 50": {"federation.rounds": 1, "federation.fraction": 1, "selection.samples": 50},
    "once, 150": {"federation.rounds": 1, "federation.fraction": 1, "selection.samples": 150},
    "rounds, 150": {"federation.rounds": 40, "federation.fraction": 0.05, "selection.samples": 4},
}
"""What is chosen; the number is the size that is judged."""
FEDERATIONS = {
    "p3": {},
    "toy": {},
    "p3, swapped answers": {"data.corrupted": 0.3},
    "toy, swapped answers": {"data.corrupted": 0.3},
}
ALIGNED = {"method": "fedhds-aligned"}
ROWS = {
    "fedhds": {"method": "fedhds"},
    "fedhds-aligned": ALIGNED,
    "fedhds-quality": {"method": "fedhds-quality"},
    "aligned, words": ALIGNED | {"features": "words"},
    "aligned, states": ALIGNED | {"features": "states"},
    "aligned, last layer": ALIGNED | {"features": "states", "layers": "last"},
    "aligned, last token": ALIGNED | {"features": "last-token"},
    "aligned, random space": ALIGNED | {"space": "random"},
    "aligned, PCA": ALIGNED | {"space": "pca"},
    "aligned, K-means": ALIGNED | {"grouping": "kmeans"},
    "aligned, server HDBSCAN": ALIGNED | {"server": "hdbscan"},
    "aligned, server HDBSCAN, noise kept": ALIGNED | {"server": "hdbscan", "keep_noise": True},
    "aligned, server t-SNE": ALIGNED | {"server": "tsne-hdbscan"},
    "aligned, forgetful": ALIGNED | {"remember": False},
}
"""Each row's ``selection``."""
MAIN = ("fedhds", "fedhds-aligned", "fedhds-quality")
REFERENCES = ("coreset-cent", "random draws", "ceiling")

Judged = dict[str, dict[str, dict[str, dict[str, float]]]]
"""By case, space and row: what `compare` says of a partition."""


def settings(arguments: argparse.Namespace, federation: str, seed: int) -> dict[str, object]:
    """Return what all rows of a partition have in common."""
    common: dict[str, object] = {
        "seed": seed,
        "model.threads": 1,
        "partition.kind": "dirichlet",
        "partition.clients": CLIENTS,
        "partition.alpha": 0.5,
        "evaluation.validation": 0,
        "data.per_client": 100,
    }
    if federation.startswith("p3"):
        common |= {
            "data.train": arguments.data / "train.jsonl.gz",
            "data.holdout": "[]",
            "data.preset": "p3",
            "data.max_length": 384,
            "data.per_client": 134,  # of which about 100 have their answer within 384 tokens
            "model.name": arguments.model,
        }
    return common | FEDERATIONS[federation]


def load(given: Mapping[str, object]) -> Config:
    """Build a configuration of dotted settings."""
    return configuration.load(None, [f"{key}={value}" for key, value in given.items()])


def selected(folder: Path, given: Mapping[str, object], inputs: Inputs) -> np.ndarray:
    """Select, or take what an earlier call left; return the chosen positions."""
    fedhds.select(load(given), folder, resume=True)
    return chosen_positions(folder, inputs.data.clients)


def spaces(out: Path, inputs: Inputs, encoder: Path | None, seed: int) -> dict[str, np.ndarray]:
    """Place all samples in the judging spaces; the sentence encoder's rows are kept."""
    texts = [text_of(s.example) for client in inputs.data.clients for s in client.train]
    found = {"lexical": lexical(texts, seed)}
    if encoder is not None:
        kept = out / "sentences.npy"
        if not kept.is_file():
            rows = SentenceEncoder.load(encoder).encode(texts, 16, Silent())
            np.save(kept, rows)
        found["sentence encoder"] = np.load(kept)
    return found


def partition(arguments: argparse.Namespace, federation: str, seed: int) -> None:
    """Select and judge everything of one partition; write ``judged.json`` into its folder."""
    out = arguments.out / federation.replace(", ", "-").replace(" ", "-") / str(seed)
    out.mkdir(parents=True, exist_ok=True)
    common = settings(arguments, federation, seed)
    config = load(common)
    inputs = read_inputs(config, Silent(), selects=False)
    samples = [sample for client in inputs.data.clients for sample in client.train]
    labels = labels_of([sample.example for sample in samples])
    corrupted = np.array([bool(sample.example.row.get("corrupted")) for sample in samples])
    central = central_order(config, inputs, Silent())
    places = spaces(out, inputs, arguments.encoder, seed)
    file = out / "judged.json"
    judged: Judged = json.loads(file.read_text())["judged"] if file.is_file() else {}
    for case, options in CASES.items():
        size = int(case.rpartition(" ")[2])
        coresets = {"coreset-cent": central[:size]}
        for row in (row for row in ROWS if row in arguments.rows):
            if row == "fedhds" and case.startswith("rounds"):
                continue  # it repeats itself: fewer than 150 different ones came of 160
            given = {f"selection.{key}": value for key, value in ROWS[row].items()}
            if ROWS[row]["method"] != "fedhds":
                given["selection.projection_seed"] = seed
            name = f"{row}-{case}".replace(", ", "-").replace(" ", "-")
            union = selected(out / name, common | options | given, inputs)
            if len(union) >= size:  # a smaller one cannot be compared
                coresets[row] = cut(union, size, seed)
        for name, rows in places.items():
            found = compare(rows, coresets, labels, seed)
            for row, chosen in coresets.items():
                found[row]["corrupted"] = float(corrupted[chosen].mean())
            # beside rows that an earlier call judged
            judged.setdefault(case, {}).setdefault(name, {}).update(found)
    write_json(file, {"samples": len(samples), "judged": judged})
    print(f"{federation} {seed}: judged", flush=True)


def kept(out: Path) -> dict[str, list[dict]]:
    """Read what was judged, by federation, partitions in the order of their seeds."""
    found = {}
    for federation in FEDERATIONS:
        folder = out / federation.replace(", ", "-").replace(" ", "-")
        files = sorted(folder.glob("*/judged.json"), key=lambda file: int(file.parent.name))
        if files:
            found[federation] = [json.loads(file.read_text()) for file in files]
    return found


def over(parts: list[dict], case: str, space: str, row: str, name: str) -> list[float]:
    """Return a measure of a row in all partitions that have it."""
    rows = [part["judged"][case][space].get(row, {}) for part in parts]
    return [row[name] for row in rows if row.get(name) is not None]


def error(values: list[float]) -> float:
    """Return the standard error of a mean."""
    return stdev(values) / len(values) ** 0.5 if len(values) > 1 else float("nan")


def table(parts: list[dict], case: str, space: str) -> list[str]:
    """Write one case in one space as Markdown."""
    present = parts[0]["judged"][case][space]
    kinds = [kind for kind in ("tasks", "data_sets") if kind in present["ceiling"]]
    chance = mean(over(parts, case, space, "random draws", "coverage"))
    chance_sd = mean(over(parts, case, space, "random draws", "coverage_sd"))
    lines = [
        f"{case} samples, {space} space; coverage of random ones {chance:.4f} ± {chance_sd:.4f}:",
        "",
        "| coreset | partitions | gain over random ± standard error | of ceiling's gain "
        "| redundancy | " + " | ".join(kind.replace("_", " ") for kind in kinds) + " | corrupted |",
        "|---|---:|---:|---:|---:|" + "---:|" * len(kinds) + "---:|",
    ]
    for row in (*ROWS, *REFERENCES):
        having = [part for part in parts if row in part["judged"][case][space]]
        if not having:
            continue
        gains = over(having, case, space, row, "gain")
        ceiling = mean(over(having, case, space, "ceiling", "gain"))  # of the same partitions
        spread = f" ± {error(gains):.4f}" if len(gains) > 1 else ""
        gain = f"{mean(gains):+.4f}{spread}" if gains else "–"
        share = f"{mean(gains) / ceiling:.0%}" if gains else "–"
        counts = [f"{mean(over(having, case, space, row, kind)):.1f}" for kind in kinds]
        wrong = over(having, case, space, row, "corrupted")
        lines.append(
            f"| {row} | {len(having)} | {gain} | {share} | "
            f"{mean(over(having, case, space, row, 'redundancy')):.3f} | "
            + " | ".join([*counts, f"{mean(wrong):.1%}" if wrong else "–"])
            + " |"
        )
    return [*lines, ""]


def having(found: dict[str, list[dict]], federation: str, rows: tuple[str, ...]) -> list[dict]:
    """Return the partitions of a federation that were judged with all of ``rows``."""
    first = next(iter(CASES))
    return [
        part
        for part in found.get(federation, [])
        if all(row in judged for judged in part["judged"][first].values() for row in rows)
    ]


def bars(found: dict[str, list[dict]]) -> list[str]:
    """Hold every bar against what was measured."""
    lines = [
        "| bar | federation | case | space | measured | |",
        "|---|---|---|---|---:|---|",
    ]

    def add(bar: str, where: str, value: str, met: bool) -> None:
        lines.append(f"| {bar} | {where} | {value} | {'met' if met else '**not met**'} |")

    for federation in ("p3", "toy"):
        parts = having(found, federation, ("fedhds-aligned",))
        for case in CASES if parts else ():
            for space in parts[0]["judged"][case]:
                where = f"{federation} | {case} | {space}"

                def of(row: str, name: str) -> list[float]:
                    return over(parts, case, space, row, name)  # noqa: B023

                gains = of("fedhds-aligned", "gain")
                gain, central = mean(gains), mean(of("coreset-cent", "gain"))
                ceiling = mean(of("ceiling", "gain"))
                least = 0.25 if case.endswith(" 50") else 0.2
                add(
                    "gain > 2 standard errors",
                    where,
                    f"{gain / error(gains):.1f}",
                    gain > 2 * error(gains),
                )
                add(
                    "gain >= coreset-cent's",
                    where,
                    f"{gain:+.4f} against {central:+.4f}",
                    gain >= central,
                )
                more = (
                    mean(of("fedhds-aligned", "redundancy")),
                    mean(of("coreset-cent", "redundancy")),
                )
                add(
                    "redundancy <= coreset-cent's",
                    where,
                    f"{more[0]:.3f} against {more[1]:.3f}",
                    more[0] <= more[1],
                )
                add(
                    f"gain >= {least:.0%} of the ceiling's",
                    where,
                    f"{gain / ceiling:.0%}",
                    gain >= least * ceiling,
                )
    parts = having(found, "toy, swapped answers", MAIN)
    for case in (case for case in CASES if parts and case.startswith("once")):
        for space in parts[0]["judged"][case]:
            where = f"toy, swapped answers | {case} | {space}"
            wrong = {row: mean(over(parts, case, space, row, "corrupted")) for row in MAIN}
            gains = {row: mean(over(parts, case, space, row, "gain")) for row in MAIN}
            value = f"{wrong['fedhds-quality']:.1%} against {wrong['fedhds']:.1%}"
            add(
                "corrupted <= a third of fedhds's",
                where,
                value,
                wrong["fedhds-quality"] <= wrong["fedhds"] / 3,
            )
            value = f"{gains['fedhds-quality']:+.4f} against {gains['fedhds-aligned']:+.4f}"
            add(
                "at most a quarter of aligned's gain lost",
                where,
                value,
                gains["fedhds-quality"] >= 0.75 * gains["fedhds-aligned"],
            )
    return lines


def document(found: dict[str, list[dict]]) -> str:
    """Write all tables."""
    lines = [
        "# How well coresets cover all clients' data",
        "",
        f"Machine: {machine(1)}. Command: `python benchmarks/coverage.py --data P3_FOLDER "
        "--model MODEL_FOLDER --encoder ENCODER_FOLDER --write`, which says what the cases are. "
        "Means over the partitions; standard errors are over partitions. The sentence encoder is "
        "all-MiniLM-L6-v2. `fedhds-aligned` reads hashed words, to which the lexical judge is "
        "near; the sentence encoder has nothing in common with it. Rows under `fedhds-quality` "
        "are ablations of `fedhds-aligned`.",
        "",
        "## Bars (`fedhds-aligned`, then `fedhds-quality`)",
        "",
        *bars(found),
        "",
    ]
    for federation, parts in found.items():
        sizes = ", ".join(f"{part['samples']:,}" for part in parts)
        lines += [f"## {federation}", "", f"{len(parts)} partition(s), of {sizes} samples.", ""]
        for case in CASES:
            for space in parts[0]["judged"][case]:
                lines += table(parts, case, space)
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    """Select and judge what is missing; print the bars and the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a folder with P3")
    parser.add_argument("--model", type=Path, help="the model that reads it")
    parser.add_argument("--encoder", type=Path, help="a sentence encoder")
    parser.add_argument("--out", type=Path, default=Path("runs/coverage"))
    parser.add_argument("--partitions", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--federations", nargs="*", choices=FEDERATIONS, default=list(FEDERATIONS))
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--write", action="store_true", help="write results/coverage.md")
    arguments = parser.parse_args()
    for federation in arguments.federations:
        for seed in arguments.partitions:
            if not federation.startswith("p3") or arguments.data:
                partition(arguments, federation, seed)
    text = document(kept(arguments.out))
    print(text)
    if arguments.write:
        (RESULTS / "coverage.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
