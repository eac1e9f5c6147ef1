"""The rounds on real Flower, in process, with a tiny model; nothing of ours is replaced."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from playing import SIZES, play_rounds
from tiny import random_samples, tiny_language_model

from fedhds.federation.checkpoint import RunState
from fedhds.federation.client_store import CORESET, ClientStore
from fedhds.models import adapter_arrays, set_adapter_arrays
from fedhds.selection.feddqc import FedDQC
from fedhds.selection.full import Full
from fedhds.selection.random import Random
from fedhds.signals import compute
from fedhds.types import ArraySpec, Coreset, Exchange, RunFailed, Schedule, SelectionMethod, Silent


@dataclass(frozen=True)
class Sketching(SelectionMethod):
    """Two exchanges, memory and state: sums the clients' sizes, then the sums of squares.

    It chooses in odd rounds with everyone and keeps the coresets in even ones.
    """

    budget: ClassVar[str] = "ignored"
    TOTAL: ClassVar = {"total": ArraySpec("int64", (1,), low=0)}

    @property
    def steps(self):
        return (
            Exchange(self.size, self.add, self.TOTAL, self.TOTAL),
            Exchange(self.square, self.add, self.TOTAL, self.TOTAL),
        )

    def schedule(self, round, rounds):
        return Schedule("choose", "all") if round % 2 else Schedule("keep", "sampled")

    def size(self, signals, received, memory, rng):
        calls = memory.get("calls", np.array([0])) + 1
        return {"total": np.array([signals.samples])}, {"calls": calls}

    def square(self, signals, received, memory, rng):
        assert received["total"] == sum(SIZES)
        return {"total": np.array([signals.samples**2])}, memory

    def add(self, state, summaries, budget, rng):
        total = sum(summary["total"] for summary in summaries.values())
        rounds = state.get("server_calls", np.array([0])) + 1
        return {"server_calls": rounds}, {client: {"total": total} for client in summaries}

    def pick(self, signals, received, memory, rng):
        assert received["total"] == sum(size**2 for size in SIZES)
        # the first sample in the first choice, the first two in the second
        return Coreset.of(range(min(signals.samples, int(memory["calls"][0]))))


def test_a_round_trains_aggregates_and_is_saved(tmp_path):
    state, lines, saved = play_rounds(tmp_path, Full())
    assert saved == [0, 1, 2]
    # 4 + 5 + 6 + 7 samples, one epoch a round
    assert [line["passes"] for line in lines] == [22, 22]
    assert state.distinct == dict(enumerate(SIZES))
    untouched = adapter_arrays(tiny_language_model().model)
    assert any(not np.array_equal(state.adapter[name], untouched[name]) for name in untouched)


@pytest.mark.parametrize(
    ("fraction", "count"),
    [(0.01, 1), (0.2, 1), (0.21, 2), (0.6, 3), (1.0, 5)],  # .21 * 5 = 1.05; .6 * 5 is 3
)
def test_the_fraction_is_rounded_up(tmp_path, fraction, count):
    _, lines, _ = play_rounds(tmp_path, Full(), fraction=fraction, rounds=1, tune=False)
    assert len(lines[0]["clients"]) == count


def test_different_rounds_sample_different_clients(tmp_path):
    _, lines, _ = play_rounds(tmp_path, Full(), fraction=0.4, rounds=6, tune=False)
    assert len({tuple(line["clients"]) for line in lines}) > 1


@pytest.mark.parametrize("budget", [{"samples": 11}, {"share": 0.5}])
def test_a_budget_is_divided_by_size(tmp_path, budget):
    # 11 of 22: 2, 2.5, 3, 3.5, 0 -> whole parts 2, 2, 3, 3 and the earlier half gets the last
    state, lines, _ = play_rounds(tmp_path, Random(), rounds=1, **budget)
    assert lines[0]["samples"] == 11
    assert state.distinct == {0: 2, 1: 3, 2: 3, 3: 3, 4: 0}


def test_distinct_samples_are_counted_once(tmp_path):
    state, lines, _ = play_rounds(tmp_path, Random(), samples=11, rounds=4)
    assert sum(line["samples"] for line in lines) == 44
    assert 11 < sum(state.distinct.values()) <= 22


def test_selecting_alone_leaves_the_adapter_untouched(tmp_path):
    state, lines, _ = play_rounds(tmp_path, Full(), tune=False)
    untouched = adapter_arrays(tiny_language_model().model)
    assert all(np.array_equal(state.adapter[name], untouched[name]) for name in untouched)
    assert lines[0]["passes"] == 0
    assert state.best is None


def test_several_exchanges_with_memory_and_state(tmp_path):
    state, lines, _ = play_rounds(tmp_path, Sketching(), rounds=4, fraction=0.4)
    # rounds 1 and 3 choose with everyone; 1 and then 2 samples of each client that has any
    assert [line["clients"] for line in lines[::2]] == [[0, 1, 2, 3, 4]] * 2
    assert [line["samples"] for line in lines[::2]] == [4, 8]
    assert state.method["server_calls"] == 4  # two exchanges in each of two rounds


@dataclass(frozen=True)
class Staged(SelectionMethod):
    """A stage a round; takes as many samples as the stage's number, which both halves are told."""

    budget: ClassVar[str] = "ignored"
    STAGE: ClassVar = {"stage": ArraySpec("int64", (2,))}

    @property
    def steps(self):
        return (Exchange(self.repeat, self.confirm, self.STAGE, self.STAGE),)

    def schedule(self, round, rounds):
        return Schedule(stage=(round, rounds))

    def repeat(self, signals, received, memory, rng):
        return {"stage": received["stage"]}, memory

    def confirm(self, state, summaries, budget, rng):
        for summary in summaries.values():
            assert summary["stage"].tolist() == state["stage"].tolist()
        return state, {client: {"stage": state["stage"]} for client in summaries}

    def pick(self, signals, received, memory, rng):
        stage, stages = received["stage"].tolist()
        assert stages == 3
        return Coreset.of(range(min(signals.samples, stage)))


