"""Sites with policies in real runs: a server that asks for more gets a reason, and no more."""

import json
import re
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import ClassVar

import pytest
from flwr.app import Context, Message, MetricRecord, RecordDict
from tiny import random_samples, tiny_language_model

from fedhds.aggregation.fedavg import FedAvg
from fedhds.codecs.float32 import Float32
from fedhds.config import asked, parse
from fedhds.federation.checkpoint import RunState
from fedhds.federation.client_app import Site, build_client_app
from fedhds.federation.client_store import CORESET, ClientStore, RoundAdapter
from fedhds.federation.in_process import (
    FIRST_CLIENT_NODE,
    RUN_ID,
    SERVER_NODE,
    InProcessGrid,
    flower_identity,
    run_in_process,
)
from fedhds.federation.ledger import Ledger, error_entry, hash_of_facts
from fedhds.federation.messages import ADAPTER, FAILED, NOT_KEPT, REFUSED, Content, pack
from fedhds.federation.policy import Policy
from fedhds.federation.rounds import Rounds, play
from fedhds.federation.server_app import build_server_app
from fedhds.federation.site_guard import UNGUARDED, ClosedGuard, PolicyGuard, Refused
from fedhds.models import adapter_arrays
from fedhds.signals import Reader
from fedhds.tuning.options import TuningOptions
from fedhds.types import ClientData, RunFailed, SelectionMethod, Silent

SIZES = (6, 8, 10)
EPOCH = TuningOptions()
NORTH = Policy("north")
"""The policy of client 1, a careful site's but for what a test allows or forbids."""


class Recording(InProcessGrid):
    """The in-process engine, keeping every reply that arrives at the server."""

    def __init__(self, app, clients):
        super().__init__(app, clients)
        self.replies = []

    def _answer(self, message):
        reply = super()._answer(message)
        self.replies.append((message.metadata.dst_node_id, message.metadata.message_type, reply))
        return reply

    def of_north(self):
        """Return kind and reply of what left the site with the policy."""
        return [(kind, reply) for node, kind, reply in self.replies if node == node_of(1)]


def node_of(client):
    return FIRST_CLIENT_NODE + client


def client_app(folder, policy, config, opened=None, north=EPOCH):
    """Build the ClientApp of three clients, of which client 1 has a policy and a ledger."""
    model, method = tiny_language_model(), config.selection_method

    def open_guard(context: Context, run: int):
        north = context.node_config["partition-id"] == 1
        return PolicyGuard(policy, asked(config), Ledger(folder)) if north else UNGUARDED

    def open_site(context: Context, run: int) -> Site:
        client = int(context.node_config["partition-id"])
        if opened is not None:
            opened.append(client)
        train = tuple(random_samples(SIZES[client], seed=client))
        data = ClientData(f"c{client}", train, tuple(random_samples(3, seed=50 + client)))
        readers = {
            name: Reader(model, train, 4, name != "tuned", Silent())
            for name, _ in method.reads().values()
        }
        kept = ClientStore(folder / str(client)), RoundAdapter(folder / "adapter")
        tuning = north if client == 1 else TuningOptions()
        own = client, data, model, readers, method, tuning, 4, 4, 0
        schema = Float32().schema(adapter_arrays(model))
        return Site(*own, *kept, folder / "coreset.jsonl", Silent(), Float32(), schema)

    return build_client_app(open_site, open_guard)


def play_run(
    folder,
    policy,
    selection=None,
    rounds=1,
    opened=None,
    north=EPOCH,
    **settings,
):
    """Play rounds with all three clients; return their records and the engine."""
    config = parse({"selection": selection or {"method": "full"}, **settings})
    state = RunState(adapter_arrays(tiny_language_model().model))
    chosen = config.selection
    numbers = Rounds(
        config.selection_method,
        FedAvg(),
        Float32(),
        rounds,
        1.0,
        0,
        samples=chosen.samples,
        every=1,
    )
    server = build_server_app(
        lambda clients: play(clients, state, numbers, None, lambda _: None, Silent()), Silent()
    )
    with flower_identity():
        grid = Recording(client_app(folder, policy, config, opened, north), len(SIZES))
        server(grid, Context(RUN_ID, SERVER_NODE, {}, RecordDict(), {}))
    return [json.loads(line) for line in state.lines], grid


