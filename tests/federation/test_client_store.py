import numpy as np
import pytest

from fedhds.federation.client_store import ClientStore


@pytest.fixture
def store(tmp_path):
    return ClientStore(tmp_path / "client")


def keep(store, round, step, value):
    store.save("memory", round, step, {"x": np.array([value])})


def found(arrays):
    return None if arrays is None else arrays["x"].tolist()


def test_nothing_is_found_in_an_empty_store(store):
    assert store.before("memory", 5, 0) is None
    assert store.at("memory", 5, 0) is None


def test_a_step_reads_the_step_before_it(store):
    keep(store, 1, 0, 10)
    keep(store, 1, 1, 11)
    assert found(store.before("memory", 1, 1)) == [10]
    assert found(store.before("memory", 2, 0)) == [11]


def test_a_replayed_step_does_not_see_what_it_kept_itself(store):
    keep(store, 1, 0, 10)
    keep(store, 7, 0, 70)
    keep(store, 7, 1, 71)
    assert found(store.before("memory", 7, 0)) == [10]


def test_what_no_step_can_ask_for_is_dropped(store):
    for round in (1, 2, 3):
        keep(store, round, 0, round)
    # round 3 played again still finds round 2; nothing can ask for round 1
    assert found(store.before("memory", 3, 0)) == [2]
    assert store.at("memory", 1, 0) is None


def test_kinds_are_kept_apart(store):
    keep(store, 1, 0, 10)
    store.save("used", 2, 0, {"x": np.array([0])})
    assert found(store.before("memory", 9, 0)) == [10]


def test_unfinished_files_are_not_read(store):
    keep(store, 1, 0, 10)
    (store.folder / ".memory-000002-000.safetensors.abc").write_text("half")
    assert found(store.before("memory", 9, 0)) == [10]


def test_empty_arrays_are_kept(store):
    store.save("memory", 1, 0, {"x": np.zeros((0, 2), np.float32)})
    assert store.at("memory", 1, 0)["x"].shape == (0, 2)


def test_no_arrays_at_all_are_kept(store):
    store.save("memory", 1, 0, {})
    assert store.at("memory", 1, 0) == {}


def test_dropped_kinds_are_gone_and_others_stay(store):
    keep(store, 1, 0, 10)
    store.save("adapter", 1, 0, {"x": np.array([1])})
    store.drop("adapter")
    assert store.at("adapter", 1, 0) is None
    assert found(store.at("memory", 1, 0)) == [10]