def test_both_halves_are_told_the_stage_of_the_round(tmp_path):
    _, lines, _ = play_rounds(tmp_path, Staged(), rounds=3, tune=False)
    # four clients have samples, at least four each
    assert [line["samples"] for line in lines] == [4, 8, 12]
    assert not any(line["failed"] for line in lines)


def test_a_stage_begins_with_scores_of_the_adapter_as_it_is_then(tmp_path):
    scores = []
    state, expected = None, []
    for round in (1, 2):
        model = tiny_language_model()
        if state:
            set_adapter_arrays(model, state.adapter)
        losses = [
            compute(name, model, random_samples(7, seed=3), 4, Silent())
            for name in ("loss_uninstructed", "loss_with_prompt")
        ]
        expected.append(losses[0] - losses[1])
        state, _, _ = play_rounds(tmp_path, FedDQC(), state, rounds=round)
        memory = ClientStore(tmp_path / "3").before("memory", round + 1, 0)
        scores.append(memory["scores"])
    assert np.allclose(scores, expected, atol=1e-5)
    assert not np.allclose(*scores, atol=1e-5)


def test_kept_coresets_are_those_of_the_last_choice(tmp_path):
    _, lines, _ = play_rounds(tmp_path, Sketching(), rounds=4, fraction=0.4)
    for line, each in ((lines[1], 1), (lines[3], 2)):
        assert len(line["clients"]) == 2
        assert line["samples"] == each * sum(SIZES[client] > 0 for client in line["clients"])


def test_a_client_whose_tuning_fails_keeps_its_coreset(tmp_path):
    _, lines, _ = play_rounds(tmp_path, Unweighted(), rounds=1)
    assert lines[0]["failed"] == {"2": "ValueError"}
    kept = ClientStore(tmp_path / "2").at(CORESET, 1, 0)
    assert kept["indices"].tolist() == list(range(6))
    assert kept["used"].tolist() == []  # it has not been trained on


@dataclass(frozen=True)
class Unweighted(SelectionMethod):
    """Takes everything, on a client of six samples with weights that tuning refuses."""

    budget: ClassVar[str] = "ignored"

    def pick(self, signals, received, memory, rng):
        coreset = Coreset.of(range(signals.samples))
        return replace(coreset, weights=-coreset.weights) if signals.samples == 6 else coreset


def test_nothing_selected_trains_nothing_and_says_so(tmp_path):
    state, lines, _ = play_rounds(tmp_path, Nothing(), rounds=1)
    untouched = adapter_arrays(tiny_language_model().model)
    assert all(np.array_equal(state.adapter[name], untouched[name]) for name in untouched)
    assert "nothing was trained" in lines[0]["remarks"][0]


@dataclass(frozen=True)
class Nothing(SelectionMethod):
    """Selects nothing."""

    budget: ClassVar[str] = "ignored"

    def pick(self, signals, received, memory, rng):
        return Coreset.of([])


def test_going_on_from_a_saved_round_gives_the_same_adapter(tmp_path):
    whole, _, _ = play_rounds(tmp_path / "whole", Random(), samples=8, rounds=4)
    half, _, _ = play_rounds(tmp_path / "half", Random(), samples=8, rounds=2)
    resumed, _, _ = play_rounds(tmp_path / "half", Random(), half, samples=8, rounds=4)
    assert all(np.array_equal(whole.adapter[n], resumed.adapter[n]) for n in whole.adapter)
    assert whole.distinct == resumed.distinct


def test_the_best_round_is_the_one_of_the_lowest_validation_loss(tmp_path):
    state, lines, _ = play_rounds(tmp_path, Full(), rounds=5, every=1)
    losses = [line["evaluation"]["validation"]["loss"] for line in lines]
    assert state.best["round"] == int(np.argmin(losses)) + 1
    assert state.best["validation"]["loss"] == min(losses)


def test_patience_stops_early(tmp_path):
    # a learning rate this high makes the validation loss rise at once
    state, lines, _ = play_rounds(tmp_path, Full(), lr=0.5, rounds=30, every=1, patience=2)
    losses = [line["evaluation"]["validation"]["loss"] for line in lines]
    assert len(lines) < 30
    assert all(loss >= min(losses[:-2]) for loss in losses[-2:])
    assert state.worse_since == 2


def test_bytes_are_those_of_the_arrays_sent(tmp_path):
    state, lines, _ = play_rounds(tmp_path, Full(), rounds=1, validation_clients=0)
    adapter = sum(array.nbytes for array in state.adapter.values())
    # down to five clients; up from the four that have samples
    assert lines[0]["bytes"] == {"adapters_down": 5 * adapter, "adapters_up": 4 * adapter}


def test_an_adapter_without_a_finite_loss_ends_the_run_with_the_last_good_one(tmp_path):
    untouched = adapter_arrays(tiny_language_model().model)
    state = RunState(adapter_arrays(tiny_language_model().model))
    with pytest.raises(RunFailed, match="after round 1 cannot be evaluated"):
        play_rounds(tmp_path, Full(), state, lr=1e30, every=1)
    assert all(np.array_equal(state.adapter[name], untouched[name]) for name in untouched)
