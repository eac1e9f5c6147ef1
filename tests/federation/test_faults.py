"""What goes wrong with clients: the run goes on as if they had not been there, and says why.

Real Flower in process; faults are put into the replies on their way, or into the client.
"""

import json
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar

import flwr.app.message.message as flower_message
import numpy as np
import pytest
from flwr.app import Array as FlowerArray
from flwr.app import ArrayRecord, Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from playing import RUN, SIZES, play_rounds

from fedhds.federation import in_process
from fedhds.federation.checkpoint import RunState
from fedhds.federation.client_app import build_client_app
from fedhds.federation.clients import Clients
from fedhds.federation.in_process import FIRST_CLIENT_NODE, InProcessGrid
from fedhds.federation.messages import ADAPTER, EVALUATE, FACTS, SELECT, SELECTION, TRAIN
from fedhds.federation.rounds import Rounds, TooFewClients, sample_clients
from fedhds.selection.full import Full
from fedhds.types import ArraySpec, Coreset, Exchange, RunFailed, Schedule, SelectionMethod, Silent

FAULTY = 2
"""The client with the fault: six samples."""

DEADLINE = 60.0


@dataclass(frozen=True)
class Counting(SelectionMethod):
    """Takes as many samples as there were clients in the last of its exchanges; all without."""

    exchanges: int
    budget: ClassVar[str] = "ignored"
    SUMMARY: ClassVar = {"centroids": ArraySpec("float32", ("groups", 2))}
    REPLY: ClassVar = {"there": ArraySpec("int64", (1,))}

    @property
    def steps(self):
        return (Exchange(self.tell, self.count, self.SUMMARY, self.REPLY),) * self.exchanges

    def tell(self, signals, received, memory, rng):
        return {"centroids": np.zeros((signals.samples, 2), np.float32)}, memory

    def count(self, state, summaries, budget, rng):
        return state, {client: {"there": np.array([len(summaries)])} for client in summaries}

    def pick(self, signals, received, memory, rng):
        most = int(received["there"][0]) if self.exchanges else signals.samples
        return Coreset.of(range(min(signals.samples, most)))


class Faulty(InProcessGrid):
    """The in-process engine with faults, by kind, round, step and client."""

    def __init__(self, app, clients, faults):
        super().__init__(app, clients)
        self.faults = faults

    def send_and_receive(self, messages, *, timeout=None):
        replies = super().send_and_receive(messages, timeout=timeout)
        yield from (reply for reply in replies if reply is not None)

    def _answer(self, message):
        facts = message.content[FACTS]
        client = message.metadata.dst_node_id - FIRST_CLIENT_NODE
        place = message.metadata.message_type, facts.get("round"), facts.get("step", 0), client
        fault = self.faults.get(place)
        return fault(message, super()._answer) if fault else super()._answer(message)


def raises(message, answer):
    """An exception in the client, whose words are private."""

    def open_site(context, run):
        raise RuntimeError("no memory near 'private text'")

    context = Context(1, message.metadata.dst_node_id, {}, RecordDict(), {})
    return in_process.answer(build_client_app(open_site), message, context)


def gone(message, answer):
    """No reply at all."""


def unasked(message, answer):
    raise AssertionError("no client should train any more")


def unavailable(message, answer):
    """What Flower says in place of a node that is gone."""
    return Message(Error(5, "node 4 is gone"), reply_to=message)


def late(message, answer):
    """The right reply, after a minute and more."""
    reply = answer(message)
    LATE.append(2 * DEADLINE)
    return reply


LATE: list[float] = []
"""Seconds that the clock was put forward."""


def of_another(fact, value):
    """A right reply to something else."""

    def fault(message, answer):
        reply = answer(message)
        reply.content[FACTS][fact] = value
        return reply

    return fault


def changed(group, change):
    """A reply of which ``change`` turns each array of a group into another."""

    def fault(message, answer):
        reply = answer(message)
        arrays = {name: packed.numpy().copy() for name, packed in reply.content[group].items()}
        forged = {name: FlowerArray(array) for name, array in change(arrays).items()}
        reply.content[group] = ArrayRecord(forged)
        return reply

    return fault


def each(function):
    return lambda arrays: {name: function(array) for name, array in arrays.items()}


def without_group(group):
    def fault(message, answer):
        reply = answer(message)
        del reply.content[group]
        return reply

    return fault


def last_is(value):
    def change(array):
        array.flat[-1] = value
        return array

    return each(change)


