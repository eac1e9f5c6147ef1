"""Clients whose samples are of a few topics, each made by hand far from the others."""

from itertools import pairwise

import numpy as np
import pytest

from fedhds.rng import generator
from fedhds.selection._grouping import NOISE
from fedhds.selection.fedhds_aligned import FedHDSAligned
from fedhds.types import Signals

RNG = generator(0, "test")
METHOD = FedHDSAligned(grouping="kmeans", groups=4, dimensions=32)


def client(*topics, seed=0):
    """Make signals of one sample per entry of ``topics``, a tenth of a topic's own length off."""
    rng = generator(0, "topics")
    states, words = rng.normal(size=(9, 2, 3, 16)), rng.random((9, 64)) ** 4
    noise, chosen = generator(seed, "noise"), list(topics)
    arrays = {
        "mean_states": states[chosen] + 0.1 * noise.normal(size=(len(chosen), 2, 3, 16)),
        "words": words[chosen] * noise.uniform(0.9, 1.1, (len(chosen), 64)),
    }
    return Signals(len(chosen), {name: a.astype(np.float32) for name, a in arrays.items()})


class Federation:
    """What clients and server keep from round to round."""

    def __init__(self, clients, method=METHOD):
        self.clients, self.method = clients, method
        self.memory = {number: {} for number in clients}
        self.state = {}

    def say(self, step, received):
        summaries = {}
        for number, sent in received.items():
            said = step.client(self.clients[number], sent, self.memory[number], RNG)
            summaries[number], self.memory[number] = said
        return summaries

    def round(self, *numbers, budget=None, lost=(), seed=0):
        """Play a round of some clients and return their coresets."""
        received = {number: {} for number in numbers}
        for step in self.method.steps:
            summaries = self.say(step, received)
            summaries = {n: said for n, said in summaries.items() if n not in lost}
            self.state, received = step.server(self.state, summaries, budget, RNG)
        return {
            n: self.method.pick(self.clients[n], sent, self.memory[n], generator(seed, "pick", n))
            for n, sent in received.items()
        }


def count(coresets):
    return {number: len(coreset) for number, coreset in coresets.items()}


def of_topic(coresets, topics):
    """Count the chosen samples by topic; ``topics`` are each client's samples' own."""
    found = [topics[n][i] for n, coreset in coresets.items() for i in coreset.indices]
    return {topic: found.count(topic) for topic in sorted(set(found))}


FOUR = [0] * 6 + [1] * 6 + [2] * 6 + [3] * 6
TOPICS = {0: FOUR, 1: FOUR}


def two_alike(method=METHOD):
    return Federation({n: client(*topics, seed=n) for n, topics in TOPICS.items()}, method)


VARIANTS = [
    {},
    {"features": "words"},
    {"features": "states", "layers": "last"},
    {"space": "random"},
    {"space": "pca", "dimensions": 5},
    {"server": "hdbscan"},
]


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_each_topic_is_chosen_once_over_clients_that_have_the_same(options):
    method = FedHDSAligned(**{"grouping": "kmeans", "groups": 4, "dimensions": 32} | options)
    chosen = two_alike(method).round(0, 1, budget=4)
    assert of_topic(chosen, TOPICS) == {0: 1, 1: 1, 2: 1, 3: 1}


def test_topics_are_found_on_maps_too():
    topics = {0: FOUR * 2, 1: FOUR * 2}  # t-SNE's neighbourhoods are of 30
    clients = {n: client(*topics[n], seed=n) for n in topics}
    method = FedHDSAligned(min_cluster_size=5)
    chosen = Federation(clients, method).round(0, 1, budget=4)
    assert of_topic(chosen, topics) == {0: 1, 1: 1, 2: 1, 3: 1}


def test_without_a_budget_one_stands_for_each_topic():
    # A new topic's group of six raises itself from below .5 to nearly 1: more than least_gain 1.
    # The other client's group of it then gains 6 times what noise of a tenth makes, below .1.
    chosen = two_alike().round(0, 1)
    assert of_topic(chosen, TOPICS) == {0: 1, 1: 1, 2: 1, 3: 1}


