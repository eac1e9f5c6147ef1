"""Merging replies of a real Flower app, whatever the order they arrive in."""

import time
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import pytest
from flwr.app import Error, Message
from flwr.clientapp import ClientApp
from hypothesis import given, settings
from hypothesis import strategies as st

from fedhds import registry
from fedhds.codecs.float32 import Float32
from fedhds.federation.clients import Clients
from fedhds.federation.in_process import FIRST_CLIENT_NODE, InProcessGrid, flower_identity
from fedhds.federation.merging import Merged, tune_and_merge
from fedhds.federation.messages import ADAPTER, KINDS, TRAIN, Content, pack
from fedhds.rng import generator
from fedhds.types import Aggregation, Silent

CLIENTS = 6
SAMPLES = {0: 3, 1: 8, 2: 1, 3: 0, 4: 5, 5: 2}
"""Client 3 selects nothing, so it trains nothing."""

UNTOUCHED = {"w": np.zeros((2, 3), np.float32)}


class Reordering(InProcessGrid):
    """The in-process engine with replies in an order of one's own, as in a simulation."""

    order: tuple[int, ...] = tuple(range(CLIENTS))

    def send_and_receive(self, messages, *, timeout=None):
        asked = list(messages)
        yield from super().send_and_receive([asked[place] for place in self.order])


def adapter(client):
    rng = generator(0, "merging", client)
    return {"w": rng.normal(size=(2, 3)).astype(np.float32)}


def reply(client, samples):
    facts = dict.fromkeys(KINDS[TRAIN].up.facts, 0) | {"round": 1, "samples": samples}
    facts["distinct"] = samples
    return Content(facts, {ADAPTER: adapter(client)} if samples else {})


def merge(folder, aggregation, order=range(CLIENTS), samples=SAMPLES, work=lambda: None) -> Merged:
    """Let six clients answer in an order; those without an entry in ``samples`` fail."""
    app = ClientApp()

    @app.train()
    def train(message, context):
        client = int(context.node_config["partition-id"])
        work()
        if client not in samples:
            return Message(Error(100, f"no {client}"), reply_to=message)
        return Message(pack(reply(client, samples[client])), reply_to=message)

    with flower_identity():
        grid = Reordering(app, CLIENTS)
        grid.order = tuple(order)
        clients = Clients(grid, Silent())
        clients.nodes = {client: FIRST_CLIENT_NODE + client for client in range(CLIENTS)}
        clients.samples = dict.fromkeys(range(CLIENTS), 8)
        asked = Content({"choose": 1, "tune": 1}, {ADAPTER: UNTOUCHED})
        contents = dict.fromkeys(range(CLIENTS), asked)
        return tune_and_merge(clients, contents, UNTOUCHED, aggregation, Float32(), folder, 1)


@dataclass(frozen=True)
class Watching(Aggregation):
    """Takes the last adapter, and notes what waits on disk whenever it gets one."""

    folder: object
    stop_after: int = CLIENTS
    seen: list[int] = field(default_factory=list)

    def aggregate(self, trained):
        last = {}
        for last, _ in islice(trained, self.stop_after):  # noqa: B007
            self.seen.append(len(list(self.folder.rglob("[0-9]*"))))
        return dict(last)


@dataclass(frozen=True)
class Failing(Aggregation):
    """Has a bug that shows at the first adapter."""

    def aggregate(self, trained):
        next(iter(trained))
        raise ZeroDivisionError


@pytest.mark.parametrize("name", registry.names("aggregation"))
@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(CLIENTS)))
def test_order_of_arrival_changes_no_bit(tmp_path_factory, name, order):
    folder, method = tmp_path_factory.mktemp("merging"), registry.load("aggregation", name)()
    first, second = merge(folder, method), merge(folder, method, order)
    assert np.array_equal(first.adapter["w"], second.adapter["w"])
    assert list(first.facts) == list(second.facts) == list(range(CLIENTS))
    assert list(first.samples.items()) == list(second.samples.items())


def test_adapters_are_weighted_by_the_samples_of_their_own_clients(tmp_path):
    merged = merge(tmp_path, registry.load("aggregation", "fedavg")(), reversed(range(CLIENTS)))
    # 3 + 8 + 1 + 0 + 5 + 2 = 19
    expected = sum(adapter(client)["w"] * (count / 19) for client, count in SAMPLES.items())
    assert np.allclose(merged.adapter["w"], expected, atol=1e-6)
    assert merged.samples == {client: count for client, count in SAMPLES.items() if count}


@pytest.mark.parametrize(
    ("order", "waiting"),
    [
        ((0, 1, 2, 3, 4, 5), [0, 0, 0, 0, 0]),
        # client 0 comes last, before it the four others that trained; each turn takes one
        ((5, 4, 3, 2, 1, 0), [4, 3, 2, 1, 0]),
        # when client 1 has its turn, 2 and 5 wait; then 4 comes before 5
        ((0, 5, 2, 1, 3, 4), [0, 2, 1, 1, 0]),
    ],
)
def test_only_what_comes_early_waits_on_disk_and_nothing_stays(tmp_path, order, waiting):
    method = Watching(tmp_path)
    merge(tmp_path, method, order)
    assert method.seen == waiting
    assert list(tmp_path.iterdir()) == []


def test_nothing_stays_on_disk_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError):
        merge(tmp_path, Failing(), reversed(range(CLIENTS)))
    assert list(tmp_path.iterdir()) == []


def test_failed_clients_are_not_waited_for(tmp_path):
    some = {1: 8, 4: 5}
    merged = merge(tmp_path, Watching(tmp_path), (5, 4, 0, 3, 2, 1), some)
    assert merged.samples == some
    assert merged.failed == {client: f"no {client}" for client in (0, 2, 3, 5)}
    assert list(merged.failed) == [0, 2, 3, 5]


def test_reply_that_contradicts_itself_is_not_merged(tmp_path):
    # every client has 8 samples, so nobody can have trained on 9
    merged = merge(tmp_path, Watching(tmp_path), reversed(range(CLIENTS)), SAMPLES | {2: 9})
    assert list(merged.samples) == [0, 1, 4, 5]
    assert "contradict each other" in merged.failed[2]


@pytest.mark.parametrize("samples", [{}, dict.fromkeys(range(CLIENTS), 0)])
def test_nothing_is_aggregated_where_nobody_trained(tmp_path, samples):
    merged = merge(tmp_path, Failing(), samples=samples)
    assert merged.adapter is None
    assert (list(merged.facts), len(merged.failed)) == (list(samples), CLIENTS - len(samples))


def test_method_that_stops_reading_leaves_no_client_uncounted(tmp_path):
    merged = merge(tmp_path, Watching(tmp_path, stop_after=2))
    assert np.array_equal(merged.adapter["w"], adapter(1)["w"])
    assert list(merged.facts) == list(range(CLIENTS))


def test_waiting_for_clients_is_no_time_of_merging(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def work():
        now[0] += 10

    assert merge(tmp_path, Watching(tmp_path), (0, 5, 2, 1, 3, 4), work=work).seconds == 0
    assert now[0] == 10 * CLIENTS