TABLE = [
    # exchanges, where (kind and step), fault, what rounds.jsonl says of it
    (0, TRAIN, 0, raises, "RuntimeError"),
    (0, TRAIN, 0, gone, "no reply arrived within 60 s"),
    (0, TRAIN, 0, unavailable, "node 4 is gone"),
    (0, TRAIN, 0, late, "no reply arrived within 60 s"),
    (0, TRAIN, 0, changed(ADAPTER, last_is(np.nan)), "'adapter' holds values out of range"),
    (0, TRAIN, 0, changed(ADAPTER, last_is(-np.inf)), "'adapter' holds values out of range"),
    (0, TRAIN, 0, changed(ADAPTER, each(lambda a: a[:-1])), "has the shape"),
    (0, TRAIN, 0, changed(ADAPTER, each(lambda a: a[None])), "has 2 axes, not 1"),
    (0, TRAIN, 0, changed(ADAPTER, each(np.float64)), "is of float64, not float32"),
    (0, TRAIN, 0, changed(ADAPTER, each(np.float16)), "is of float16, not float32"),
    (0, TRAIN, 0, changed(ADAPTER, lambda arrays: {}), "other parameters than the model's"),
    (0, TRAIN, 0, changed(ADAPTER, lambda a: a | {"x": np.ones(1)}), "other parameters"),
    (0, TRAIN, 0, without_group(ADAPTER), "its counts and its adapter contradict each other"),
    (0, TRAIN, 0, of_another("samples", 9), "its counts and its adapter contradict each other"),
    (0, TRAIN, 0, of_another("round", 3), "it answers round 3, not round 1"),
    (0, TRAIN, 0, of_another("run", RUN - 1), "it answers run 6, not run 7"),
    (1, SELECT, 0, raises, "RuntimeError"),
    (1, SELECT, 0, gone, "no reply arrived within 60 s"),
    (1, SELECT, 0, late, "no reply arrived within 60 s"),
    (1, SELECT, 0, changed(SELECTION, last_is(np.nan)), "holds values out of range"),
    (1, SELECT, 0, changed(SELECTION, last_is(np.inf)), "holds values out of range"),
    (
        1,
        SELECT,
        0,
        changed(SELECTION, each(lambda a: np.repeat(a, 2, 0))),
        "has 12 groups, of which 6",
    ),
    (1, SELECT, 0, changed(SELECTION, each(np.transpose)), "has the shape (2, 6)"),
    (1, SELECT, 0, changed(SELECTION, each(np.float64)), "is of float64"),
    (1, SELECT, 0, changed(SELECTION, lambda arrays: {}), "'centroids' is missing"),
    (1, SELECT, 0, changed(SELECTION, lambda a: a | {"x": np.ones(1)}), "'x' is unknown"),
    (1, SELECT, 0, without_group(SELECTION), "'selection' is missing"),
    (1, SELECT, 0, of_another("round", 0), "it answers round 0, not round 1"),
    (1, SELECT, 0, of_another("run", 8), "it answers run 8, not run 7"),
    (2, SELECT, 0, gone, "no reply arrived within 60 s"),
    (2, SELECT, 1, gone, "no reply arrived within 60 s"),
    (2, SELECT, 1, late, "no reply arrived within 60 s"),
    (2, SELECT, 1, of_another("step", 0), "it answers step 0, not step 1"),
]


def play_with(folder, method, faults, **settings):
    """Play rounds under a deadline, on a clock that late replies put forward."""
    LATE.clear()
    clock = time.perf_counter
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "perf_counter", lambda: clock() + sum(LATE))
        return play_rounds(
            folder,
            method,
            grid=lambda app, clients: Faulty(app, clients, faults),
            deadline=DEADLINE,
            batch_size=8,
            **{"validation_clients": 0, **settings},
        )


@pytest.fixture(scope="module")
def absent(tmp_path_factory):
    """By the method's exchanges, a run in whose first round the client did not take part."""
    states = {}
    for exchanges in (0, 1, 2):
        folder, method = tmp_path_factory.mktemp("absent"), Counting(exchanges)
        settings = {"validation_clients": 0, "rounds": 1, "batch_size": 8}
        state, _, _ = play_rounds(folder, method, absent=[FAULTY], **settings)
        states[exchanges], _, _ = play_rounds(folder, method, state, **settings | {"rounds": 2})
    return states


def same(one: RunState, other: RunState) -> bool:
    return all(np.array_equal(one.adapter[name], other.adapter[name]) for name in one.adapter)