def test_a_round_without_anything_new_chooses_one_at_least():
    federation = two_alike()
    federation.round(0, 1)
    assert sum(count(federation.round(0, 1)).values()) == 1


def test_later_round_chooses_what_earlier_ones_have_not_covered():
    later = [0, 0, 0, 3, 3, 3, 1, 1, 1, 2, 2, 2]
    clients = {0: client(*[0, 1, 2] * 4), 1: client(*later, seed=1)}
    federation = Federation(clients, METHOD)
    first = federation.round(0, budget=3)
    assert of_topic(first, {0: [0, 1, 2] * 4}) == {0: 1, 1: 1, 2: 1}
    assert of_topic(federation.round(1, budget=1), {1: later}) == {3: 1}


def test_returning_client_gives_other_samples_until_none_is_left_then_begins_again():
    federation = Federation({0: client(*[0, 1] * 4)}, FedHDSAligned(grouping="kmeans", groups=2))
    rounds = [federation.round(0, budget=2)[0].indices.tolist() for _ in range(5)]
    # two topics of four samples each, one of each a round
    assert sorted(i for round in rounds[:4] for i in round) == list(range(8))
    assert rounds[4] == rounds[0]


def test_without_memory_rounds_repeat_themselves():
    method = FedHDSAligned(grouping="kmeans", groups=4, dimensions=32, remember=False)
    federation = two_alike(method)
    first, second = (federation.round(0, 1, budget=4) for _ in range(2))
    assert all(np.array_equal(first[n].indices, second[n].indices) for n in first)
    assert not {"covered", "given"} & federation.state.keys()


def test_what_was_covered_is_kept_once():
    federation = two_alike()
    for _ in range(5):
        federation.round(0, 1, budget=8)
    assert len(federation.state["covered"]) == len(federation.state["given"]) == 8


@pytest.mark.parametrize("minimum", [3, 5])
def test_no_prototype_is_of_fewer_samples_than_the_minimum(minimum):
    # K-means finds the topics, of which the last two are small
    topics = [0] * 6 + [1] * 6 + [2] * 2 + [3] * 2
    method = FedHDSAligned(grouping="kmeans", groups=4, minimum_group=minimum, space="random")
    signals = client(*topics)
    summary, memory = method.group(signals, {}, {}, RNG)
    assert summary["sizes"].min() >= minimum
    assert summary["sizes"].sum() == len(topics)
    points = method.place(signals, {}, {})
    for mean, members in zip(
        summary["prototypes"],
        np.split(memory["members"], np.cumsum(summary["sizes"])[:-1]),
        strict=True,
    ):
        assert np.allclose(mean, points[members[:minimum]].mean(axis=0), atol=1e-6)
    gaps = np.linalg.norm(summary["prototypes"][:, None] - points, axis=2)
    assert gaps.min() > 1e-3


def test_client_below_the_minimum_sends_no_prototype_and_gives_the_last_samples():
    method = FedHDSAligned(grouping="kmeans", groups=3)
    federation = Federation({0: client(0, 1), 1: client(*[0, 1, 2] * 3, seed=1)}, method)
    summaries = federation.say(federation.method.steps[0], {0: {}, 1: {}})
    assert summaries[0]["samples"].tolist() == [0]
    assert count(federation.round(0, 1)) == {0: 0, 1: 3}
    assert count(federation.round(0, 1, budget=9)) == {0: 0, 1: 9}
    assert count(federation.round(0, 1, budget=10)) == {0: 1, 1: 9}
    assert (
        "1 client(s) have fewer than selection.minimum_group samples"
        in (federation.method.remarks(federation.state)[0])
    )


def test_clients_of_enough_samples_are_not_remarked_on():
    federation = two_alike()
    federation.round(0, 1)
    assert federation.method.remarks(federation.state) == ()


