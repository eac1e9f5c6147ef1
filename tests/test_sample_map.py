"""What a run keeps for a report's map."""

import json

import numpy as np
import pytest
from small import CLIENTS, small_config

import fedhds
from fedhds import sample_map
from fedhds.files import read_json


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return small_config(tmp_path_factory.mktemp("map"), federation__fraction=1.0)


def select(config, folder, **selection):
    """Select with some settings; return the map and each client's coreset's samples."""
    fedhds.select(config | {"selection": selection}, folder)
    files = sorted((folder / "coresets").iterdir())
    coresets = [list(map(json.loads, file.read_text().splitlines())) for file in files]
    return read_json(folder / "samples.json"), coresets


def test_columns_are_parallel_and_cover_all_samples(config, tmp_path):
    found, _ = select(config, tmp_path / "run", method="random", samples=16)
    tasks = found.pop("tasks")
    assert {name: len(column) for name, column in found.items()} == dict.fromkeys(
        ("client", "task", "x", "y", "group", "chosen"), len(found["client"])
    )
    assert tasks == [f"task{c}" for c in range(CLIENTS)]
    assert found["task"] == found["client"]  # one task a client, in the order of their names
    assert np.bincount(found["client"]).tolist() == [
        client["samples"] for client in read_json(tmp_path / "run" / "run.json")["clients"]
    ]


@pytest.mark.parametrize("method", ["random", "fedhds", "fedhds-aligned"])
def test_chosen_are_those_of_the_coresets(config, tmp_path, method):
    found, coresets = select(config, tmp_path / "run", method=method, samples=16)
    chosen = np.bincount(found["client"], weights=found["chosen"], minlength=CLIENTS)
    assert chosen.tolist() == [len(rows) for rows in coresets]


@pytest.mark.parametrize("inner", [{}, {"within": {"method": "perplexity"}}])
def test_methods_that_group_say_each_samples_group(config, tmp_path, inner):
    settings = {"method": "fedhds-aligned", "samples": 16} | inner
    found, _ = select(config, tmp_path / "run", **settings)
    groups, chosen = np.array(found["group"]), np.array(found["chosen"], bool)
    assert groups[chosen].min() >= 0
    assert len({*zip(found["client"], found["group"], strict=True)}) > CLIENTS


def test_runs_on_the_same_data_share_their_places(config, tmp_path):
    one, _ = select(config, tmp_path / "one", method="random", samples=16)
    other, _ = select(config, tmp_path / "other", method="zip", samples=16)
    assert (one["x"], one["y"]) == (other["x"], other["y"])
    assert one["chosen"] != other["chosen"]


def test_of_too_many_samples_there_is_no_map(config, tmp_path, monkeypatch):
    monkeypatch.setattr(sample_map, "MOST", 20)
    fedhds.select(config | {"selection": {"method": "zip", "samples": 8}}, tmp_path / "run")
    assert not (tmp_path / "run" / "samples.json").exists()


def test_no_text_is_kept(config, tmp_path):
    select(config, tmp_path / "run", method="random", samples=16)
    kept = (tmp_path / "run" / "samples.json").read_text()
    assert not any(f"task{c} {n}" in kept for c in range(CLIENTS) for n in range(12))