@pytest.mark.parametrize(("exchanges", "kind", "step", "fault", "reason"), TABLE)
def test_a_client_with_a_fault_is_left_out_of_its_round_and_told(
    tmp_path, absent, exchanges, kind, step, fault, reason
):
    faults = {(kind, 1, step, FAULTY): fault}
    state, lines, saved = play_with(tmp_path, Counting(exchanges), faults)
    assert saved == [0, 1, 2]
    assert list(lines[0]["failed"]) == [str(FAULTY)]
    assert reason in lines[0]["failed"][str(FAULTY)]
    assert lines[1]["failed"] == {}  # it is back
    assert "private" not in json.dumps(lines)
    assert same(state, absent[exchanges])


@pytest.mark.parametrize("exchanges", [1, 2])
@pytest.mark.parametrize("fault", [raises, gone, late])
def test_a_client_that_drops_out_after_the_exchanges_takes_nothing_from_others(
    tmp_path, exchanges, fault
):
    faults = {(TRAIN, 1, 0, FAULTY): fault}
    _, lines, _ = play_with(tmp_path, Counting(exchanges), faults)
    # of 4, 5, 6, 7, 0 samples five at most, as five clients were there; in round 1 without the 6
    assert [line["samples"] for line in lines] == [4 + 5 + 5, 4 + 5 + 5 + 5]
    assert list(lines[0]["failed"]) == [str(FAULTY)]


def test_a_late_client_leaves_nothing_but_its_reason_with_the_server(tmp_path):
    late_state, late_lines, _ = play_with(
        tmp_path / "late", Full(), {(TRAIN, 1, 0, FAULTY): late}, rounds=1
    )
    gone_state, gone_lines, _ = play_with(
        tmp_path / "gone", Full(), {(TRAIN, 1, 0, FAULTY): gone}, rounds=1
    )
    assert same(late_state, gone_state)
    told = [{**line, "seconds": None} for line in (*late_lines, *gone_lines)]
    assert told[0] == told[1]
    for name in ("sent", "counts", "distinct"):
        assert getattr(late_state, name) == getattr(gone_state, name)


