"""From a configuration to the clients' data: what a preset, a holdout and the hub lead to."""

import datasets
import pytest
import torch
from small import UNSEEN, rows, small_config, write_rows
from tiny import tiny_tokenizer
from transformers import MambaConfig, MambaForCausalLM

from fedhds import config as configuration
from fedhds.preparation import OwnData, prepare
from fedhds.types import Silent, UserError


def data_of(plain):
    return prepare(configuration.load(plain), Silent()).data


@pytest.fixture
def plain(tmp_path):
    return small_config(tmp_path)


def test_held_out_tasks_are_evaluated_on_and_trained_on_by_nobody(plain):
    plain["data"] |= {"eval": None, "holdout": ["task2", "task0"]}
    found = data_of(plain)
    assert [client.name for client in found.clients] == [f"task{n}" for n in (1, 3, 4, 5, 6, 7)]
    tasks = [sample.example.task for sample in found.unseen]
    assert tasks == ["task0"] * 12 + ["task2"] * 14  # the sizes of small.py
    assert (found.warnings, found.dropped) == ([], {})


def test_hub_and_file_give_the_same_tokens(plain, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "hub"
    folder.mkdir()
    write_rows(folder / "test.jsonl", [row for task in UNSEEN for row in rows(task, 4)])
    (tmp_path / "train.jsonl").rename(folder / "train.jsonl")
    from_files = data_of({**plain, "data": plain["data"] | {"train": f"{folder}/train.jsonl"}})
    sources = {"train": f"hub:{folder}", "eval": f"hub:{folder}:test"}
    from_hub = data_of({**plain, "data": plain["data"] | sources})
    assert from_hub.fingerprint == from_files.fingerprint
    assert from_hub.clients == from_files.clients


# The tiny model has 64 positions, which an instruction of 100 characters fills alone.
@pytest.mark.parametrize("key", ["eval", "holdout"])
def test_unseen_tasks_of_which_nothing_is_left_are_refused(plain, tmp_path, key):
    long = [row | {"instruction": "x" * 100} for row in rows("long", 3)]
    path = write_rows(tmp_path / "long.jsonl", [*rows("task", 12), *long][12 * (key == "eval") :])
    if key == "eval":
        given = plain["data"]["eval"] = str(path)
    else:
        plain["data"] |= {"train": str(path), "eval": None, "holdout": ["long"]}
        given = ["long"]
    with pytest.raises(UserError) as raised:
        data_of(plain)
    assert str(raised.value) == f"data.{key}: nothing is left of {given!r} (3 response_cut_away)"


def test_proxy_may_be_held_in_narrower_numbers_than_the_tuned_model(tmp_path):
    plain = small_config(tmp_path, selection__method="fedhds-turbo", model__proxy="embedded")
    narrow = ["model.dtype=float32", "model.proxy_dtype=bfloat16"]
    experiment = prepare(configuration.load(plain, narrow), Silent())
    assert experiment.model.base.dtype == torch.float32
    assert experiment.frozen["proxy"][0].base.dtype == torch.bfloat16
    # the cache tells them apart by their weights' bytes
    same = prepare(configuration.load(plain, ["model.dtype=float32"]), Silent())
    assert same.frozen["proxy"][0].base.dtype == torch.float32
    fingerprints = {each.frozen["proxy"][0].fingerprint for each in (same, experiment)}
    assert len(fingerprints) == 2


def base_reading(tmp_path, easiest, **changes):
    plain = small_config(
        tmp_path,
        selection__method=easiest,
        selection__samples=9,
        evaluation__validation=0,
        **changes,
    )
    return prepare(configuration.load(plain), Silent())


def test_method_that_reads_with_the_base_shares_the_tuned_models_weights(tmp_path, easiest):
    experiment = base_reading(tmp_path, easiest)
    reader = experiment.readers(0, Silent())["base"]
    assert reader.frozen
    assert (
        reader.model is experiment.readers(1, Silent())["base"].model
    )  # one fingerprint for all clients
    assert reader.model.base is experiment.model.base
    assert reader.samples == experiment.data.clients[0].train


def test_method_that_reads_with_the_base_reads_with_a_proxy_if_one_is_named(tmp_path, easiest):
    experiment = base_reading(tmp_path, easiest, model__proxy="embedded")
    reader = experiment.readers(0, Silent())["base"]
    assert reader.frozen
    assert reader.model.base is not experiment.model.base
    assert len(reader.samples) == len(experiment.data.clients[0].train)
    assert reader.samples != experiment.data.clients[0].train  # in tokens of its own


def test_nothing_frozen_is_there_where_nothing_is_selected(tmp_path, easiest):
    plain = small_config(tmp_path, selection__method=easiest, selection__samples=9)
    config = configuration.load(plain, ["model.proxy=./nowhere"])
    assert prepare(config, Silent(), selects=False).frozen == {}


@pytest.mark.parametrize("key", ["model.name", "model.proxy"])
def test_model_that_keeps_no_keys_and_values_is_refused_before_it_is_trained(tmp_path, key):
    options = {"hidden_size": 16, "num_hidden_layers": 2, "state_size": 4, "vocab_size": 200}
    folder = tmp_path / "mamba"
    MambaForCausalLM(MambaConfig(**options)).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    plain = small_config(tmp_path, selection__method="fedhds-turbo", model__proxy="embedded")
    with pytest.raises(UserError, match=f"^{key}: models of type 'mamba' keep no keys and values"):
        prepare(configuration.load(plain, [f"{key}={folder}"]), Silent())


@pytest.mark.parametrize("proxy", [None, "embedded"])
def test_knowledge_stands_in_front_of_what_the_base_or_the_proxy_in_its_place_reads(
    tmp_path, proxy
):
    public = write_rows(tmp_path / "public.jsonl", rows("task3", 30))
    plain = small_config(
        tmp_path,
        selection__method="recost",
        selection__samples=9,
        selection__knowledge=str(public),
        model__proxy=proxy,
    )
    frozen = prepare(configuration.load(plain), Silent()).frozen
    (_, held), (reader, informed) = frozen["base"], frozen["knowledge"]
    pairs = [pair for both in zip(held, informed, strict=True) for pair in zip(*both, strict=True)]
    assert reader is frozen["base"][0]
    assert all(one.response == other.response for one, other in pairs)
    assert any(len(one.prompt) < len(other.prompt) for one, other in pairs)


def test_across_machines_the_server_has_unseen_tasks_alone_and_a_site_its_own_data(plain):
    plain["federation"] |= {"engine": "deployment", "sites": ["north", "south"], "deadline": 60}
    own = prepare(configuration.load(plain), Silent(), own=OwnData("south", 1)).data
    (client,) = own.clients
    assert client.name == "south"
    assert len(client.train) + len(client.validation) == sum(12 + n for n in range(8))  # small.py
    plain["data"]["train"] = None
    server = prepare(configuration.load(plain), Silent(), selects=False).data
    assert server.clients == []
    assert {sample.example.task for sample in server.unseen} == set(UNSEEN)
