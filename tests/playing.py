"""Rounds of a small federation on real Flower, in process, with a tiny model."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flwr.app import Context, RecordDict
from flwr.clientapp import ClientApp
from tiny import random_samples, tiny_language_model

from fedhds.aggregation.fedavg import FedAvg
from fedhds.codecs.float32 import Float32
from fedhds.federation.checkpoint import RunState
from fedhds.federation.client_app import Site, build_client_app
from fedhds.federation.client_store import ClientStore, RoundAdapter
from fedhds.federation.clients import Clients
from fedhds.federation.in_process import RUN_ID, SERVER_NODE, InProcessGrid, flower_identity
from fedhds.federation.rounds import Rounds, play
from fedhds.federation.server_app import build_server_app
from fedhds.models import adapter_arrays
from fedhds.signals import Reader
from fedhds.tuning.options import TuningOptions
from fedhds.types import ClientData, Codec, SelectionMethod, Silent

SIZES = (4, 5, 6, 7, 0)
"""Training samples of the five clients."""

RUN = 7
"""The run's number."""


def play_rounds(
    folder: Path,
    method: SelectionMethod,
    state: RunState | None = None,
    lr: float = 0.01,
    batch_size: int = 1,
    codec: Codec = Float32(),  # noqa: B008
    grid: Callable[[ClientApp, int], InProcessGrid] = InProcessGrid,
    deadline: float | None = None,
    absent: Sequence[int] = (),
    **settings: Any,
) -> tuple[RunState, list[dict[str, Any]], list[int]]:
    """Play rounds with five clients of `SIZES` samples; return state, lines, saved rounds.

    ``absent`` are clients that the server does not know of.
    """
    model = tiny_language_model()
    state = state or RunState(adapter_arrays(model.model))
    saved: list[int] = []

    def site(context: Context, run: int) -> Site:
        assert run == RUN
        client = int(context.node_config["partition-id"])
        data = ClientData(
            f"c{client}",
            tuple(random_samples(SIZES[client], seed=client)),
            tuple(random_samples(2, seed=50 + client)),
        )
        kept = ClientStore(folder / str(client)), RoundAdapter(folder / "adapter")
        readers = {"tuned": Reader(model, data.train, 4, False, Silent())}
        tuning = TuningOptions(lr=lr, batch_size=batch_size)
        schema = codec.schema(adapter_arrays(model))
        own = client, data, model, readers, method, tuning, 4, 4, 0
        return Site(*own, *kept, None, Silent(), codec, schema)

    defaults = {"aggregation": FedAvg(), "rounds": 2, "fraction": 1.0, "seed": 0}
    rounds = Rounds(method=method, codec=codec, **defaults | settings)

    def lead(clients: Clients) -> None:
        for client in absent:
            del clients.nodes[client]
        play(clients, state, rounds, None, lambda now: saved.append(now.round), Silent())

    server = build_server_app(lead, Silent(), RUN, deadline)
    with flower_identity():
        hosted = grid(build_client_app(site), len(SIZES))
        server(hosted, Context(RUN_ID, SERVER_NODE, {}, RecordDict(), {}))
    return state, [json.loads(line) for line in state.lines], saved
