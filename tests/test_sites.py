"""Sites opened from a small pickled object are those of the experiment itself."""

import json
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from small import CLIENTS, small_config

from fedhds import config, run_folder
from fedhds.federation.client_store import CORESET, ClientStore
from fedhds.models import adapter_arrays
from fedhds.preparation import prepare
from fedhds.sites import SiteOpener, build_sites, check_kept
from fedhds.types import Silent, UserError


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """An experiment and its run folder, just begun."""
    folder = tmp_path_factory.mktemp("small")
    experiment = prepare(config.parse(small_config(folder)), Silent())
    run_folder.begin(folder / "run", experiment, "select")
    return experiment, folder / "run"


def context(client: int) -> SimpleNamespace:
    return SimpleNamespace(node_config={"partition-id": client})


def test_an_opener_opens_what_the_server_would(begun):
    expected = build_sites(*begun, "select", Silent())
    opener = pickle.loads(pickle.dumps(SiteOpener.of(*begun, "select")))
    opened = [opener(context(client), 7) for client in range(CLIENTS)]
    for ours, theirs in zip(expected, opened, strict=True):
        assert ours.data == theirs.data
        assert ours.coresets == theirs.coresets
        assert ours.store.folder == theirs.store.folder
        assert (ours.method, ours.tuning, ours.seed) == (theirs.method, theirs.tuning, theirs.seed)
    arrays = (adapter_arrays(site.model.model) for site in (expected[0], opened[0]))
    assert [array.tolist() for array in next(arrays).values()] == [
        array.tolist() for array in next(arrays).values()
    ]


def test_a_process_prepares_once(begun):
    opener = SiteOpener.of(*begun, "select")
    assert len({id(opener(context(client), 7).model) for client in range(CLIENTS)}) == 1


def test_an_opener_is_small(begun):
    assert len(pickle.dumps(SiteOpener.of(*begun, "select"))) < 10_000


@pytest.mark.parametrize(
    ("threads", "cpus", "expected"), [(3, 1.0, 3), (None, 2.5, 2), (None, 0.5, 1)]
)
def test_threads_are_those_set_or_the_clients_cpus(begun, threads, cpus, expected):
    experiment, folder = begun
    changed = experiment.config.resolved()
    changed["model"]["threads"], changed["federation"]["client_cpus"] = threads, cpus
    other = type(experiment)(config.parse(changed), experiment.data, experiment.model)
    plain = json.loads(SiteOpener.of(other, folder, "run").config)
    assert plain["model"]["threads"] == expected


def test_data_that_changed_is_refused(begun, tmp_path):
    experiment, _ = begun
    run_folder.begin(tmp_path / "run", experiment, "run")
    (tmp_path / "run" / "run.json").write_text('{"data": "other"}')
    with pytest.raises(UserError, match="the data changed"):
        SiteOpener.of(experiment, tmp_path / "run", "run")(context(0), 7)


def test_what_clients_lost_in_a_power_cut_is_refused(tmp_path):
    line = json.dumps({"round": 1, "clients": [3, 4], "failed": {"4": "RuntimeError"}})
    store = ClientStore(tmp_path / "clients" / "3")
    with pytest.raises(UserError, match="client 3 lost what it kept in round 1"):
        check_kept(tmp_path, [line])
    store.save(CORESET, 1, 0, {"indices": np.arange(2)})
    check_kept(tmp_path, [line])  # client 4 has kept nothing, and never got through a round
