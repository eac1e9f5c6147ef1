"""A site's policy as a file: what may stand in it, and what an experiment asks of one."""

import re
from dataclasses import asdict, fields
from pathlib import Path

import pytest
import yaml

from fedhds import registry
from fedhds.config import allowed_by_default, asked, load_policy, parse
from fedhds.federation.policy import Policy
from fedhds.types import UserError

PAGE = (Path(__file__).parents[2] / "docs" / "policy.md").read_text(encoding="utf-8")


@pytest.fixture
def write(tmp_path):
    def written(text):
        path = tmp_path / "policy.yaml"
        path.write_text(text)
        return path

    return written


def mistake(path):
    with pytest.raises(UserError) as caught:
        load_policy(path)
    return str(caught.value)


def test_only_the_sites_name_must_be_given(write):
    assert load_policy(write("site: north")) == Policy("north")


def test_every_key_of_a_policy_can_be_set(write):
    whole = Policy(
        site="St.Mary_2-b",
        methods=("random", "fedhds-aligned"),
        smallest_group=5,
        least_noise=0.25,
        epsilon=8.0,
        delta=1e-5,
        remote_teacher=True,
        samples_per_round=500,
        seconds_per_round=600.0,
        largest_message=10**6,
        trust_remote_code=True,
    )
    plain = asdict(whole) | {"methods": ["random", "fedhds-aligned"]}
    assert load_policy(write(yaml.safe_dump(plain))) == whole


@pytest.mark.parametrize(
    ("size", "in_bytes"),
    [
        ("64 MB", 64 * 10**6),
        ("64MB", 64 * 10**6),
        ("1.5 kB", 1500),
        ("2 MiB", 2 * 2**20),
        ("3 GB", 3 * 10**9),
        ("7 B", 7),
        ("1000", 1000),
        ("null", None),
    ],
)
def test_sizes_may_have_a_unit(write, size, in_bytes):
    assert load_policy(write(f"site: n\nlargest_message: {size}")).largest_message == in_bytes


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("smallest_group: 3", "site has no default and must be set"),
        ("site: n\nsmalest_group: 3", "unknown key 'smalest_group'; did you mean 'smallest_group'"),
        ("site: a b", "site should be of at most 64 letters, digits"),
        ("site: -n", "site should be of at most 64 letters, digits"),
        (f"site: {65 * 'n'}", "site should be of at most 64 letters, digits"),
        ("site: n\nmethods: [radom]", "methods: unknown selection 'radom'; did you mean 'random'"),
        ("site: n\nmethods: random", "methods should be a valid list"),
        ("site: n\nsmallest_group: 0", "smallest_group should be greater than or equal to 1"),
        ("site: n\nleast_noise: .inf", "least_noise should be a finite number"),
        ("site: n\nepsilon: -1", "epsilon should be greater than or equal to 0"),
        ("site: n\ndelta: 1", "delta should be less than 1"),
        ("site: n\nseconds_per_round: 0", "seconds_per_round should be greater than 0"),
        ("site: n\nlargest_message: 5 parsecs", "largest_message should be a number of bytes, or"),
        ("site: n\nlargest_message: 0 B", "largest_message should be greater than or equal to 1"),
        ("site: n\nremote_teacher: sometimes", "remote_teacher should be a valid boolean"),
        ("- site", "a policy is a mapping of keys, not a list"),
    ],
)
def test_a_mistake_is_one_sentence_that_names_file_and_key(write, text, problem):
    path = write(text)
    assert mistake(path).startswith(f"{path}: {problem}")


def test_a_file_that_is_not_there_is_named(tmp_path):
    assert mistake(tmp_path / "absent") == f"there is no policy file '{tmp_path / 'absent'}'"


def test_what_an_experiment_asks_of_a_site_is_its_methods_and_its_models_code():
    config = parse(
        {
            "model": {"trust_remote_code": True},
            "selection": {
                "method": "fedhds",
                "noise": 0.1,
                "minimum_group": 4,
                "filter": {"method": "ifd"},
                "within": {"method": "coreset-cent"},
            },
        }
    )
    found = asked(config)
    assert found.methods == ("fedhds", "ifd", "coreset-cent")
    assert found.private  # inside a group nothing leaves for coreset-cent
    assert (found.described_group, found.noise, found.remote_code) == (4, 0.1, True)


@pytest.mark.parametrize(
    ("smallest", "refused"),
    [
        (1, {"coreset-cent", "global-select"}),
        (3, {"coreset-cent", "global-select", "fedhds", "fedhds-turbo", "density", "feddqc"}),
    ],
)
def test_methods_are_allowed_by_what_they_describe(smallest, refused):
    allowed = allowed_by_default(Policy("n", smallest_group=smallest))
    assert set(registry.names("selection")) - set(allowed) == refused


def test_a_group_of_four_is_more_than_the_methods_of_one_space_keep_by_default():
    assert "fedhds-aligned" not in allowed_by_default(Policy("n", smallest_group=4))


def test_the_documents_example_has_every_key_at_its_default(write):
    (example,) = re.findall(r"(?s)```yaml\n# policy.yaml\n(.*?)```", PAGE)
    assert set(yaml.safe_load(example)) == {field.name for field in fields(Policy)}
    assert load_policy(write(example)) == Policy("north")


def test_the_documents_table_says_what_the_methods_declare():
    rows = re.findall(r"(?m)^\| (`.*?) \| (\d+|none) \|", PAGE)
    told = {name: group for names, group in rows for name in re.findall(r"`([\w-]+)`", names)}
    methods = {name: registry.load("selection", name)() for name in registry.names("selection")}
    declared = {name: str(method.described_group or "none") for name, method in methods.items()}
    assert told == declared
