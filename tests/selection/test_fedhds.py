"""FedHDS on a hand-sized federation, every number derived beside it."""

import numpy as np
import pytest

from fedhds.rng import generator
from fedhds.selection._layers import of_layers
from fedhds.selection.fedhds import FedHDS
from fedhds.selection.fedhds_turbo import FedHDSTurbo
from fedhds.types import Signals

RNG = generator(0, "test")

# Three clients' centroids. Near the origin lie (0, 0), (.2, 0) and (.1, .1); near (10, 10)
# lie (10, 10) and (10, 10.2); (50, -50) is alone. HDBSCAN with groups of at least 2 finds
# the two crowds and calls the lone one noise.
CENTROIDS = {
    0: [[0.0, 0.0], [10.0, 10.0]],
    1: [[50.0, -50.0], [0.2, 0.0], [10.0, 10.2]],
    2: [[0.1, 0.1]],
}
SAMPLES = {0: 6, 1: 9, 2: 4}


def summaries(centroids=CENTROIDS):
    return {
        client: {
            "centroids": np.array(points, np.float32).reshape(-1, 2),
            "samples": np.array([SAMPLES[client]]),
            "ungrouped": np.array([0]),
        }
        for client, points in centroids.items()
    }


def chosen(replies):
    return {
        (client, int(group)): int(count)
        for client, reply in replies.items()
        for group, count in zip(reply["groups"], reply["samples"], strict=True)
    }


def blobs(sizes, gap=100.0, layers=3, width=4):
    """Hidden states in well separated heaps, one heap after the other."""
    rng = generator(0, "blobs")
    heaps = [rng.normal(i * gap, 1.0, (n, layers, width)) for i, n in enumerate(sizes)]
    return Signals(sum(sizes), {"hidden_states": np.concatenate(heaps).astype(np.float32)})


def test_client_groups_follow_the_heaps_in_its_features():
    _, memory = FedHDS(min_cluster_size=5).group(blobs([20, 20]), {}, {}, RNG)
    labels = memory["labels"]
    grouped = labels >= 0
    # no group holds samples of both heaps
    for group in range(labels.max() + 1):
        heaps = np.flatnonzero(grouped & (labels == group)) // 20
        assert len(set(heaps.tolist())) == 1


def test_centroids_are_in_the_order_of_the_groups_numbers():
    summary, memory = FedHDS().group(blobs([12, 12, 12]), {}, {}, RNG)
    points, labels = memory["points"], memory["labels"]
    # a weighted mean lies within the box around its own group's points
    for group, centroid in enumerate(summary["centroids"]):
        members = points[labels == group]
        assert (members.min(axis=0) - 1e-4 <= centroid).all()
        assert (centroid <= members.max(axis=0) + 1e-4).all()


def test_server_takes_the_centroid_nearest_to_each_global_centre():
    # Crowd one: the centre is about (.1, .03); distances .104, .104, .067 -> client 2's.
    # Crowd two: two points at equal distance from their centre -> the first, client 0's.
    state, replies = FedHDS().choose({}, summaries(), None, RNG)
    assert chosen(replies) == {(2, 0): 1, (0, 1): 1}
    assert state["global_groups"] == 2


def test_every_client_gets_a_reply_even_if_none_of_its_groups_is_chosen():
    _, replies = FedHDS().choose({}, summaries(), None, RNG)
    assert sorted(replies) == [0, 1, 2]
    assert len(replies[1]["groups"]) == 0


def test_no_global_group_falls_back_to_all_client_groups_and_says_so():
    method = FedHDS()
    state, replies = method.choose({}, summaries({0: [[0.0, 0.0]], 1: []}), None, RNG)
    assert chosen(replies) == {(0, 0): 1}
    assert "every client group was chosen" in method.remarks(state)[0]


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        # the larger crowd (3 members) is represented first
        (1, {(2, 0): 1}),
        (2, {(2, 0): 1, (0, 1): 1}),
        # then the other members of the two crowds
        (5, {(2, 0): 1, (0, 1): 1, (0, 0): 1, (1, 1): 1, (1, 2): 1}),
        # then the lone one
        (6, {(2, 0): 1, (0, 1): 1, (0, 0): 1, (1, 1): 1, (1, 2): 1, (1, 0): 1}),
        # then the representatives again
        (8, {(2, 0): 2, (0, 1): 2, (0, 0): 1, (1, 1): 1, (1, 2): 1, (1, 0): 1}),
    ],
)
def test_budget_goes_round_the_groups_representatives_first(budget, expected):
    _, replies = FedHDS().choose({}, summaries(), budget, RNG)
    assert chosen(replies) == expected


@pytest.mark.parametrize("budget", range(1, 20))
def test_budget_is_exact_and_no_client_gives_more_than_it_has(budget):
    _, replies = FedHDS().choose({}, summaries(), budget, RNG)
    given = {client: int(reply["samples"].sum()) for client, reply in replies.items()}
    assert sum(given.values()) == budget
    assert all(given[client] <= SAMPLES[client] for client in given)


def test_budget_beyond_all_samples_takes_them_all():
    _, replies = FedHDS().choose({}, summaries(), 1000, RNG)
    assert sum(chosen(replies).values()) == sum(SAMPLES.values())


