from collections import Counter

import numpy as np

from fedhds.federation import checkpoint
from fedhds.federation.checkpoint import RunState
from fedhds.files import TEMPORARY


def state(round=3):
    return RunState(
        adapter={"w": np.arange(4, dtype=np.float32)},
        round=round,
        method={"covered": np.array([1, 2])},
        before={"round": 0, "unseen": None, "validation": {"loss": 1 / 3}},
        seconds=Counter(tuning=0.1),
        distinct={0: 5, 12: 7},
        lines=['{"round": 1}', '{"round": 2}', '{"round": 3}'],
    )


def test_what_is_saved_is_loaded_bit_for_bit(tmp_path):
    checkpoint.save(tmp_path, state())
    loaded = checkpoint.load(tmp_path)
    assert np.array_equal(loaded.adapter.pop("w"), state().adapter["w"])
    assert np.array_equal(loaded.method.pop("covered"), state().method["covered"])
    expected = state()
    expected.adapter, expected.method = {}, {}
    assert loaded == expected


def test_nothing_is_loaded_where_nothing_was_saved(tmp_path):
    assert checkpoint.load(tmp_path / "absent") is None


def test_only_the_newest_is_kept(tmp_path):
    for round in (1, 2, 10):
        checkpoint.save(tmp_path, state(round))
    assert [path.name for path in tmp_path.iterdir()] == ["000010.safetensors"]


def test_a_save_that_was_cut_off_leaves_the_one_before(tmp_path):
    checkpoint.save(tmp_path, state(4))
    unfinished = tmp_path / f"{TEMPORARY}abc"
    unfinished.write_text("half")
    assert checkpoint.load(tmp_path).round == 4
    checkpoint.save(tmp_path, state(5))
    assert checkpoint.load(tmp_path).round == 5
    assert not unfinished.exists()
