"""The main job on P3: `fedhds` against `random` of the same size and `full`, over seeds.

    python benchmarks/p3_table.py --data P3_FOLDER --model MODEL_FOLDER --seeds 0 1 2

P3_FOLDER holds ``train.jsonl.gz`` and ``unseen.jsonl.gz`` (fields task, instruction, input,
output). Finished runs under --out are kept and not run again, so that several processes
may share the seeds between them; the last one to run writes the table.
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path
from statistics import mean, stdev

import fedhds
from fedhds import config as configuration

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


def run(arguments: argparse.Namespace, method: str, seed: int, samples: int | None = None) -> dict:
    """Run one method with one seed, or return what an earlier call left."""
    name = method if samples is None else f"{method}-{samples}"
    changes = [
        f"data.train={arguments.data / 'train.jsonl.gz'}",
        f"data.eval={arguments.data / 'unseen.jsonl.gz'}",
        f"model.name={arguments.model}",
        f"model.threads={arguments.threads}",
        f"selection.method={method}",
        f"seed={seed}",
    ]
    if samples is not None:
        changes.append(f"selection.samples={samples}")
    checked = configuration.load(CONFIG, changes)
    out = arguments.out / f"{name}-seed{seed}"
    return {"name": name, **fedhds.run(checked, out, resume=True).summary}


def table(rows: dict[str, list[dict]], arguments: argparse.Namespace) -> str:
    """Write the means over seeds, with their standard deviations, as Markdown."""
    lines = [
        f"# P3, one client a task: {len(arguments.seeds)} seeds, mean ± standard deviation",
        "",
        f"Machine: {platform.machine()}, {arguments.threads} thread(s) of "
        f"{rows['fedhds'][0]['machine']['cpus']} cores, float32, no GPU. Two processes ran side by "
        "side, so times are upper bounds; ratios between rows are what to read.",
        "Config: `configs/p3.yaml`; command: "
        "`python benchmarks/p3_table.py --data P3_FOLDER --model MODEL_FOLDER`.",
        "`random-same` selects as many samples a round as `fedhds` did on average with that seed.",
        "",
        "| method | " + " | ".join(FIGURES) + " |",
        "|---|" + "---:|" * len(FIGURES),
    ]
    for name, summaries in rows.items():
        cells = []
        for figure in FIGURES.values():
            values = [figure(summary) for summary in summaries]
            spread = stdev(values) if len(values) > 1 else 0.0
            digits = 0 if min(values) > 10 else 3
            cells.append(f"{mean(values):,.{digits}f} ± {spread:,.{digits}f}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    before = rows["fedhds"]
    lines += [
        "",
        f"Before tuning: unseen loss {mean(s['loss_before'] for s in before):.3f}, unseen Rouge-L "
        f"{mean(s['rouge_l_before'] for s in before):.4f}, validation loss "
        f"{mean(s['validation']['before']['loss'] for s in before):.3f}.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/p3-table"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--budget", type=int, default=100, help="a second, larger equal size")
    arguments = parser.parse_args()
    rows: dict[str, list[dict]] = {}
    for seed in arguments.seeds:
        chosen = run(arguments, "fedhds", seed)
        same = max(1, round(chosen["sample_passes"] / chosen["rounds"]))
        runs = {
            "fedhds": chosen,
            "random-same": run(arguments, "random", seed, same),
            f"fedhds-{arguments.budget}": run(arguments, "fedhds", seed, arguments.budget),
            f"random-{arguments.budget}": run(arguments, "random", seed, arguments.budget),
            "full": run(arguments, "full", seed),
        }
        for name, summary in runs.items():
            rows.setdefault(name, []).append(summary)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "p3.md").write_text(table(rows, arguments), encoding="utf-8")
    figures = {
        name: {
            str(summary["seed"]): {figure: read(summary) for figure, read in FIGURES.items()}
            for summary in summaries
        }
        for name, summaries in rows.items()
    }
    versions = rows["fedhds"][0]["versions"]
    plain = json.dumps({"versions": versions, "by method and seed": figures}, indent=1)
    (RESULTS / "p3.json").write_text(plain + "\n", encoding="utf-8")
    print(table(rows, arguments))


if __name__ == "__main__":
    main()
