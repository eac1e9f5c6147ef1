"""What merging the adapters of many clients takes of the server: memory, disk, time.

    python benchmarks/aggregation.py --clients 1000 --megabytes 12

Real Flower messages go through the in-process grid to an app that answers with random float32
adapters, drawn anew from its client's number, and the server merges them by FedAvg as in a run:
once as they arrive in order, once in reverse, where all but one must wait on disk. Each in a
process of its own; the memory is that of the whole process, clients included, at its peak, less
what it had before. ``--folder`` is where adapters wait (a folder in memory would be counted).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np
import psutil
from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp

from fedhds.aggregation.fedavg import FedAvg
from fedhds.codecs.float32 import Float32
from fedhds.federation.clients import Clients
from fedhds.federation.in_process import FIRST_CLIENT_NODE, InProcessGrid, flower_identity
from fedhds.federation.merging import tune_and_merge
from fedhds.federation.messages import ADAPTER, KINDS, TRAIN, Content, pack
from fedhds.files import TEMPORARY
from fedhds.rng import generator
from fedhds.types import Aggregation, Array, Arrays, Silent

LAYERS = 24
"""Arrays of an adapter, about as many as a small model's LoRA has."""


class Reversing(InProcessGrid):
    """The in-process grid with the last client's reply first."""

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterator[Message]:
        asked = []
        for message in messages:
            message.content = RecordDict()  # the client reads none, and a thousand do not fit
            asked.append(message)
        return super().send_and_receive(reversed(asked), timeout=timeout)


@dataclass(frozen=True)
class Watched(Aggregation):
    """FedAvg, with a look at the disk before it begins: all that come early have come then."""

    folder: Path
    waiting: list[int] = field(default_factory=list)

    def aggregate(self, trained: Iterable[tuple[Arrays, int]]) -> dict[str, Array]:
        files = self.folder.glob(f"{TEMPORARY}*/*")
        self.waiting.append(sum(path.stat().st_size for path in files))
        return FedAvg().aggregate(trained)


def adapter(client: int, megabytes: float) -> dict[str, Array]:
    """Draw a client's adapter."""
    rng, length = generator(0, "benchmark-aggregation", client), int(megabytes * 1e6 / 4 / LAYERS)
    return {f"layer.{n}": rng.standard_normal(length, np.float32) for n in range(LAYERS)}


def clients_app(megabytes: float) -> ClientApp:
    app = ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        client = int(context.node_config["partition-id"])
        samples = 1 + client % 7
        facts = dict.fromkeys(KINDS[TRAIN].up.facts, 0.0) | {"round": 1, "samples": samples}
        trained = {ADAPTER: adapter(client, megabytes)}
        return Message(pack(Content(facts | {"distinct": samples}, trained)), reply_to=message)

    return app


def measure(clients: int, megabytes: float, order: str, folder: Path) -> dict[str, float | str]:
    """Merge once in this process and say what it took."""
    untouched = {name: np.zeros_like(a) for name, a in adapter(0, megabytes).items()}
    process, started = psutil.Process(), time.perf_counter()
    before = process.memory_info().rss
    with flower_identity():
        grid = {"in order": InProcessGrid, "reversed": Reversing}[order](
            clients_app(megabytes), clients
        )
        reached = Clients(grid, Silent())
        reached.nodes = {client: FIRST_CLIENT_NODE + client for client in range(clients)}
        reached.samples = dict.fromkeys(range(clients), 7)
        content = Content({"choose": 1, "tune": 1}, {ADAPTER: untouched})
        contents, method = dict.fromkeys(range(clients), content), Watched(folder)
        merged = tune_and_merge(reached, contents, untouched, method, Float32(), folder, 1)
    assert merged.adapter is not None
    assert len(merged.samples) == clients
    digest = sha256(b"".join(array.tobytes() for array in merged.adapter.values()))
    return {
        "order": order,
        "memory growth, MB": round((peak(process) - before) / 1e6, 1),
        "disk, MB": round(method.waiting[0] / 1e6, 1),
        "merging, s": round(merged.seconds, 2),
        "in all, s": round(time.perf_counter() - started, 2),
        "digest": digest.hexdigest()[:16],
    }


def peak(process: psutil.Process) -> float:
    """Return the most bytes that a process had in memory (Linux says so, and forgets nothing)."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def main() -> None:
    """Measure both orders, each in a fresh process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--megabytes", type=float, default=12.0)
    parser.add_argument("--folder", type=Path, default=Path("runs"))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--order", choices=("in order", "reversed"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    if given.order:
        found = measure(given.clients, given.megabytes, given.order, given.folder)
        print(json.dumps(found))
        return
    for order in ("in order", "reversed"):
        command = [sys.executable, *sys.argv, "--order", order]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        if given.json:
            print(done.stdout, end="", flush=True)
            continue
        found = json.loads(done.stdout)
        print(", ".join(f"{name}: {value}" for name, value in found.items()), flush=True)


if __name__ == "__main__":
    main()
