"""What every preset must keep to, whoever wrote it: found by folder, run on data of its format."""

import dataclasses
import json

import pytest
from formats import WRITERS

from fedhds import config as configuration
from fedhds import registry
from fedhds.config.sections import DataConfig
from fedhds.data.examples import COLUMNS
from fedhds.data.loading import load_examples
from fedhds.files import json_line
from fedhds.preparation import prepare
from fedhds.types import Silent

TASKS = ("classification", "open_qa")
COUNT = 20
PRESETS = registry.names("preset")


@pytest.fixture(params=PRESETS)
def plain(request, tmp_path):
    """Write data of a preset and return the configuration that names them."""
    data = {"preset": request.param, **WRITERS[request.param](tmp_path, TASKS, COUNT)}
    return {"data": data, "partition": {"kind": "iid", "clients": 3}}


def load(plain):
    """Read the data of a configuration as an experiment does."""
    config = configuration.load(plain)
    data, preset = config.data, config.data_preset
    return load_examples(preset, data.train, data.eval, data.columns, data.holdout, config.seed)


@pytest.mark.parametrize("name", PRESETS)
def test_options_are_keys_of_data_and_columns_are_of_fields(name):
    preset = registry.load("preset", name)
    assert {field.name for field in dataclasses.fields(preset)} <= DataConfig.model_fields.keys()
    assert preset.columns.keys() <= COLUMNS.keys()
    assert preset.__dataclass_params__.frozen


def test_every_sample_arrives_whole(plain):
    train, unseen = load(plain)
    if plain["data"]["preset"] != "toy":  # whose size is tested with it
        assert (len(train.examples), len(unseen.examples)) == (len(TASKS) * COUNT, COUNT)
    for example in (*train.examples, *unseen.examples):
        assert (example.instruction + example.input).strip()
        assert example.output == example.references[0] != ""
        assert example.task
        assert json.loads(json_line(example.row))


def test_reading_again_gives_the_same(plain):
    assert load(plain) == load(plain)


def test_unseen_tasks_are_not_trained_on(plain):
    train, unseen = load(plain)
    tasks = [{example.task for example in part.examples} for part in (train, unseen)]
    assert tasks[1]
    assert tasks[0].isdisjoint(tasks[1])


def test_experiment_can_be_prepared(plain):
    experiment = prepare(configuration.load(plain), Silent())
    assert all(client.train for client in experiment.data.clients)
    assert experiment.unseen
    assert experiment.data.warnings == []
