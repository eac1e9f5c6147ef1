"""Losses with known gaps; rounds played by hand, as the loop plays them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedhds.rng import generator
from fedhds.selection._alignment import ira
from fedhds.selection.feddqc import EDGES, FedDQC
from fedhds.types import Signals

BIN = 1 / 32


def client(scores):
    """Make signals of samples whose prompts lower their losses by ``scores``."""
    alone = np.full(len(scores), 20.0, np.float32)
    arrays = {"loss_uninstructed": alone, "loss_with_prompt": alone - np.float32(scores)}
    return Signals(len(scores), arrays)


class Unread(dict):
    """Signals that must not be read."""

    def __getitem__(self, name):
        raise AssertionError(f"{name} is read")


class Federation:
    """A method's halves with their state and memories over several rounds."""

    def __init__(self, method, scores):
        self.method = method
        self.signals = {number: client(own) for number, own in enumerate(scores)}
        self.state, self.memory = {}, {number: {} for number in self.signals}

    def play(self, stage=None, who=None, budget=None, lost=(), seed=0):
        """Play a round; ``lost`` clients drop out before they know the threshold."""
        given = {} if stage is None else {"stage": np.array(stage)}
        self.state = self.state | given
        received = dict.fromkeys(self.signals if who is None else who, given)
        for number, step in enumerate(self.method.steps):
            summaries = {}
            for c in [c for c in received if not number or c not in lost]:
                summaries[c], self.memory[c] = step.client(
                    self.signals[c], received[c], self.memory[c], generator(seed, "up", c)
                )
            rng = generator(seed, "server")
            self.state, received = step.server(self.state, summaries, budget, rng)
        return {
            c: self.method.pick(
                self.signals[c], got, self.memory[c], generator(seed, "pick", c)
            ).indices.tolist()
            for c, got in received.items()
        }


def spread(counts, seed=0):
    rng = generator(seed, "scores")
    return [rng.normal(0.5, 1, count) for count in counts]


@pytest.mark.parametrize(
    ("rounds", "stages", "starts"),
    [
        (1, [1], [1]),
        (2, [1, 2], [1, 2]),
        (3, [1, 2, 3], [1, 2, 3]),
        (6, [1, 1, 2, 2, 3, 3], [1, 3, 5]),
        (7, [1, 1, 1, 2, 2, 3, 3], [1, 4, 6]),
        (8, [1, 1, 1, 2, 2, 2, 3, 3], [1, 4, 7]),
    ],
)
def test_rounds_are_divided_into_stages_that_begin_with_everyone(rounds, stages, starts):
    schedules = [FedDQC().schedule(number, rounds) for number in range(1, rounds + 1)]
    assert [schedule.stage for schedule in schedules] == [(s, min(3, rounds)) for s in stages]
    everyone = [n for n, schedule in enumerate(schedules, 1) if schedule.clients == "all"]
    assert everyone == starts
    assert {schedule.action for schedule in schedules} == {"choose"}


@given(
    st.lists(
        st.lists(st.floats(-18, 18, width=32), min_size=3, max_size=30), min_size=1, max_size=4
    ),
    st.floats(0.01, 1),
)
def test_threshold_is_the_pooled_quantile_to_a_bin(scores, keep):
    federation = Federation(FedDQC(keep, 1), scores)
    chosen = federation.play()
    losses = [
        [signals.arrays[need] for need in FedDQC().needs()]
        for signals in federation.signals.values()
    ]
    pooled = np.sort(np.concatenate([ira(*each) for each in losses]))
    goal = max(round(keep * len(pooled)), 1)
    (threshold,) = federation.state["threshold"]
    quantile = np.clip(pooled[-goal], EDGES[0], EDGES[-1])
    assert threshold <= quantile < threshold + BIN
    # one stage takes all that passes
    passing = np.count_nonzero(np.maximum(pooled, EDGES[0]) >= threshold)
    assert sum(map(len, chosen.values())) == passing == federation.state["passed"][0] >= goal


