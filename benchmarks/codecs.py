"""What fewer bytes on the wire do to the result: each codec on the toy federation, over seeds.

    python benchmarks/codecs.py --seeds 0 1 2

The setting is that of ``fedhds demo``. There a codec also changes which samples are chosen, as
clients read their signals with what they receive; so the same is run with as many samples drawn
at random, which are the same for all codecs. Finished runs under --out are not run again.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import fedhds
from fedhds import config as configuration
from fedhds import registry
from fedhds.files import write_text

CONFIG = Path(str(files("fedhds") / "assets" / "demo.yaml"))
RESULTS = Path(__file__).parent / "results" / "codecs.md"
SELECTIONS = {"fedhds": [], "random": ["selection.method=random", "selection.samples=20"]}
"""Changes to the config; 20 a round are about as many as `fedhds` takes."""

FIGURES: dict[str, tuple[Callable[[dict[str, Any]], float], int]] = {
    "validation loss": (lambda s: s["validation"]["after"]["loss"], 3),
    "unseen loss": (lambda s: s["loss_after"], 3),
    "unseen Rouge-L": (lambda s: s["rouge_l_after"], 3),
    "adapters down, kB": (lambda s: s["bytes"]["adapters_down"] / 1e3, 1),
    "adapters up, kB": (lambda s: s["bytes"]["adapters_up"] / 1e3, 1),
}
"""How each figure is read from a summary, and its digits."""


def run(selection: str, codec: str, seed: int, folder: Path) -> dict[str, Any]:
    """Run the demo's setting with a codec, or return what an earlier call left."""
    changes = [*SELECTIONS[selection], f"federation.codec={codec}", f"seed={seed}"]
    out = folder / f"{selection}-{codec}-seed{seed}"
    return fedhds.run(configuration.load(CONFIG, changes), out, resume=True).summary


def table(summaries: dict[tuple[str, str], list[dict[str, Any]]], seeds: list[int]) -> str:
    """Write the means over seeds, with their standard deviations, as Markdown."""
    lines = [
        "# Codecs on the toy federation: mean ± standard deviation over the seeds",
        "",
        f"Machine: {platform.machine()}, 1 thread, float32, no GPU; seeds {seeds}.",
        "Config: that of `fedhds demo` with `federation.codec`; command: "
        "`python benchmarks/codecs.py`.",
        "`random` draws 20 samples a round, the same for each codec; `fedhds` chooses by what "
        "clients receive, so that its coresets differ between codecs.",
        "",
        "| selection | codec | " + " | ".join(FIGURES) + " |",
        "|---|---|" + "---:|" * len(FIGURES),
    ]
    for (selection, codec), runs in summaries.items():
        cells = []
        for read, digits in FIGURES.values():
            values = [read(summary) for summary in runs]
            spread = stdev(values) if len(values) > 1 else 0.0
            cells.append(f"{mean(values):,.{digits}f} ± {spread:,.{digits}f}")
        lines.append(f"| {selection} | {codec} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/codecs"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    codecs = sorted(registry.names("codec"), key=lambda name: name != "float32")
    summaries = {
        (selection, codec): [run(selection, codec, seed, given.out) for seed in given.seeds]
        for selection in SELECTIONS
        for codec in codecs
    }
    text = table(summaries, given.seeds)
    write_text(RESULTS, text)
    print(text)


if __name__ == "__main__":
    main()