# Five samples on a line: group 0 at 0, 1, 2 (centroid 1), group 1 at 10 and 13 (centroid 11).
MEMORY = {
    "points": np.array([[0, 0], [1, 0], [2, 0], [10, 0], [13, 0]], np.float32),
    "labels": np.array([0, 0, 0, 1, 1]),
    "centroids": np.array([[1, 0], [11, 0]], np.float32),
}


@pytest.mark.parametrize(
    ("groups", "counts", "indices"),
    [
        ([0], [1], [1]),  # the sample at the centroid
        ([1], [1], [3]),  # 10 is nearer to 11 than 13 is
        ([0, 1], [2, 1], [0, 1, 3]),  # 0 and 2 tie; the first wins
        ([1], [3], [2, 3, 4]),  # group 1 has two; 2 is nearest to 11 of the others
        ([], [], []),
    ],
)
def test_pick_takes_the_real_samples_nearest_to_the_chosen_centroids(groups, counts, indices):
    reply = {"groups": np.array(groups, np.int64), "samples": np.array(counts, np.int64)}
    coreset = FedHDS().pick(Signals(5), reply, MEMORY, RNG)
    assert coreset.indices.tolist() == indices
    assert coreset.groups.tolist() == MEMORY["labels"][coreset.indices].tolist()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_client_of_fewer_than_four_samples_is_one_group(count):
    summary, memory = FedHDS().group(blobs([count]), {}, {}, RNG)
    assert len(summary["centroids"]) == 1
    assert memory["labels"].tolist() == [0] * count


def test_client_of_identical_samples_is_one_group():
    signals = Signals(8, {"hidden_states": np.ones((8, 3, 4), np.float32)})
    summary, _ = FedHDS().group(signals, {}, {}, RNG)
    assert summary["centroids"].tolist() == [[0.0, 0.0]]


def test_client_where_hdbscan_finds_only_noise_is_one_group_and_counted():
    # 6 samples cannot hold a group of at least 10
    method = FedHDS(min_cluster_size=10)
    summary, _ = method.group(blobs([6]), {}, {}, RNG)
    assert len(summary["centroids"]) == 1
    state, _ = method.choose({}, {0: summary, 1: summaries()[1]}, None, RNG)
    assert any("1 client(s) formed no group" in remark for remark in method.remarks(state))


def test_the_whole_method_gives_each_heap_of_each_client_at_most_its_own_samples():
    method, step = FedHDS(), FedHDS().steps[0]
    signals = {client: blobs([10, 10, 10]) for client in range(3)}
    told, kept = {}, {}
    for client, signal in signals.items():
        told[client], kept[client] = step.client(signal, {}, {}, generator(0, "g", client))
    _, replies = step.server({}, told, None, RNG)
    coresets = {c: method.pick(signals[c], replies[c], kept[c], RNG) for c in signals}
    assert sum(map(len, coresets.values())) == sum(len(r["groups"]) for r in replies.values()) > 0
    for client, coreset in coresets.items():
        # one sample a chosen group, and it is a member of that very group
        assert coreset.groups.tolist() == kept[client]["labels"][coreset.indices].tolist()
        assert sorted(coreset.groups.tolist()) == sorted(replies[client]["groups"].tolist())


def test_samples_of_a_client_without_groups_cannot_be_asked_for():
    told = summaries({0: [[0.0, 0.0]], 1: []})
    told[1]["samples"] = np.array([1000])
    _, replies = FedHDS().choose({}, told, 10, RNG)
    assert chosen(replies) == {(0, 0): SAMPLES[0]}


def test_a_huge_budget_is_divided_at_once():
    told = summaries()
    for summary in told.values():
        summary["samples"] = np.array([10**9])
    _, replies = FedHDS().choose({}, told, 2 * 10**9, RNG)
    given = [int(reply["samples"].sum()) for reply in replies.values()]
    assert sum(given) == 2 * 10**9
    assert max(given) <= 10**9


def test_many_centroids_in_many_dimensions_are_grouped_approximately_and_the_round_tells():
    # 240 clients with a group in each of 50 heaps: 12000 centroids
    heaps = 100 * generator(0, "heaps").normal(size=(50, 8))
    rng = generator(0, "clients")
    facts = summaries()[0]
    told = {c: facts | {"centroids": heaps + rng.normal(size=(50, 8))} for c in range(240)}
    method = FedHDS(dimensions=8)
    state, replies = method.choose({}, told, None, RNG)
    assert state["global_groups"] == 50
    assert sum(chosen(replies).values()) == 50
    assert "12000 client groups were compared approximately" in method.remarks(state)[0]


def test_rounding_noise_is_no_structure():
    rng = generator(0, "rounding")
    states = 1 + 1e-7 * rng.normal(size=(20, 3, 4))
    summary, _ = FedHDS().group(Signals(20, {"hidden_states": states}), {}, {}, RNG)
    assert summary["centroids"].tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("width", [0, 5])
