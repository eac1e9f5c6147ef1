"""All clients' own points grouped at once on the server."""

import numpy as np
import pytest

from fedhds.rng import generator
from fedhds.selection._fusion import fuse
from fedhds.selection._layers import pooled
from fedhds.selection.fedhds import FedHDS
from fedhds.selection.global_select import GlobalSelect
from fedhds.types import Signals


def rng(seed=0):
    return generator(seed, "global-select")


def client(centres, each=5):
    """Groups of samples that are all alike, far from each other."""
    states = np.repeat(np.array(centres, np.float32), each, axis=0)
    return Signals(len(states), {"hidden_states": states[:, None]})


def choose(method, signals, budget=None):
    (step,) = method.steps
    summaries = {c: step.client(each, {}, {}, rng(c))[0] for c, each in signals.items()}
    state, replies = step.server({}, summaries, budget, rng())
    return state, {c: reply["positions"].tolist() for c, reply in replies.items()}


def test_points_are_those_that_fedhds_groups():
    signals, method = client([[0, 9], [9, 0]]), GlobalSelect()
    sent, _ = method.steps[0].client(signals, {}, {}, rng())
    _, memory = FedHDS().steps[0].client(signals, {}, {}, rng())
    np.testing.assert_array_equal(sent["features"], memory["points"])
    expected = fuse(pooled(signals.arrays["hidden_states"]), "tsne", 2, rng())
    np.testing.assert_array_equal(sent["features"], expected)


def test_group_that_two_clients_share_gives_one_sample():
    # both hold the group at (0, 9); unfused points keep their places, so three groups form
    signals = {0: client([[0, 9], [9, 0]]), 1: client([[0, 9], [-9, -9]])}
    state, chosen = choose(GlobalSelect(fusion="none"), signals)
    assert state["groups"].tolist() == [3]
    shared = [c for c, positions in chosen.items() for i in positions if i < 5]
    assert len(shared) == 1
    assert sum(map(len, chosen.values())) == 3


def test_budget_is_kept():
    signals = {0: client([[0, 9], [9, 0]]), 1: client([[5, 5]])}
    _, chosen = choose(GlobalSelect(), signals, budget=7)
    assert sum(map(len, chosen.values())) == 7


def test_every_samples_point_leaves_the_client():
    assert not GlobalSelect().private
    assert GlobalSelect().steps[0].summary["features"].shape[0] == "samples"


@pytest.mark.parametrize("options", [{"dimensions": 0}, {"layers": []}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=r"dimensions|layers"):
        GlobalSelect(**options)


def test_dimensions_are_unused_where_nothing_is_fused():
    assert GlobalSelect(fusion="none", dimensions=5).unused() == ("dimensions",)
    assert GlobalSelect(dimensions=5).unused() == ()
