"""A method before another one, and one inside another one's groups."""

import numpy as np
import pytest

from fedhds.rng import generator
from fedhds.selection._composition import Filtered, Within, choose_alone
from fedhds.selection.coreset_cent import CoresetCent
from fedhds.selection.density import Density
from fedhds.selection.feddqc import FedDQC
from fedhds.selection.fedhds import FedHDS
from fedhds.selection.fedhds_aligned import FedHDSAligned
from fedhds.selection.full import Full
from fedhds.selection.ifd import IFD
from fedhds.selection.perplexity import Perplexity
from fedhds.selection.random import Random
from fedhds.types import Signals

EASY = Perplexity()


def rng(seed=0):
    return generator(seed, "composition")


def of_losses(*losses):
    """Signals of one client under the name that a composition reads them by."""
    return Signals(len(losses), {"base/loss_with_prompt": np.array(losses, np.float32)})


def quota(count):
    return {"quota": np.array([count])}


def clustered(counts=(6, 5)):
    """Two far groups; the losses fall along each of them."""
    centres = np.repeat(np.eye(len(counts)) * 100, counts, axis=0)
    near = rng().normal(size=(sum(counts), len(counts)))
    losses = np.concatenate([np.arange(n, 0, -1) for n in counts])
    return Signals(
        sum(counts),
        {
            "tuned/hidden_states": (centres + near)[:, None].astype(np.float32),
            "base/loss_with_prompt": losses.astype(np.float32),
        },
    )


def play(method, signals, budget=None):
    """Play a composition as a round with this one client would."""
    received, memory, state = {}, {}, {}
    for step in method.steps:
        summary, memory = step.client(signals, received, memory, rng())
        state, replies = step.server(state, {0: summary}, budget, rng())
        received = replies[0]
    return method.pick(signals, received, memory, rng())


def test_method_alone_chooses_what_it_would_in_a_federation_of_one():
    states = rng().normal(size=(12, 2, 3)).astype(np.float32)
    signals = Signals(12, {"hidden_states": states})
    # seven noise-free samples at random places; the budget holds whatever the groups
    for method in (FedHDS(fusion="none"), CoresetCent()):
        assert len(choose_alone(method, signals, 7, rng())) == 7


def test_filter_leaves_only_what_it_keeps_to_the_other_method():
    # the half with the lowest losses is at 1, 3 and 4; random takes all three of them
    chosen = Filtered(EASY, Random(), 0.5).pick(of_losses(9, 1, 8, 2, 3, 7), quota(3), {}, rng())
    assert chosen.indices.tolist() == [1, 3, 4]


def test_no_budget_reaches_what_was_left_out():
    chosen = Filtered(EASY, Random(), 0.5).pick(of_losses(9, 1, 8, 2), quota(4), {}, rng())
    assert chosen.indices.tolist() == [1, 3]


@pytest.mark.parametrize(("keep", "samples", "kept"), [(0.7, 10, 7), (0.5, 3, 2), (0.1, 1, 1)])
def test_share_is_rounded_up(keep, samples, kept):
    chosen = Filtered(EASY, Full(), keep).pick(of_losses(*range(samples)), {}, {}, rng())
    assert chosen.indices.tolist() == list(range(kept))  # losses ascend


def test_empty_client_keeps_nothing():
    assert len(Filtered(EASY, Full(), 0.5).pick(of_losses(), {}, {}, rng())) == 0


def test_filter_goes_before_the_exchanges_and_is_remembered():
    signals, method = clustered(), Filtered(EASY, FedHDS(fusion="none"), 0.5)
    summary, memory = method.steps[0].client(signals, {}, {}, rng())
    # of 6 and 5 samples with losses 6..1 and 5..1 the six lowest are 3, 2, 1 and 3, 2, 1
    assert memory["filter/kept"].tolist() == [3, 4, 5, 8, 9, 10]
    assert summary["samples"].tolist() == [6]
    unread = Signals(11, {k: v for k, v in signals.arrays.items() if k.startswith("tuned")})
    again, _ = method.steps[0].client(unread, {}, memory, rng())
    np.testing.assert_array_equal(again["centroids"], summary["centroids"])


def test_chosen_positions_are_the_clients_own():
    chosen = play(Filtered(EASY, FedHDS(fusion="none"), 0.5), clustered(), budget=6)
    assert chosen.indices.tolist() == [3, 4, 5, 8, 9, 10]


def test_inner_method_chooses_inside_each_group():
    method = Within(EASY, FedHDS(fusion="none", min_cluster_size=3))
    chosen = play(method, clustered(), budget=4)
    # two groups give two samples each: those of the lowest losses, the last of each group
    assert chosen.indices.tolist() == [4, 5, 9, 10]
    assert chosen.groups.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    "outer", [FedHDS(min_cluster_size=3), FedHDSAligned(dimensions=8, features="last-token")]
)
def test_groups_give_as_many_as_without_an_inner_method(outer):
    arrays = dict(clustered((9, 7, 8)).arrays)
    arrays["base/hidden_states"] = arrays["tuned/hidden_states"]
    signals = Signals(24, arrays)
    bare = {name: arrays[f"tuned/{name}"] for name in outer.needs()}
    alone = play(outer, Signals(24, bare), 10)
    inside = play(Within(EASY, outer), signals, 10)
    assert np.bincount(inside.groups + 1).tolist() == np.bincount(alone.groups + 1).tolist()


def test_method_with_exchanges_of_its_own_chooses_inside_groups_too():
    inner = CoresetCent()
    method = Within(inner, FedHDS(fusion="none", min_cluster_size=3))
    assert len(play(method, clustered(), budget=5)) == 5
    assert method.private  # what is inside leaves no client


def test_filter_and_inner_method_go_together():
    inside = Within(Random(), FedHDS(fusion="none"))
    signals = clustered()
    chosen = play(Filtered(EASY, inside, 0.5), signals, budget=3)
    assert set(chosen.indices.tolist()) <= {3, 4, 5, 8, 9, 10}
    assert len(chosen) == 3


def test_rounds_are_those_of_the_outer_method():
    method = Filtered(IFD(), FedDQC(), 0.5)
    assert method.schedule(1, 6) == FedDQC().schedule(1, 6)
    state = {"small_clients": np.array([2])}
    assert "2 client(s)" in Filtered(IFD(), Density(), 0.5).remarks(state)[0]


@pytest.mark.parametrize("key", ["inner", "outer"])
def test_layers_that_are_not_there_are_refused_where_they_are_named(key):
    both = {"inner": FedHDS(), "outer": FedHDS()} | {key: FedHDS(layers=[9])}
    with pytest.raises(ValueError, match=r"^filter\.layers" if key == "inner" else "^layers"):
        Filtered(**both, keep=0.5).check_layers(2)


def test_needs_name_their_models():
    method = Filtered(IFD(), FedHDS(), 0.5)
    assert method.needs() == (
        "base/loss_with_prompt",
        "base/loss_uninstructed",
        "tuned/hidden_states",
    )


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: Filtered(Full(), FedHDS(), 0.5), "takes all samples"),
        (lambda: Within(Full(), FedHDS()), "takes all samples"),
        (lambda: Within(Random(), Random()), "has no groups to choose within"),
    ],
)
def test_methods_that_do_not_go_together_are_refused(build, sentence):
    with pytest.raises(ValueError, match=sentence):
        build()
