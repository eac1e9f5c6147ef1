"""Records all traffic of a run and finds nothing in it that the message table does not allow."""

import math
from collections import Counter

import numpy as np
import pytest
from flwr.app import ArrayRecord, Context, MetricRecord, RecordDict
from scorers import scorer
from tiny import EOS, sample, tiny_language_model

from fedhds import registry
from fedhds.aggregation.fedavg import FedAvg
from fedhds.federation.checkpoint import RunState
from fedhds.federation.client_app import Site, build_client_app
from fedhds.federation.client_store import ClientStore, RoundAdapter
from fedhds.federation.in_process import RUN_ID, SERVER_NODE, InProcessGrid, flower_identity
from fedhds.federation.messages import (
    ADAPTER,
    EVALUATE,
    HELLO,
    KINDS,
    SELECT,
    SELECTION,
    STAGE,
    TRAIN,
)
from fedhds.federation.rounds import Rounds, play
from fedhds.federation.server_app import build_server_app
from fedhds.models import adapter_arrays
from fedhds.rng import generator
from fedhds.signals import Reader
from fedhds.tuning.options import TuningOptions
from fedhds.types import ClientData, Silent

CLIENTS, SAMPLES = 3, 23
"""23 is the length of nothing that may travel, so an axis of 23 would be per-sample values."""


class Recording(InProcessGrid):
    """The in-process engine, keeping every message it carries."""

    def __init__(self, app, clients):
        super().__init__(app, clients)
        self.kept = []

    def _answer(self, message):
        self.kept.append(("down", message.metadata.message_type, message.content))
        reply = super()._answer(message)
        self.kept.append(("up", message.metadata.message_type, reply.content))
        return reply


def client_data(client):
    rng = generator(0, "wire", client)
    samples = [
        sample(rng.integers(4, 90, 9).tolist(), [*rng.integers(4, 90, 4).tolist(), EOS])
        for _ in range(SAMPLES)
    ]
    return ClientData(f"secret-name-{client}", tuple(samples), tuple(samples[:3]))


@pytest.fixture(
    scope="module",
    params=[
        *((method, "float32") for method in registry.names("selection")),
        *(("fedhds", codec) for codec in registry.names("codec") if codec != "float32"),
    ],
    ids="-".join,
)
def run(request):
    """A selection method and a codec."""
    method, codec = request.param
    return registry.load("selection", method)(), registry.load("codec", codec)()


@pytest.fixture(scope="module")
def traffic(run, tmp_path_factory):
    """All (direction, kind, records) of two rounds with one selection method and one codec."""
    method, codec = run
    model, folder = tiny_language_model(), tmp_path_factory.mktemp("wire")

    def site(context: Context, run: int) -> Site:
        client = int(context.node_config["partition-id"])
        data = client_data(client)
        kept = ClientStore(folder / str(client)), RoundAdapter(folder / "adapter")
        readers = {
            name: Reader(
                scorer() if name == "scorer" else model, data.train, 8, name != "tuned", Silent()
            )
            for name, _ in method.reads().values()
        }
        tuning = TuningOptions()
        schema = codec.schema(adapter_arrays(model))
        own = client, data, model, readers, method, tuning, 4, 8, 0
        return Site(*own, *kept, None, Silent(), codec, schema)

    samples = 7 if method.budget == "required" else None
    rounds = Rounds(
        method, FedAvg(), codec, rounds=2, fraction=1.0, seed=0, samples=samples, every=1
    )
    state = RunState(adapter_arrays(model.model))
    server = build_server_app(
        lambda clients: play(clients, state, rounds, None, lambda _: None, Silent()), Silent()
    )
    with flower_identity():
        grid = Recording(build_client_app(site), CLIENTS)
        server(grid, Context(RUN_ID, SERVER_NODE, {}, RecordDict(), {}))
    return grid.kept


def test_only_kinds_of_the_table_travel(traffic):
    kinds = {kind for _, kind, _ in traffic}
    assert kinds - {SELECT} == {HELLO, TRAIN, EVALUATE}
    assert kinds <= set(KINDS)


def test_only_records_and_facts_of_the_table_travel(traffic):
    for way, kind, records in traffic:
        part = getattr(KINDS[kind], way)
        groups = {name for name, record in records.items() if isinstance(record, ArrayRecord)}
        assert set(part.required) <= groups <= {*part.required, *part.optional}
        (facts,) = (record for record in records.values() if not isinstance(record, ArrayRecord))
        assert isinstance(facts, MetricRecord)
        assert set(facts) == set(part.facts)
        assert all(isinstance(value, int | float) for value in facts.values())


def test_arrays_along_the_samples_are_sent_by_methods_that_say_so_alone(run, traffic):
    shapes = {
        array.shape
        for _, _, records in traffic
        for a in records.array_records.values()
        for array in a.values()
    }
    assert shapes
    assert any(SAMPLES in shape for shape in shapes) == (not run[0].private)


def test_no_text_and_no_token_ids_travel(traffic):
    carried = b"".join(
        array.data
        for _, _, records in traffic
        for a in records.array_records.values()
        for array in a.values()
    )
    assert b"secret-name" not in carried
    for client in range(CLIENTS):
        for each in client_data(client).train:
            for kind in (np.int64, np.int32, np.uint16, np.uint8, np.float32):
                assert np.array(each.prompt, kind).tobytes() not in carried


def test_adapters_travel_as_the_codec_writes_them(run, traffic):
    schema = run[1].schema(adapter_arrays(tiny_language_model().model))
    sent = [(way, kind, r[ADAPTER]) for way, kind, r in traffic if ADAPTER in r]
    assert {("down", TRAIN), ("up", TRAIN), ("down", EVALUATE)} & {each[:2] for each in sent}
    lengths = Counter()
    for spec in schema.values():
        lengths[spec.dtype] += math.prod(spec.shape)
    for _, _, arrays in sent:
        assert {a.dtype: math.prod(a.shape) for a in arrays.values()} == lengths
        assert len(arrays) == len(lengths)


def test_the_first_exchange_brings_a_stage_at_most(run, traffic):
    steps = [r for way, kind, r in traffic if (way, kind) == ("down", SELECT)]
    first = [records for records in steps if not records["facts"]["step"]]
    names = set().union(*(records.get(SELECTION, {}) for records in first))
    assert names == (set() if run[0].schedule(1, 2).stage is None else set(STAGE))


def test_clients_are_sent_the_adapter_once_a_round(traffic):
    for round in (1, 2):
        down = [
            records
            for way, kind, records in traffic
            if way == "down" and kind in (SELECT, TRAIN) and records["facts"]["round"] == round
        ]
        assert sum(ADAPTER in records for records in down) == CLIENTS
