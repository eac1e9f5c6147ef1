"""The rounds on real Flower, in process, with a tiny model; nothing of ours is replaced."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
from flwr.app import Context
from tiny import random_samples, tiny_language_model

from fedhds.aggregation.fedavg import FedAvg
from fedhds.federation.checkpoint import RunState
from fedhds.federation.client_app import Site, build_client_app
from fedhds.federation.client_store import ClientStore
from fedhds.federation.in_process import run_in_process
from fedhds.federation.rounds import Rounds, play
from fedhds.federation.server_app import build_server_app
from fedhds.models import adapter_arrays
from fedhds.selection.full import Full
from fedhds.selection.random import Random
from fedhds.tuning.options import TuningOptions
from fedhds.types import (
    ClientData,
    SelectionMethod,
    Silent,
)


@dataclass(frozen=True)
class Federation:
    """Five clients of 4, 5, 6, 7 and 0 samples around one tiny model."""

    folder: object
    method: SelectionMethod
    fails: tuple = ()  # (client, kind) pairs, each failing as often as it stands here
    validation: int = 2

    def play(self, **settings):
        model = tiny_language_model()
        state = RunState(adapter_arrays(model.model))
        failing = list(self.fails)
        saved = []

        def site(context: Context) -> Site:
            client = int(context.node_config["partition-id"])
            if client in failing:
                failing.remove(client)
                raise RuntimeError("out of memory near 'private text'")
            size = 4 + client if client < 4 else 0
            data = ClientData(
                f"c{client}",
                tuple(random_samples(size, seed=client)),
                tuple(random_samples(self.validation, seed=50 + client)),
            )
            store = ClientStore(self.folder / str(client))
            return Site(
                client, data, model, self.method, TuningOptions(lr=0.01), 4, 4, 0, store, None
            )

        rounds = Rounds(
            **{
                "method": self.method,
                "aggregation": FedAvg(),
                "rounds": 2,
                "fraction": 1.0,
                "seed": 0,
            }
            | settings
        )

        def lead(clients):
            play(clients, state, rounds, None, lambda s: saved.append(s.round), Silent())

        run_in_process(build_server_app(lead, Silent()), build_client_app(site), 5)
        return state, [json.loads(line) for line in state.lines], saved


def test_a_round_trains_aggregates_and_is_saved(tmp_path):
    state, lines, saved = Federation(tmp_path, Full()).play()
    assert saved == [0, 1, 2]
    # 4 + 5 + 6 + 7 samples, one epoch a round
    assert [line["passes"] for line in lines] == [22, 22]
    assert state.distinct == {0: 4, 1: 5, 2: 6, 3: 7, 4: 0}
    untouched = adapter_arrays(tiny_language_model().model)
    assert any(not np.array_equal(state.adapter[n], untouched[n]) for n in untouched)


@pytest.mark.parametrize(
    ("fraction", "count"), [(0.01, 1), (0.2, 1), (0.21, 2), (0.6, 3), (1.0, 5)]
)
def test_the_fraction_is_rounded_up(tmp_path, fraction, count):
    # .6 * 5 is exactly 3, .21 * 5 = 1.05 -> 2
    _, lines, _ = Federation(tmp_path, Full()).play(fraction=fraction, rounds=1, tune=False)
    assert len(lines[0]["clients"]) == count


def test_different_rounds_sample_different_clients(tmp_path):
    _, lines, _ = Federation(tmp_path, Full()).play(fraction=0.4, rounds=6, tune=False)
    assert len({tuple(line["clients"]) for line in lines}) > 1


def test_a_budget_is_divided_by_size(tmp_path):
    # 11 of 22: 2, 2.5, 3, 3.5, 0 -> whole parts 2, 2, 3, 3 and the earlier half gets the last
    state, lines, _ = Federation(tmp_path, Random()).play(samples=11, rounds=1)
    assert lines[0]["samples"] == 11
    assert state.distinct == {0: 2, 1: 3, 2: 3, 3: 3, 4: 0}


def test_a_share_is_of_the_rounds_clients(tmp_path):
    _, lines, _ = Federation(tmp_path, Random()).play(share=0.5, rounds=1)
    assert lines[0]["samples"] == 11


def test_distinct_samples_are_counted_once(tmp_path):
    state, lines, _ = Federation(tmp_path, Random()).play(samples=11, rounds=4)
    assert sum(line["samples"] for line in lines) == 44
    assert 11 < sum(state.distinct.values()) <= 22


def test_a_failing_client_is_left_out_and_named_without_its_words(tmp_path):
    # the third time it is asked: hello, train in round 1 ...
    state, lines, _ = Federation(tmp_path, Full(), fails=()).play(rounds=1)
    federation = FailsInTraining(tmp_path / "again", Full(), client=2)
    state, lines, _ = federation.play(rounds=1)
    assert lines[0]["failed"] == {"2": "RuntimeError"}
    assert lines[0]["passes"] == 4 + 5 + 7
    assert "private" not in json.dumps(lines)


@dataclass(frozen=True)
class FailsInTraining(Federation):
    """A federation where one client (or all, with None) cannot train the first ``times`` times."""

    client: int | None = None
    times: int = 99

    def play(self, **settings):
        from fedhds.federation import client_app

        calls = {"left": self.times * (5 if self.client is None else 1)}
        real = client_app.tune

        def breaking(model, samples, weights, options, seed, client, round, progress):
            if self.client in (None, client) and calls["left"] > 0:
                calls["left"] -= 1
                raise RuntimeError("out of memory near 'private text'")
            return real(model, samples, weights, options, seed, client, round, progress)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(client_app, "tune", breaking)
            return super().play(**settings)