def log_of(folder):
    entries, torn = Ledger(folder).entries()
    assert torn == []
    return entries


FORBIDDEN = [
    (
        {"methods": ("random", "fedhds-aligned")},
        {"method": "full"},
        {},
        "its policy does not allow the method full; allowed: fedhds-aligned and random",
    ),
    (
        {"methods": ("full",)},
        {"method": "full", "filter": {"method": "random"}},
        {},
        "its policy does not allow the method random; allowed: full",
    ),
    (
        {"smallest_group": 1},
        {"method": "coreset-cent"},
        {},
        "no policy allows coreset-cent, which sends numbers of single samples",
    ),
    (
        {},
        {"method": "density", "samples": 6},
        {},
        "density may describe 1 sample to the server, and its policy nothing of fewer than 3",
    ),
    (
        {"smallest_group": 1, "least_noise": 0.5},
        {"method": "fedhds", "noise": 0.1},
        {},
        "its policy asks for noise of at least 0.5 on what describes groups, and fedhds adds 0.1",
    ),
    (
        {"epsilon": 8.0},
        {"method": "full"},
        {},
        "its policy bounds the differential privacy that a run may spend (epsilon, delta), and "
        "this version guarantees none: no bound can be kept",
    ),
    (
        {},
        {"method": "full"},
        {"model": {"trust_remote_code": True}},
        "its policy runs no code of a base model (model.trust_remote_code)",
    ),
]
"""What the policy says, what the server asks for, and the reason why not."""


@pytest.mark.parametrize(
    ("changes", "selection", "settings", "reason"), FORBIDDEN, ids=lambda each: str(each)[:30]
)
def test_a_site_takes_no_part_in_a_run_that_its_policy_does_not_allow(
    tmp_path, changes, selection, settings, reason
):
    opened = []
    lines, grid = play_run(
        tmp_path, replace(NORTH, **changes), selection, opened=opened, **settings
    )
    # the server sees it, the others go on, and nothing of the site was loaded
    assert lines[0]["remarks"][-1] == f"a client takes no part: site 'north' refuses: {reason}"
    assert lines[0]["clients"] == [0, 2]
    assert lines[0]["failed"] == {}
    assert lines[0]["samples"] > 0
    assert set(opened) == {0, 2}
    ((kind, reply),) = grid.of_north()
    assert (kind, reply.error.code) == ("query.hello", REFUSED)
    (entry,) = log_of(tmp_path)
    assert (entry.refused, entry.reason) == (True, f"site 'north' refuses: {reason}")


@pytest.mark.parametrize(
    ("changes", "selection"),
    [
        ({}, {"method": "full"}),
        ({}, {"method": "fedhds-aligned", "dimensions": 8, "features": "states"}),
        ({"smallest_group": 2}, {"method": "fedhds", "minimum_group": 2}),
        ({"least_noise": 0.1}, {"method": "fedhds", "minimum_group": 3, "noise": 0.1}),
        ({"least_noise": 0.1}, {"method": "full"}),  # which describes no group
        ({"methods": ("full", "random")}, {"method": "full", "filter": {"method": "random"}}),
    ],
    ids=str,
)
def test_a_run_that_a_policy_allows_goes_its_way(tmp_path, changes, selection):
    method = selection["method"]
    policy = replace(NORTH, **changes)
    # as many samples as there are: what is chosen is then enough for an adapter of each
    budget = {} if method == "full" else {"samples": sum(SIZES)}
    lines, _ = play_run(tmp_path, policy, selection | budget)
    assert lines[0]["clients"] == [0, 1, 2]
    assert lines[0]["failed"] == {}
    assert not any(entry.reason for entry in log_of(tmp_path))


