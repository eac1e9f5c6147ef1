"""What trackers are told: numbers and settings, and nothing of the data."""

import math

import pytest

from fedhds import config
from fedhds.trackers._numbers import FINAL, of_round, of_summary, settings

RECORD = {
    "round": 3,
    "clients": [0, 4, 5],
    "samples": 7,
    "passes": 14,
    "skipped_steps": 0,
    "loss": 1.5,
    "failed": {"4": "it names a secret"},
    "remarks": ["secret"],
    "selection": {"client_groups": 6},
    "seconds": {"tuning": 0.25},
    "bytes": {"adapters_up": 100},
    "evaluation": {
        "unseen": {"rouge_l_mean": 0.5, "loss_mean": 2.0, "per_task": {"secret": 1.0}},
        "validation": None,
    },
}
"""A line of rounds.jsonl, with what must not come out of it."""


def test_round_is_told_as_numbers_alone():
    assert of_round(RECORD) == {
        "samples": 7,
        "passes": 14,
        "skipped_steps": 0,
        "loss": 1.5,
        "clients": 3,
        "failures": 1,
        "selection/client_groups": 6,
        "seconds/tuning": 0.25,
        "bytes/adapters_up": 100,
        "unseen/rouge_l_mean": 0.5,
        "unseen/loss_mean": 2.0,
    }


def test_round_without_training_and_evaluation_has_no_such_numbers():
    told = of_round(RECORD | {"loss": None, "evaluation": None})
    assert "loss" not in told
    assert not any(name.startswith(("unseen", "validation")) for name in told)


def test_loss_that_is_not_finite_is_told():
    assert math.isnan(of_round(RECORD | {"loss": math.nan})["loss"])


def test_summary_is_told_as_its_headline():
    summary = dict.fromkeys(FINAL, 2) | {"rouge_l_after": None, "per_task": {"secret": 1}}
    assert of_summary(summary) == {f"final/{name}": 2 for name in FINAL if name != "rouge_l_after"}


def test_settings_are_flat_and_hold_neither_paths_nor_addresses(tmp_path):
    model = tmp_path / "models" / "my-llama"
    model.mkdir(parents=True)
    source = {
        "model": {"name": str(model)},
        "data": {"train": "north/hospital.jsonl", "eval": "south/hospital.jsonl"},
        "tracking": {"mlflow": {"uri": "http://user:password@host"}},
        "adapter": {"target_modules": ["q_proj", "v_proj"]},
    }
    found = settings(config.load(source).resolved())
    assert found["model.name"] == "my-llama"
    assert found["adapter.target_modules"] == "['q_proj', 'v_proj']"
    assert (found["tuning.lr"], found["tuning.clip"]) == (3e-4, None)
    assert not [v for v in found.values() if "hospital" in str(v) or "password" in str(v)]
    assert str(tmp_path) not in str(found)


@pytest.mark.parametrize("name", ["org/some-model", "embedded"])
def test_hub_id_is_told_as_it_is(name):
    assert settings(config.load({"model": {"name": name}}).resolved())["model.name"] == name
