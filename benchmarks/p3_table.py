"""The main job on P3: `fedhds`, its ablations and baselines, over seeds.

    python benchmarks/p3_table.py --data P3_FOLDER --model MODEL_FOLDER --seeds 0 1 2

P3_FOLDER holds ``train.jsonl.gz`` and ``unseen.jsonl.gz`` (fields task, instruction, input,
output); the proxy of `fedhds-turbo` is MODEL_FOLDER itself, untuned. ``--rows`` runs some of
the rows; the table shows them beside those that ``results/p3.json`` holds already. Finished
runs under --out are kept and not run again, so that several processes may share the seeds
between them; the last one to run writes the table.
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path
from statistics import mean, stdev

import fedhds
from fedhds import config as configuration
from fedhds.files import write_json

CONFIG = Path(__file__).parent.parent / "configs" / "p3.yaml"
RESULTS = Path(__file__).parent / "results"
FIGURES = {
    "samples used": lambda s: s["samples_used"],
    "passes": lambda s: s["sample_passes"],
    "unseen Rouge-L gain": lambda s: s["rouge_l_after"] - s["rouge_l_before"],
    "unseen loss after": lambda s: s["loss_after"],
    "validation loss after": lambda s: s["validation"]["after"]["loss"],
    "choosing, s": lambda s: s["seconds"]["signals"] + s["seconds"]["selection"],
    "tuning, s": lambda s: s["seconds"]["tuning"],
}
ROWS = {
    "fedhds": {},
    "random-same": {"method": "random"},
    "fedhds-turbo": {"method": "fedhds-turbo"},
    "fedhds-aligned": {"method": "fedhds-aligned"},
    "fedhds-quality": {"method": "fedhds-quality"},
    "fedhds, last layer": {"layers": "last"},
    "fedhds, PCA": {"fusion": "pca"},
    "fedhds, Kernel PCA": {"fusion": "kernel-pca"},
    "fedhds, no fusion": {"fusion": "none"},
    "fedhds, 5 dimensions": {"dimensions": 5},
    "fedhds, K-means": {"grouping": "kmeans", "groups": 8},
    "fedhds, no inter-client step": {"inter_client": "false"},
    "fedhds-100": {"samples": 100},
    "fedhds-turbo-100": {"method": "fedhds-turbo", "samples": 100},
    "fedhds-aligned-100": {"method": "fedhds-aligned", "samples": 100},
    "fedhds-quality-100": {"method": "fedhds-quality", "samples": 100},
    "random-100": {"method": "random", "samples": 100},
    "full": {"method": "full"},
}
"""Each row's changes to the ``selection`` of the config."""


def run(arguments: argparse.Namespace, row: str, seed: int) -> dict:
    """Run a row with one seed, or return what an earlier call left."""
    changes = dict(ROWS[row])
    if row == "random-same":  # as many a round as fedhds took on average
        chosen = run(arguments, "fedhds", seed)
        changes["samples"] = max(1, round(chosen["sample_passes"] / chosen["rounds"]))
    overrides = [
        f"data.train={arguments.data / 'train.jsonl.gz'}",
        f"data.eval={arguments.data / 'unseen.jsonl.gz'}",
        f"model.name={arguments.model}",
        f"model.threads={arguments.threads}",
        f"seed={seed}",
        *(f"selection.{key}={value}" for key, value in changes.items()),
    ]
    if changes.get("method") == "fedhds-turbo":
        overrides.append(f"model.proxy={arguments.model}")
    out = arguments.out / f"{row.replace(', ', '-').replace(' ', '-')}-seed{seed}"
    return fedhds.run(configuration.load(CONFIG, overrides), out, resume=True).summary


def table(kept: dict[str, dict[str, dict[str, float]]], threads: int) -> str:
    """Write the means over seeds, with their standard deviations, as Markdown."""
    lines = [
        "# P3, one client a task: mean ± standard deviation over the seeds",
        "",
        f"Machine: {platform.machine()}, {threads} thread(s), float32, no GPU. Other processes "
        "ran side by side, so times are upper bounds and say little between rows.",
        "Config: `configs/p3.yaml`; command: "
        "`python benchmarks/p3_table.py --data P3_FOLDER --model MODEL_FOLDER`.",
        "`random-same` selects as many samples a round as `fedhds` did on average with that "
        "seed; `-100` selects 100 a round.",
        "",
        "| method | seeds | " + " | ".join(FIGURES) + " |",
        "|---|---:|" + "---:|" * len(FIGURES),
    ]
    for name in (row for row in ROWS if row in kept):
        cells = [str(len(kept[name]))]
        for figure in FIGURES:
            values = [figures[figure] for figures in kept[name].values()]
            spread = stdev(values) if len(values) > 1 else 0.0
            digits = 0 if min(values) > 10 else 3
            cells.append(f"{mean(values):,.{digits}f} ± {spread:,.{digits}f}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/p3-table"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    arguments = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    for seed in arguments.seeds:
        for row in arguments.rows:
            summary = run(arguments, row, seed)
            # read anew each time, as another process may have written its own
            store = RESULTS / "p3.json"
            kept = json.loads(store.read_text()) if store.is_file() else {}
            figures = {figure: read(summary) for figure, read in FIGURES.items()}
            kept.setdefault(row, {})[str(seed)] = figures
            write_json(store, kept)
            (RESULTS / "p3.md").write_text(table(kept, arguments.threads), encoding="utf-8")
    print(table(kept, arguments.threads))


if __name__ == "__main__":
    main()
