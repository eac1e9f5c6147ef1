"""What a site's messages cost beside the model's own work: with a resident worker, and without.

    python benchmarks/worker.py --repeats 5

Every message is answered by a new process, as Flower's are, through the real ClientApp of a
deployment and the real worker of a process that stands for the SuperNode; what goes between
Flower's own processes is left out. The first message greets the site and starts its worker, which
loads everything; the second greets it again; then comes, twice, an adapter with which a coreset is
chosen at random and nothing is tuned. *Inside* is from the ClientApp's call to its return, *whole*
from the start of the message's process to its end. Without a worker every message's process loads
everything itself.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path
from statistics import median

from shared import machine

from fedhds.deployment.apps import client_app
from fedhds.federation.in_process import flower_identity
from fedhds.federation.messages import ADAPTER, HANDSHAKE, HELLO, TRAIN, Content, pack
from fedhds.federation.relay import SUPERNODE
from fedhds.files import (
    read_arrays,
    read_json,
    scratch_folder,
    write_arrays,
    write_json,
    write_text,
)

RESULTS = Path(__file__).parent / "results" / "worker.md"
EMBEDDED = files("fedhds") / "assets" / "tiny-llama"
LARGE = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 23}
"""Changes to the embedded model that make 300 million parameters of it."""

MESSAGES = ("first", "second", "adapter", "adapter again")
RUN = 7
BAR = 0.05
"""Of the first message's time, the most that the second's may take."""

EXPERIMENT = """
model: {name: MODEL}
data: {prompt: plain}
selection: {method: random, samples: 8}
federation: {engine: deployment, sites: [bench]}
"""


def content(name: str, home: Path) -> tuple[str, Content]:
    """Return a message's kind and content."""
    if not name.startswith("adapter"):
        return HELLO, Content({"run": RUN}, {HANDSHAKE: read_arrays(home / "digests")})
    arrays = {ADAPTER: read_arrays(home / "adapter"), "selection": read_arrays(home / "quota")}
    return TRAIN, Content({"run": RUN, "round": 1, "choose": 1, "tune": 0}, arrays)


def answer(name: str, home: Path) -> None:
    """Answer one message as a process of its own does, and write down the seconds inside."""
    import flwr.supernode.runtime.run_clientapp  # noqa: F401  as such a process does
    from flwr.app import Context, Message, RecordDict

    kind, said = content(name, home)
    own = {"data": home / "data.jsonl", "model": home / "model", "policy": home / "policy.yaml"}
    context = Context(RUN, 2, {k: str(v) for k, v in own.items()}, RecordDict(), {})
    with flower_identity():
        message = Message(pack(said), 2, kind, group_id="1")
        started = time.perf_counter()
        reply = client_app(home)(message, context)
        seconds = time.perf_counter() - started
    error = str(reply.error) if reply.has_error() else None
    write_json(home / "told.json", {"inside": seconds, "error": error})


def ask(name: str, home: Path, supernode: int) -> dict[str, float]:
    """Start a message's process and return its seconds, inside and whole."""
    command = [sys.executable, __file__, "--message", name, "--home", str(home)]
    started = time.perf_counter()
    # no pipe: the worker, which stays, would hold it open
    streams = dict.fromkeys(("stdout", "stderr"), subprocess.DEVNULL)
    subprocess.run(command, env={**os.environ, SUPERNODE: str(supernode)}, check=True, **streams)
    whole = time.perf_counter() - started
    told = read_json(home / "told.json")
    if told["error"]:
        raise RuntimeError(told["error"])
    return {"inside": told["inside"], "whole": whole}


def measure(home: Path, resident: bool) -> dict[str, dict[str, float]]:
    """Ask for each message once, of a SuperNode that is new, or of none."""
    supernode = subprocess.Popen(["sleep", "86400"])
    if not resident:  # a process that is gone has no worker
        supernode.kill()
        supernode.wait()
    try:
        return {name: ask(name, home, supernode.pid) for name in MESSAGES}
    finally:
        supernode.kill()
        supernode.wait()
        time.sleep(1)  # until its worker, which looks twice a second, has ended