def test_clients_are_not_hurried_without_a_deadline(tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        clock = iter(range(0, 10**9, 1000))  # whatever happens takes 1000 s
        patch.setattr(time, "perf_counter", lambda: float(next(clock)))
        _, lines, _ = play_rounds(tmp_path, Full(), rounds=1, validation_clients=0)
    assert lines[0]["failed"] == {}


def test_missing_evaluations_are_told_with_their_reasons(tmp_path):
    faults = {
        (EVALUATE, 0, 0, 1): gone,
        (EVALUATE, 1, 0, FAULTY): raises,
        (EVALUATE, 1, 0, 3): of_another("samples", 5),  # it has two
        (EVALUATE, 1, 0, 4): of_another("round", 0),
    }
    state, lines, _ = play_with(tmp_path, Full(), faults, every=1, validation_clients=None)
    assert lines[0]["dropped_replies"] == {
        "evaluation before round 1": {"1": "no reply arrived within 60 s"},
        "evaluation": {
            "2": "RuntimeError",
            "3": "its scores contradict each other",
            "4": "its reply was refused: it answers round 0, not round 1",
        },
    }
    assert lines[0]["evaluation"]["validation"]["samples"] == 2 + 2  # of two clients
    assert lines[1]["dropped_replies"] == {}
    assert state.counts["failures"] == 4


@dataclass(frozen=True)
class Failing(SelectionMethod):
    """Takes everything, but fails on all clients, ``times`` times in all."""

    times: int = 1000
    failed: list[int] = field(default_factory=list)
    budget: ClassVar[str] = "ignored"

    def pick(self, signals, received, memory, rng):
        if len(self.failed) < self.times:
            self.failed.append(signals.samples)
            raise RuntimeError
        return Coreset.of(range(signals.samples))


def test_a_round_in_which_everyone_fails_is_played_again_and_tells_of_it(tmp_path):
    state, lines, _ = play_rounds(tmp_path, Failing(times=len(SIZES)), rounds=1)
    assert lines[0]["passes"] == 22
    assert lines[0]["failed"] == {}
    everyone = {str(client): "RuntimeError" for client in range(len(SIZES))}
    assert lines[0]["dropped_replies"] == {"first attempt": everyone}
    assert state.counts["repeated_rounds"] == 1


def test_a_round_that_fails_twice_ends_the_run_with_the_last_good_state(tmp_path):
    state, _, _ = play_rounds(tmp_path, Full(), rounds=1)
    good = {name: array.copy() for name, array in state.adapter.items()}
    with pytest.raises(RunFailed, match=r"round 2 failed twice.*RuntimeError") as failure:
        play_rounds(tmp_path, Failing(), state, rounds=2)
    everyone = dict.fromkeys(range(len(SIZES)), "RuntimeError")
    dropped = failure.value.dropped_replies
    assert dropped == {"first attempt": everyone, "second attempt": everyone}
    assert state.round == 1
    assert all(np.array_equal(state.adapter[name], good[name]) for name in good)


def train_faults(*clients):
    return {(TRAIN, 1, 0, client): gone for client in clients}


@pytest.mark.parametrize(
    ("quorum", "missing"),
    [(0.0, 4), (0.2, 4), (0.21, 3), (0.6, 2), (1.0, 0)],  # of five: 1, 1, 2, 3, 5 are needed
)
def test_a_quorum_lets_a_round_count_with_as_many_as_it_says(tmp_path, quorum, missing):
    settings = {"quorum": quorum, "rounds": 1}
    _, lines, _ = play_with(tmp_path, Full(), train_faults(*range(missing)), **settings)
    assert len(lines[0]["failed"]) == missing


@pytest.mark.parametrize(("exchanges", "kind"), [(0, TRAIN), (1, SELECT), (1, TRAIN)])
def test_a_round_below_its_quorum_is_played_twice_and_then_ends_the_run(tmp_path, exchanges, kind):
    faults = {(kind, 1, 0, client): gone for client in (0, 1, 2)}
    if kind == SELECT:
        faults[TRAIN, 1, 0, 3] = unasked
    with pytest.raises(RunFailed, match="failed twice: only 2 of at least 3 clients"):
        play_with(tmp_path, Counting(exchanges), faults, quorum=0.6)


def test_a_sentence_does_not_name_a_thousand_reasons():
    told = str(TooFewClients({n: f"reason {n}" for n in range(1000)}, 0, 1))
    assert told.endswith("(reason 0; reason 1; reason 2; reason 3; reason 4; and 995 others)")


def federation(count):
    """Return what the server knows of so many clients."""
    nodes = {number: FIRST_CLIENT_NODE + number for number in range(count)}
    return Clients(InProcessGrid(ClientApp(), count), Silent(), nodes=nodes)


def drawn(number, **settings):
    rounds = Rounds(Full(), None, None, 9, fraction=0.2, seed=3, **settings)
    return sample_clients(federation(20), rounds, Schedule(), number)


@pytest.mark.parametrize(
    ("over_sampling", "count"),
    [(0.0, 4), (0.01, 5), (0.5, 6), (1.0, 8), (10.0, 20)],  # 4 are planned, 20 there
)
def test_over_sampling_asks_further_clients_beside_the_planned(over_sampling, count):
    for number in (1, 2):
        asked = drawn(number, over_sampling=over_sampling)
        assert asked == sorted(set(asked))
        assert len(asked) == count
        assert set(asked) >= set(drawn(number))
    assert drawn(1, over_sampling=0.5) != drawn(2, over_sampling=0.5)


def test_a_quorum_is_of_the_planned_clients_and_whoever_answers_counts(tmp_path):
    settings = {"fraction": 0.4, "over_sampling": 1.0, "quorum": 1.0, "rounds": 1}
    asked = play_with(tmp_path / "all", Full(), {}, **settings)[1][0]["clients"]
    assert len(asked) == 4  # two are planned, and two are needed
    _, lines, _ = play_with(tmp_path / "half", Full(), train_faults(*asked[:2]), **settings)
    assert lines[0]["samples"] == sum(SIZES[client] for client in asked[2:])


def test_a_second_reply_of_a_client_is_not_counted(tmp_path):
    class Stammering(InProcessGrid):
        def send_and_receive(self, messages, *, timeout=None):
            for reply in super().send_and_receive(messages, timeout=timeout):
                yield from (reply, reply)

    once, lines, _ = play_rounds(tmp_path / "once", Full(), validation_clients=0)
    twice, again, _ = play_rounds(tmp_path / "twice", Full(), grid=Stammering, validation_clients=0)
    assert same(once, twice)
    assert [line["bytes"] for line in lines] == [line["bytes"] for line in again]


def test_a_clock_that_jumps_changes_nothing(tmp_path, monkeypatch):
    before, lines, _ = play_rounds(tmp_path / "before", Full(), every=1)
    jumps = iter([20, -20, 0, 5] * 10**6)  # hours, more than Flower lets a message live
    clock, now = time.time, flower_message.now
    monkeypatch.setattr(time, "time", lambda: clock() + 3600 * next(jumps))
    monkeypatch.setattr(flower_message, "now", lambda: now() + timedelta(hours=next(jumps)))
    after, jumped, _ = play_rounds(tmp_path / "after", Full(), every=1, deadline=DEADLINE)
    assert same(before, after)
    for line in (*lines, *jumped):
        assert all(0 <= seconds < DEADLINE for seconds in line.pop("seconds").values())
    assert lines == jumped