def test_client_of_two_samples_tells_nothing_and_takes_by_the_threshold_of_others():
    federation = Federation(FedDQC(0.5, 1), [[1.0, -1.0, 2.0, -2.0], [3.0, -3.0]])
    told, _ = federation.method.steps[0].client(federation.signals[1], {}, {}, None)
    assert (told["histogram"].sum(), told["earlier"].tolist()) == (0, [0])
    # half of the four that were told of pass: the threshold is the bin that 1 begins
    assert federation.play() == {0: [0, 2], 1: [0]}
    assert federation.state["threshold"].tolist() == [1.0]


def test_where_all_clients_are_small_all_samples_pass():
    assert Federation(FedDQC(0.5, 1), [[1.0], [2.0, -20.0]]).play() == {0: [0], 1: [0, 1]}


def test_more_taken_than_held_counts_as_what_is_held():
    method = FedDQC()
    told = {c: {"taken": np.array([t]), "samples": np.array([9])} for c, t in enumerate((2**31, 9))}
    _, replies = method.steps[1].server({}, told, 10, generator(0, "forged"))
    assert [reply["quota"].tolist() for reply in replies.values()] == [[5], [5]]


def test_stages_take_easy_samples_first_and_together_what_is_to_be_kept():
    scores = spread([200, 100, 60])
    federation = Federation(FedDQC(), scores)
    stages = [federation.play((k, 3)) for k in (1, 2, 3)]
    means = [np.mean([scores[c][i] for c in sets for i in sets[c]]) for sets in stages]
    assert means[0] > means[1] > means[2]
    for c in range(3):
        taken = [i for sets in stages for i in sets[c]]
        assert len(set(taken)) == len(taken)
    # half of 360, and what else the last bin holds: a hundredth of a normal distribution or so
    assert 180 <= sum(len(own) for sets in stages for own in sets.values()) <= 190


def test_a_stage_takes_its_part_of_what_passes_and_the_last_one_the_remainder():
    federation = Federation(FedDQC(keep=0.5), [np.arange(20) / 4])
    # of the ten best (10 to 19) three, then of the other seven three, then the last four
    sets = [federation.play((k, 3))[0] for k in (1, 2, 3)]
    assert sets == [[17, 18, 19], [14, 15, 16], [10, 11, 12, 13]]


def test_scores_are_of_the_global_model_as_it_is_now():
    assert {model for model, _ in FedDQC().reads().values()} == {"tuned"}


def test_samples_are_scored_again_at_the_start_of_a_stage_alone():
    federation = Federation(FedDQC(keep=0.5, stages=2), [np.arange(8) / 4])
    assert federation.play((1, 2)) == {0: [6, 7]}
    federation.signals[0] = Signals(8, Unread())
    assert federation.play((1, 2)) == {0: [6, 7]}
    federation.signals[0] = client(np.arange(8)[::-1] / 4)
    assert federation.play((2, 2)) == {0: [0, 1]}


def test_what_was_below_the_threshold_may_come_back_and_what_was_taken_may_not():
    federation = Federation(FedDQC(keep=0.5, stages=2), [[3, 2, 1, 0]])
    assert federation.play((1, 2)) == {0: [0]}
    federation.signals[0] = client([3, 0, 1, 2])
    assert federation.play((2, 2)) == {0: [3]}


def test_one_threshold_takes_more_of_clean_clients():
    federation = Federation(FedDQC(stages=1), [[2, 2.5, 3, 3.5], [-1, -1.5, -2, -2.5]])
    assert federation.play() == {0: [0, 1, 2, 3], 1: []}


def test_client_that_missed_the_start_of_a_stage_uses_its_threshold():
    federation = Federation(FedDQC(stages=1), [[0, 1, 2, 3], [1.5, 2.5, 3.5]])
    assert federation.play((1, 1), who=[0]) == {0: [2, 3]}
    assert federation.play((1, 1)) == {0: [2, 3], 1: [1, 2]}
    assert federation.state["threshold"] == [2.0]


