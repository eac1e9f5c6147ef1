import subprocess
import sys

import numpy as np
import pytest

from fedhds.federation.client_store import CORESET, ClientStore, RoundAdapter, Torn


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
    store.save("coreset", 2, 0, {"x": np.array([0])})
    assert found(store.before("memory", 9, 0)) == [10]


def test_unfinished_files_are_not_read(store):
    keep(store, 1, 0, 10)
    (store.folder / ".fedhds-tmp-9-memory-000002-000-00000000.safetensors").write_text("half")
    assert found(store.before("memory", 9, 0)) == [10]


def test_empty_arrays_are_kept(store):
    store.save("memory", 1, 0, {"x": np.zeros((0, 2), np.float32)})
    assert store.at("memory", 1, 0)["x"].shape == (0, 2)


def test_no_arrays_at_all_are_kept(store):
    store.save("memory", 1, 0, {})
    assert store.at("memory", 1, 0) == {}


def test_a_step_kept_again_is_the_last_one_only(store):
    keep(store, 1, 0, 10)
    keep(store, 1, 0, 11)
    assert found(store.at("memory", 1, 0)) == [11]
    assert len(list(store.folder.iterdir())) == 1


def tear(folder, name):
    """Leave as many bytes as there were, as a file system may after a power cut."""
    (path,) = folder.glob(name)
    path.write_bytes(bytes(path.stat().st_size))


def test_torn_files_are_never_read(store):
    keep(store, 1, 0, 10)
    tear(store.folder, "memory-000001-*")
    with pytest.raises(Torn, match="memory-000001"):
        store.before("memory", 2, 0)


def lose(folder, name):
    next(folder.glob(name)).unlink()


@pytest.mark.parametrize(
    ("how", "name", "survived"),
    [
        (tear, "memory-000001-*", False),
        (tear, "coreset-000001-*", False),
        (lose, "coreset-000001-*", False),
        (tear, "memory-000002-*", True),  # of a round that was not finished
    ],
)
def test_what_survived_a_power_cut_is_told(store, how, name, survived):
    keep(store, 1, 0, 10)
    store.save(CORESET, 1, 0, {"x": np.array([1])})
    keep(store, 2, 0, 20)
    assert store.survived(1, 1)
    how(store.folder, name)
    assert store.survived(1, 1) == survived


def test_a_client_that_failed_since_has_survived(store):
    # it got through round 1; of what it kept in rounds 4 and 5, in which it failed, the
    # store needs the last before any round that may be played, so the first is dropped
    for round in (1, 4, 5):
        store.save(CORESET, round, 0, {"x": np.array([round])})
    assert store.survived(1, 5)
    assert not store.survived(6, 7)


def test_a_rounds_adapter_is_kept_once_and_found_by_other_processes(tmp_path):
    ours, theirs = RoundAdapter(tmp_path), RoundAdapter(tmp_path)
    for round in (1, 2, 3):
        ours.keep(round, {"x": np.array([round])})
        ours.keep(round, {"x": np.array([round])})
    for adapters in (ours, theirs):
        assert found(adapters.of(3)) == [3]
        assert adapters.of(1) is None
        assert adapters.of(4) is None
    assert len(list(tmp_path.iterdir())) == 2  # this round's and the one's before


def test_processes_of_one_machine_keep_the_adapter_side_by_side(tmp_path):
    keeping = """if True:
        import sys
        from pathlib import Path
        import numpy as np
        from fedhds.federation.client_store import RoundAdapter
        adapters = RoundAdapter(Path(sys.argv[1]))
        for round in range(1, 2001):
            adapters.keep(round, {"w": np.full(2, round)})
    """
    command = [sys.executable, "-c", keeping, str(tmp_path)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    assert [process.communicate()[1] for process in processes] == [b"", b""]
    assert RoundAdapter(tmp_path).of(2000)["w"].tolist() == [2000, 2000]