def test_a_run_that_every_site_refuses_ends_with_the_reason(tmp_path):
    config = parse({"selection": {"method": "full"}})
    policy = replace(NORTH, methods=())
    app = build_client_app(
        None, lambda context, run: PolicyGuard(policy, asked(config), Ledger(tmp_path))
    )
    server = build_server_app(lambda clients: pytest.fail("nobody is there"), Silent())
    with pytest.raises(RunFailed, match=r"every client refuses \(site 'north' refuses: its policy"):
        run_in_process(server, app, 2)


@pytest.mark.parametrize(
    ("changes", "selection", "reason"),
    [
        (
            {"samples_per_round": 7},
            {"method": "full"},
            "the round was to tune on 8 samples, of 7 allowed",
        ),
        (
            {},
            {"method": "random", "samples": 4},  # 4 of 24, by size: 1, 1.33 and 1.67
            "an adapter of 1 sample would tell of them; its policy asks for 3",
        ),
        (
            {"largest_message": 1000},  # an adapter has more
            {"method": "full"},
            r"the message to it has \d,\d\d\d bytes, of 1,000 allowed",
        ),
    ],
    ids=str,
)
def test_a_round_goes_on_without_a_site_that_was_asked_for_too_much(
    tmp_path, changes, selection, reason
):
    lines, grid = play_run(tmp_path, replace(NORTH, **changes), selection, rounds=2)
    for line in lines:
        assert list(line["failed"]) == ["1"]
        assert re.fullmatch(f"site 'north' refuses: {reason}", line["failed"]["1"])
        assert line["clients"] == [0, 1, 2]
        assert line["samples"] > 0
    # what it refuses is all that it says of it, and all that its log says
    said = [reply.error.reason for kind, reply in grid.of_north() if kind == "train"]
    assert said == [line["failed"]["1"] for line in lines]
    kept = [entry for entry in log_of(tmp_path) if entry.kind == "train"]
    assert [entry.reason for entry in kept] == said
    assert [entry.round for entry in kept] == [1, 2]
    assert all(entry.refused and not entry.arrays for entry in kept)


@pytest.mark.parametrize(
    ("options", "learnt"),
    [
        (TuningOptions(steps=1, batch_size=1), "1 sample"),
        (TuningOptions(steps=1, batch_size=2), "2 samples"),
        (TuningOptions(steps=2, batch_size=1), "2 samples"),
    ],
    ids=["one step", "one step of two", "two steps"],
)
def test_an_adapter_that_a_few_of_many_samples_changed_does_not_leave(tmp_path, options, learnt):
    lines, grid = play_run(tmp_path, NORTH, north=options)  # all 8 are its coreset
    told = f"an adapter of {learnt} would tell of them; its policy asks for 3"
    assert lines[0]["failed"] == {"1": f"site 'north' refuses: {told}"}
    assert all(reply.has_error() for kind, reply in grid.of_north() if kind == "train")


def test_as_many_steps_as_the_policy_asks_samples_for_are_enough(tmp_path):
    lines, _ = play_run(tmp_path, NORTH, north=TuningOptions(steps=3, batch_size=1))
    assert lines[0]["failed"] == {}


def trained(folder, policy, round):
    """Have the site tune on its 8 samples once more; return the reply."""
    adapter = pack(Content({}, {ADAPTER: adapter_arrays(tiny_language_model().model)}))[ADAPTER]
    facts = {"run": 0, "round": round, "choose": 1, "tune": 1}
    return ask(folder, policy, "train", facts, adapter=adapter)


def test_samples_are_counted_over_all_messages_of_a_round(tmp_path):
    policy = replace(NORTH, samples_per_round=20)
    assert [trained(tmp_path, policy, 5).has_error() for _ in range(3)] == [False, False, True]
    refused = trained(tmp_path, policy, 5)
    told = "site 'north' refuses: the round was to tune on 24 samples, of 20 allowed"
    assert (refused.error.code, refused.error.reason) == (REFUSED, told)
    assert not trained(tmp_path, policy, 6).has_error()  # another round has its own


def test_what_was_not_tuned_on_does_not_count(tmp_path):
    policy = replace(NORTH, samples_per_round=8)
    assert trained(tmp_path, replace(policy, samples_per_round=7), 5).has_error()
    assert not trained(tmp_path, policy, 5).has_error()