def test_what_travels_is_as_large_however_many_samples_there_are():
    few, many = (Federation({0: client(*FOUR * times)}) for times in (1, 5))
    shapes = []
    for federation in (few, many):
        up = [federation.say(federation.method.steps[0], {0: {}})[0]]
        _, space = federation.method.agree({}, {0: up[0]}, None, RNG)
        up.append(federation.say(federation.method.steps[1], space)[0])
        shapes.append([{name: a.shape for name, a in said.items()} for said in up])
    assert shapes[0] == shapes[1]


def test_budget_above_all_groups_is_divided_by_size():
    # Topics of 9 and 3 give one each; of the four left, 8 : 2 of what they have left are 3.2
    # and .8, that is 3 and 1.
    topics = {0: [0] * 9 + [1] * 3}
    method = FedHDSAligned(grouping="kmeans", groups=2)
    chosen = Federation({0: client(*topics[0])}, method).round(0, budget=6)
    assert of_topic(chosen, topics) == {0: 4, 1: 2}


@pytest.mark.parametrize(("budget", "ungrouped"), [(12, 0), (13, 1), (14, 2), (99, 2)])
def test_budget_above_all_groups_samples_is_filled_from_no_group(budget, ungrouped):
    # the last two are alone in their topics, and K-means's group of one is none
    federation = Federation({0: client(*[0, 1] * 6, 2, 3)})
    chosen = federation.round(0, budget=budget)[0]
    assert len(chosen) == min(budget, 14)
    others = chosen.indices[chosen.groups == NOISE].tolist()
    assert len(others) == ungrouped
    assert set(others) <= {12, 13}


@pytest.mark.parametrize("budget", [1, 5, 9, 24, 47, 48, 49])
def test_budget_is_exact(budget):
    assert sum(count(two_alike().round(0, 1, budget=budget)).values()) == min(budget, 48)


def test_smaller_budget_is_within_a_larger():
    chosen = [two_alike().round(0, 1, budget=budget) for budget in (2, 4, 8)]
    pairs = [{(n, i) for n, c in round.items() for i in c.indices.tolist()} for round in chosen]
    assert all(smaller < larger for smaller, larger in pairwise(pairs))


def test_order_of_the_clients_is_irrelevant():
    one, other = two_alike().round(0, 1, budget=5), two_alike().round(1, 0, budget=5)
    assert all(np.array_equal(one[n].indices, other[n].indices) for n in one)


@pytest.mark.parametrize("lost", [0, 1])
def test_client_that_is_lost_is_chosen_nothing_of(lost):
    federation = two_alike()
    chosen = federation.round(0, 1, budget=4, lost=(lost,))
    assert count(chosen) == {1 - lost: 4}
    assert count(federation.round(0, 1, budget=2)).keys() == {0, 1}  # it may come again


def summary(prototypes, sizes=None):
    points = np.array(prototypes, np.float32)
    sizes = np.full(len(points), 3) if sizes is None else np.array(sizes)
    return {"prototypes": points, "sizes": sizes, "samples": sizes.sum(keepdims=True)}


def choose(method, summaries, budget=None, state=None):
    return method.choose(state or {}, summaries, budget, generator(0, "choose"))


BY_HAND = FedHDSAligned(dimensions=3, space="random")
AXES = np.eye(3).tolist()


def test_replies_name_groups_how_many_to_give_and_how_many_were_given():
    # size 9 is covered first; then the four left over go 8 : 2 : 2 of what they have left,
    # which is 2.67, .67 and .67: one whole sample goes to each of the first two remainders
    state, replies = choose(BY_HAND, {5: summary(AXES, [3, 9, 3])}, 7)
    assert replies[5]["groups"].tolist() == [0, 1, 2]
    assert replies[5]["samples"].tolist() == [2, 4, 1]
    assert replies[5]["given"].tolist() == [0, 0, 0]
    _, replies = choose(BY_HAND, {5: summary(AXES, [3, 9, 3])}, 7, state)
    assert replies[5]["given"].tolist() == [2, 4, 1]
    assert state["given"].tolist() == [[5, 0, 2], [5, 1, 4], [5, 2, 1]]