def write_home(home: Path, changes: dict[str, int]) -> float:
    """Write a site's files and a server's messages; return the model's millions of parameters."""
    import numpy as np
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from fedhds import config as configuration
    from fedhds.models import adapter_arrays
    from fedhds.preparation import prepare
    from fedhds.rng import torch_stream
    from fedhds.sites import digests
    from fedhds.types import Silent

    shutil.copytree(str(EMBEDDED), home / "model")
    if changes:
        config = AutoConfig.from_pretrained(home / "model", **changes)
        with torch_stream(0, "worker-benchmark"):
            made = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        made.save_pretrained(home / "model")
        del made
    rows = [{"instruction": f"add {n}", "input": "", "output": str(n + 1)} for n in range(200)]
    write_text(home / "data.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows))
    write_text(home / "policy.yaml", "site: bench\n")
    write_text(home / "experiment.yaml", EXPERIMENT.replace("MODEL", str(home / "model")))
    experiment = prepare(configuration.load(home / "experiment.yaml"), Silent(), selects=False)
    arrays = adapter_arrays(experiment.model.model)
    write_arrays(home / "digests", digests(experiment))
    write_arrays(home / "adapter", experiment.config.codec_method.encode(arrays))
    write_arrays(home / "quota", {"quota": np.array([8])})
    return sum(p.numel() for p in experiment.model.model.parameters()) / 1e6


def spread(values: list[float]) -> str:
    """Write a median with the least and the most."""
    digits = 2 if median(values) >= 1 else 3
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def rows_of(name: str, ways: dict[bool, list[dict[str, dict[str, float]]]]) -> list[str]:
    """Write a model's rows: with a worker first, then without."""
    rows = []
    for resident, runs in ways.items():
        for message in MESSAGES:
            inside, whole = ([run[message][part] for run in runs] for part in ("inside", "whole"))
            shares = [run[message]["inside"] / run["first"]["inside"] for run in runs]
            way = "worker" if resident else "none"
            share = f"{100 * median(shares):.1f} % ({100 * max(shares):.1f} % at worst)"
            rows.append(
                f"| {name} | {way} | {message} | {spread(inside)} | {spread(whole)} | {share} |"
            )
    return rows


def main() -> None:
    """Measure both models, or answer a message for that."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--message", choices=MESSAGES)
    parser.add_argument("--home", type=Path)
    given = parser.parse_args()
    if given.message:
        answer(given.message, given.home)
        return
    rows, told = [], []
    for name, changes in (("embedded", {}), ("random Llama", LARGE)):
        with scratch_folder(None) as home:
            millions = write_home(home, changes)
            ways = {
                resident: [measure(home, resident) for _ in range(given.repeats)]
                for resident in (True, False)
            }
        rows += rows_of(f"{name}, {millions:.0f} M", ways)
        seconds = [[run[m]["inside"] for run in ways[True]] for m in ("first", "second")]
        worst = max(seconds[1]) / min(seconds[0])
        verdict = "met" if worst < BAR else "missed"
        percent = f"{100 * worst:.1f} %"
        told.append(f"{name}: {verdict}; the slowest second is {percent} of the fastest first.")
    write_text(RESULTS, "\n".join(page(rows, told, given.repeats)) + "\n")


def page(rows: list[str], told: list[str], repeats: int) -> list[str]:
    """Write the kept result."""
    what = (__doc__ or "").split("\n\n", 2)[2].replace("\n", " ").strip()
    return [
        "# What a site's messages cost, with a resident worker and without",
        "",
        f"Machine: {machine(os.cpu_count() or 1)}; shared with other work while this was measured.",
        f"Command: `python benchmarks/worker.py --repeats {repeats}`. {what}",
        "Seconds: median (least–most); weights are float32 in memory, and their files in the "
        "system's cache. The share is of the first message's inside, repeat by repeat.",
        "",
        "| model | loads | message | inside, s | whole, s | share of the first |",
        "|---|---|---|---:|---:|---:|",
        *rows,
        "",
        f"The bar: a second message costs, inside, under {100 * BAR:.0f} % of the first. "
        + " ".join(told),
    ]


if __name__ == "__main__":
    main()