def test_tuning_leaves_no_copy_of_samples_and_choosing_alone_does(tmp_path):
    adapter = pack(Content({}, {ADAPTER: adapter_arrays(tiny_language_model().model)}))[ADAPTER]
    assert not trained(tmp_path, NORTH, 1).has_error()
    assert not (tmp_path / "coreset.jsonl").exists()
    facts = {"run": 0, "round": 2, "choose": 1, "tune": 0}
    assert not ask(tmp_path, NORTH, "train", facts, adapter=adapter).has_error()
    assert len((tmp_path / "coreset.jsonl").read_text().splitlines()) == 8


def test_a_site_of_too_few_samples_does_not_tell_how_many(tmp_path):
    _, grid = play_run(tmp_path, replace(NORTH, smallest_group=9))  # it has 8
    (hello,) = (reply for kind, reply in grid.of_north() if kind == "query.hello")
    assert (hello.content["facts"]["samples"], hello.content["facts"]["validation"]) == (0, 0)


@pytest.mark.parametrize("kind", ["query.hello", "query.select", "train", "evaluate"])
@pytest.mark.parametrize("facts", [{}, {"run": 0.5}, {"run": -1, "round": 10**6}])
def test_whatever_is_wrong_with_a_message_its_reply_is_in_the_ledger(tmp_path, kind, facts):
    reply = ask(tmp_path, NORTH, kind, facts)
    (entry,) = log_of(tmp_path)
    assert reply.error.code == FAILED
    assert (entry.kind, entry.reason, entry.refused) == (kind, reply.error.reason, False)


def test_a_site_that_is_closed_answers_nothing_and_writes_it_down(tmp_path):
    opened = []
    app = build_client_app(
        lambda *_: opened.append(1), lambda *_: ClosedGuard("at fault", Ledger(tmp_path))
    )
    with flower_identity():
        (message,) = [Message(RecordDict(), FIRST_CLIENT_NODE, "train", group_id="1")]
        (reply,) = InProcessGrid(app, 1).send_and_receive([message])
    assert (reply.error.code, reply.error.reason, opened) == (FAILED, "at fault", [])
    assert [entry.reason for entry in log_of(tmp_path)] == ["at fault"]


def test_a_reply_that_is_too_large_does_not_leave(tmp_path):
    play_run(tmp_path / "all", NORTH)
    (size,) = (entry.bytes for entry in log_of(tmp_path / "all") if entry.kind == "train")
    # a reply has more facts than the message that it answers, which is let in
    lines, grid = play_run(tmp_path / "less", replace(NORTH, largest_message=size - 1))
    assert lines[0]["failed"] == {
        "1": f"site 'north' refuses: its reply has {size:,} bytes, of {size - 1:,} allowed"
    }
    assert all(reply.has_error() for kind, reply in grid.of_north() if kind == "train")


def test_tuning_stops_when_the_rounds_time_is_over(tmp_path):
    policy = replace(NORTH, seconds_per_round=1.0)
    lines, _ = play_run(tmp_path, policy, north=TuningOptions(steps=10**7))
    reason = "site 'north' refuses: the round took its 1 seconds"
    assert lines[0]["failed"] == {"1": reason}
    trained, scored = (
        next(entry for entry in log_of(tmp_path) if (entry.kind, entry.round) == (kind, 1))
        for kind in ("train", "evaluate")
    )
    assert trained.seconds >= 1
    # no time is left for the same round's other messages
    assert trained.reason == scored.reason == reason
    assert scored.seconds < 1
    # what was chosen is kept for rounds that do not choose, as after any failure
    assert ClientStore(tmp_path / "1").at(CORESET, 1, 0)["indices"].tolist() == list(range(8))


def ask(folder, policy, kind, facts, opened=None, **records):
    """Send the site a message, whatever came before; return the reply."""
    config = parse({"selection": {"method": "full"}})
    with flower_identity():
        grid = InProcessGrid(client_app(folder, policy, config, opened), len(SIZES))
        content = RecordDict({"facts": MetricRecord(facts), **records})
        (reply,) = grid.send_and_receive([Message(content, node_of(1), kind, group_id="1")])
    return reply