def test_client_that_never_learned_the_threshold_has_trained_on_nothing():
    federation = Federation(FedDQC(stages=2), [[3, 2, 1, 0], [3, 2, 1, 0]])
    assert federation.play((1, 2), lost=[1]) == {0: [0]}
    # 8 samples, of which one is taken, so three are to come: 3, 2 and 2
    assert federation.play((2, 2)) == {0: [1], 1: [0, 1]}


@pytest.mark.parametrize("stage", [1, 2, 3])
@pytest.mark.parametrize("budget", [0, 1, 5, 9, 29, 99])
def test_budget_is_kept_exactly_in_every_stage(budget, stage):
    federation = Federation(FedDQC(), spread([17, 0, 1, 12]))
    for number in range(1, stage + 1):
        chosen = federation.play((number, 3), budget=budget)
    assert sum(map(len, chosen.values())) == min(budget, 30)
    assert all(len(set(own)) == len(own) for own in chosen.values())


def test_smaller_budget_is_drawn_from_the_stages_set():
    federation = Federation(FedDQC(stages=1), [np.arange(20) / 4])
    draws = [federation.play(budget=4, seed=seed)[0] for seed in range(9)]
    assert all(set(drawn) <= set(range(10, 20)) for drawn in draws)
    assert len({tuple(drawn) for drawn in draws}) > 1


def test_larger_budget_goes_on_down_the_order_and_takes_what_was_taken_last():
    federation = Federation(FedDQC(stages=2), [[3, 2, 1, 0, -1]])
    assert federation.play((1, 2)) == {0: [0]}
    # two of five are kept; of the four left the second is taken, then what is next best
    chosen = [federation.play((2, 2), budget=budget)[0] for budget in (1, 2, 4, 5)]
    assert chosen == [[1], [1, 2], [1, 2, 3, 4], [0, 1, 2, 3, 4]]


def test_budget_goes_to_the_sets_in_proportion_before_anything_else():
    federation = Federation(FedDQC(stages=1), [[3] * 6, [3, 3, 3, 0, 0, 0], [0] * 6])
    sizes = {budget: federation.play(budget=budget) for budget in (3, 9, 12)}
    assert [len(own) for own in sizes[3].values()] == [2, 1, 0]
    assert [len(own) for own in sizes[9].values()] == [6, 3, 0]
    # three more of the nine that are left: 1 of 3 and 2 of 6
    assert [len(own) for own in sizes[12].values()] == [6, 4, 2]


def test_ties_go_to_the_earlier_sample():
    federation = Federation(FedDQC(stages=3), [[1.0] * 9])
    assert [federation.play((k, 3))[0] for k in (1, 2)] == [[0, 1, 2], [3, 4, 5]]
    # four of nine were to be kept and six are taken; one more passes, with all of its bin
    assert federation.play((3, 3)) == {0: [6, 7, 8]}


def test_remark_tells_once_a_stage_how_much_passes():
    federation = Federation(FedDQC(), [np.arange(20) / 4])
    federation.play((1, 3))
    assert federation.method.remarks(federation.state) == (
        "stage 1 of 3: 10 of the 20 samples left have an IRA of at least 2.50, and 3 are taken now",
    )
    federation.play((1, 3))
    assert federation.method.remarks(federation.state) == ()
    federation.play((2, 3))
    assert "7 of the 17 samples left" in federation.method.remarks(federation.state)[0]


@pytest.mark.parametrize("keep", [0.0, -1.0, 1.1, float("nan")])
def test_keep_out_of_range_is_refused(keep):
    with pytest.raises(ValueError, match="keep must be above 0 and at most 1"):
        FedDQC(keep=keep)


def test_no_stage_at_all_is_refused():
    with pytest.raises(ValueError, match="stages must be at least 1"):
        FedDQC(stages=0)
