"""What the page shows of configurations."""

import yaml
from pages import group, made

from fedhds.report._settings import differing, shown, whole


def test_paths_keep_their_last_part_and_trackers_their_name():
    config = shown(made().config)
    assert config["data"]["train"] == "train.jsonl"
    assert config["tracking"] == ["mlflow"]
    assert not {"password", "secret"} & set(whole(group(made())).replace("/", " ").split())


def test_keys_that_differ_are_told_and_the_seed_is_not():
    groups = [group(made("full", 1)), group(made("random", rounds=9))]
    assert differing(groups) == [
        ("selection.method", ["full", "random"]),
        ("federation.rounds", ["6", "9"]),
    ]


def test_whole_configuration_is_yaml_of_what_is_shown():
    assert yaml.safe_load(whole(group(made()))) == shown(made().config)