def test_length_beyond_one_gains_nothing():
    # of length one, the diagonal covers each axis to .577 and leaves 3 (1 - .577) = 1.27 to
    # gain; of its own length 1.73 it would cover them to 1 and leave nothing
    long, unit = (summary([[length] * 3]) for length in (1, 3**-0.5))
    found = [choose(BY_HAND, {0: summary(AXES), 1: forged}) for forged in (long, unit)]
    for state, replies in found:
        assert (np.linalg.norm(state["covered"], axis=1) <= 1 + 1e-6).all()
        assert replies[0]["groups"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("server", ["facility-location", "hdbscan", "tsne-hdbscan"])
def test_forged_summaries_at_the_schemas_bounds_do_not_crash(server):
    method = FedHDSAligned(dimensions=3, space="random", server=server)
    schema = method.steps[0].summary
    forged = summary(np.full((5, 3), schema["prototypes"].high), [int(schema["sizes"].high)] * 5)
    forged["samples"][:] = int(schema["samples"].high)
    for budget in (None, 2, 100):
        state, replies = choose(method, {0: summary(AXES), 1: forged}, budget)
        asked = sum(int(r["samples"].sum() + r["others"].sum()) for r in replies.values())
        assert asked == budget or budget is None
        choose(method, {0: summary(AXES)}, budget, state)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"min_cluster_size": 1}, "min_cluster_size must be at least 2"),
        ({"groups": 0}, "groups must be at least 1"),
        ({"least_gain": 0.0}, "least_gain must be above 0 and finite"),
        ({"least_gain": float("inf")}, "least_gain must be above 0 and finite"),
        ({"least_gain": float("nan")}, "least_gain must be above 0 and finite"),
    ],
)
def test_options_out_of_range_are_refused(options, named):
    with pytest.raises(ValueError, match=named):
        FedHDSAligned(**options)


@pytest.mark.parametrize(
    ("options", "idle"),
    [
        ({}, ()),
        ({"groups": 5}, ("groups",)),
        ({"groups": 5, "grouping": "kmeans"}, ()),
        ({"min_cluster_size": 5, "grouping": "kmeans"}, ("min_cluster_size",)),
        ({"layers": "last", "features": "words"}, ("layers",)),
        ({"least_gain": 2.0, "server": "hdbscan"}, ("least_gain",)),
        ({"keep_noise": True}, ("keep_noise",)),
        ({"keep_noise": True, "server": "hdbscan"}, ()),
    ],
)
def test_options_without_effect_are_named(options, idle):
    assert FedHDSAligned(**options).unused() == idle


@pytest.mark.parametrize(
    ("features", "needed"),
    [
        ("both", ("mean_states", "words")),
        ("states", ("mean_states",)),
        ("words", ("words",)),
        ("last-token", ("hidden_states",)),
    ],
)
def test_only_what_the_features_are_made_of_is_read(features, needed):
    assert FedHDSAligned(features=features).needs() == needed


def test_client_that_says_more_of_groups_than_it_has_counts_as_without_any():
    method = FedHDSAligned(space="random", dimensions=4)
    rows = np.eye(4, dtype=np.float32)[:2] * 0.9
    honest = {"prototypes": rows, "sizes": np.array([3, 3]), "samples": np.array([6])}
    forged = honest | {"sizes": np.array([2**31, 3])}
    _, replies = method.choose({}, {0: honest, 1: forged}, 2, generator(0, "test"))
    assert [reply["groups"].tolist() for reply in replies.values()] == [[0, 1], []]


def test_samples_that_are_all_alike_in_a_kind_are_told_apart_by_the_others():
    # one prompt for all: what its rounding leaves must not count as a direction
    rng = generator(0, "alike")
    states = np.repeat(rng.normal(size=(1, 2, 3, 16)), 6, axis=0).astype(np.float32)
    words = np.repeat(np.eye(4096, dtype=np.float32)[:2], 3, axis=0)
    method = FedHDSAligned()
    signals = Signals(6, {"mean_states": states, "words": words})
    summary, _ = method.introduce(signals, {}, {}, rng)
    points = method.place(signals, {"mean": summary["mean"]}, {})
    products = points @ points.T
    assert products[:3, :3].min() > 0.99
    assert products[:3, 3:].max() < -0.99