def test_centroids_of_another_width_are_taken_as_none(width):
    # with fusion "none" the server does not know the width; client 1's is not that of the others
    forged = summaries()
    forged[1]["centroids"] = np.zeros((3, width), np.float32)
    _, replies = FedHDS(fusion="none").choose({}, forged, None, RNG)
    assert sorted(replies) == [0, 1, 2]
    assert len(replies[1]["groups"]) == 0


def test_centroids_without_any_number_are_taken_as_none():
    forged = summaries()
    for summary in forged.values():
        summary["centroids"] = np.zeros((3, 0), np.float32)
    _, replies = FedHDS(fusion="none").choose({}, forged, 5, RNG)
    assert chosen(replies) == {}


# --- the ablations ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "expected"),
    [("all", [0, 1, 2, 3, 4, 5]), ("last", [4, 5]), ([0], [0, 1]), ([-1, 0], [4, 5, 0, 1])],
)
def test_features_are_the_states_of_the_layers_asked_for(layers, expected):
    # one sample, three layers of width 2, numbered through
    states = np.arange(6, dtype=np.float32).reshape(1, 3, 2)
    assert of_layers(states, layers).reshape(1, -1).tolist() == [expected]


@pytest.mark.parametrize("layer", [-4, 3])
def test_layer_that_is_not_there_is_refused(layer):
    # a model of 2 layers has the states 0, 1, 2, or -3, -2, -1
    with pytest.raises(ValueError, match=rf"layers: there is no layer {layer} in a model of 2"):
        FedHDS(layers=[0, layer]).check_layers(2)
    FedHDS(layers=[-3, 2]).check_layers(2)


def test_without_the_inter_client_step_every_client_group_is_chosen():
    method = FedHDS(inter_client=False)
    state, replies = method.choose({}, summaries(), None, RNG)
    assert chosen(replies) == {(0, 0): 1, (0, 1): 1, (1, 0): 1, (1, 1): 1, (1, 2): 1, (2, 0): 1}
    assert method.remarks(state) == ()


def test_kmeans_on_a_client_makes_as_many_groups_as_asked_for():
    method = FedHDS(grouping="kmeans", groups=3, fusion="pca")
    summary, memory = method.group(blobs([9, 9, 9]), {}, {}, RNG)
    assert summary["centroids"].shape == (3, 2)
    assert memory["labels"].tolist() == [0] * 9 + [1] * 9 + [2] * 9


def test_noise_is_on_what_is_sent_and_not_on_what_is_kept():
    # tanh brings any centroid into -1..1; noise of standard deviation .1 moves it by .6 at most
    heaps = blobs([12] * 5)
    clean, _ = FedHDS(fusion="pca").group(heaps, {}, {}, generator(0, "n"))
    summary, memory = FedHDS(fusion="pca", noise=0.01).group(heaps, {}, {}, generator(0, "n"))
    moved = summary["centroids"] - np.tanh(clean["centroids"])
    assert 0 < np.abs(moved).max() < 0.6
    assert np.array_equal(memory["centroids"], clean["centroids"])


@pytest.mark.parametrize(
    "options",
    [{"min_cluster_size": 1}, {"dimensions": 0}, {"groups": 0}, {"noise": -1.0}, {"layers": []}],
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=rf"^{next(iter(options))} must"):
        FedHDS(**options)


def test_turbo_is_fedhds_on_a_proxy():
    assert (FedHDS().signal_model, FedHDSTurbo().signal_model) == ("tuned", "proxy")
    heaps = blobs([12, 12])
    turbo, plain = (m.group(heaps, {}, {}, generator(0, "t"))[0] for m in (FedHDSTurbo(), FedHDS()))
    assert np.array_equal(turbo["centroids"], plain["centroids"])


def test_groups_too_small_to_be_told_of_are_merged_with_the_nearest():
    # heaps of 2 at 0, 6 at 100 and 6 at 110: the two alone join the nearest heap that is no smaller
    rng = generator(0, "heaps")
    heaps = [rng.normal(at, 0.1, (n, 1, 2)) for at, n in ((0, 2), (100, 6), (110, 6))]
    signals = Signals(14, {"hidden_states": np.concatenate(heaps).astype(np.float32)})
    method = FedHDS(fusion="none", grouping="kmeans", groups=3, minimum_group=3)
    summary, memory = method.group(signals, {}, {}, RNG)
    assert memory["labels"].tolist() == [0] * 8 + [1] * 6
    means = [memory["points"][:8].mean(axis=0), memory["points"][8:].mean(axis=0)]
    assert np.allclose(summary["centroids"], means)


def test_a_client_too_small_to_be_told_of_gives_what_a_budget_asks_for():
    method = FedHDS(minimum_group=3)
    summary, memory = method.group(blobs([2]), {}, {}, RNG)
    assert summary["centroids"].shape == (0, 2)
    told = {0: summaries()[0], 1: summary}
    # the six samples of client 0, then both of client 1, of which no budget of less asks any
    for budget, of_small in ((6, 0), (7, 1), (9, 2)):
        _, replies = method.choose({}, told, budget, RNG)
        coreset = method.pick(blobs([2]), replies[1], memory, RNG)
        assert len(coreset) == of_small
        assert (coreset.groups == -1).all()