def test_time_is_counted_over_all_messages_of_a_round_and_processes(tmp_path):
    policy, spent = replace(NORTH, seconds_per_round=60.0), []
    ledger = Ledger(tmp_path)
    for seconds in (31.0, 30.0):
        ledger.keep(error_entry("RuntimeError", False, "train", 5, seconds))
    facts = {"run": 0, "choose": 0, "tune": 0}
    reply = ask(tmp_path, policy, "train", facts | {"round": 5}, spent)
    assert reply.error.reason == "site 'north' refuses: the round took its 60 seconds"
    assert spent == []
    # another round has its own; there the message is wrong in another way
    reply = ask(tmp_path, policy, "train", facts | {"round": 6}, spent)
    assert reply.error.reason == "the adapter of round 6 never came"


@pytest.mark.parametrize("kind", ["query.hello", "query.select", "train", "evaluate"])
def test_a_server_that_never_asked_is_refused_just_so(tmp_path, kind):
    opened = []
    reply = ask(tmp_path, replace(NORTH, methods=("random",)), kind, {"round": 1}, opened)
    assert reply.error.code == REFUSED
    assert "does not allow the method full" in reply.error.reason
    assert opened == []


def test_scores_of_too_few_samples_are_neither_offered_nor_told(tmp_path):
    policy = replace(NORTH, smallest_group=4)  # each site holds out three
    lines, grid = play_run(tmp_path, policy)
    (hello,) = (reply for kind, reply in grid.of_north() if kind == "query.hello")
    assert hello.content["facts"]["validation"] == 0
    assert not any(kind == "evaluate" for kind, _ in grid.of_north())
    assert lines[0]["evaluation"]["validation"]["samples"] == 6  # of the two others
    with pytest.raises(Refused, match="scores of 3 samples would tell of them"):
        PolicyGuard(policy, None, Ledger(tmp_path)).check_scores(3)


def test_the_log_has_every_message_that_left_with_the_hashes_of_what_arrived(tmp_path):
    selection = {"method": "fedhds-aligned", "samples": 24, "dimensions": 8, "features": "states"}
    _, grid = play_run(tmp_path, NORTH, selection, rounds=2)
    arrived, kept = grid.of_north(), log_of(tmp_path)
    # a greeting, two scores before and after, and each round two exchanges and the adapter
    assert len(kept) == len(arrived) == 1 + 3 + 2 * 3
    for (kind, reply), entry in zip(arrived, kept, strict=True):
        assert entry.kind == kind
        assert entry.facts == reply.content["facts"]
        assert entry.facts_sha256 == hash_of_facts(reply.content["facts"])
        assert [(one.record, one.name, one.shape, one.sha256) for one in entry.arrays] == [
            (group, name, array.shape, sha256(array.data).hexdigest())
            for group, record in reply.content.array_records.items()
            for name, array in record.items()
        ]
    assert [entry.round for entry in kept] == [0, 0, 1, 1, 1, 1, 2, 2, 2, 2]
    assert {one.record for entry in kept for one in entry.arrays} == {"adapter", "selection"}


@dataclass(frozen=True)
class Failing(SelectionMethod):
    """Fails with words of its own."""

    budget: ClassVar[str] = "ignored"

    def pick(self, signals, received, memory, rng):
        raise RuntimeError("near 'private text'")


def test_an_error_is_kept_as_it_left_without_its_words(tmp_path, monkeypatch):
    monkeypatch.setattr(type(parse({})), "selection_method", Failing())
    with pytest.raises(RunFailed):
        play_run(tmp_path, NORTH)
    failed = [entry for entry in log_of(tmp_path) if entry.kind == "train"]
    assert [(entry.reason, entry.refused) for entry in failed] == [("RuntimeError", False)] * 2
    assert "private" not in Ledger(tmp_path).path.read_text()


def test_what_cannot_be_written_down_does_not_leave(tmp_path):
    (tmp_path / "messages.jsonl").mkdir()
    reply = ask(tmp_path, NORTH, "query.hello", {})
    assert reply.error.reason == NOT_KEPT
