"""What a configuration may say of a run across machines."""

import pytest

from fedhds.config import check_sites, load
from fedhds.types import UserError


def deployed(**sections):
    """Return a configuration across machines, with changes by section."""
    plain = {
        "selection": {"method": "fedhds-aligned"},
        "data": {"eval": "unseen.jsonl"},
        "federation": {"engine": "deployment", "sites": ["north", "south"], "deadline": 60},
    }
    for name, values in sections.items():
        plain[name] = {**plain.get(name, {}), **values}
    return plain


def mistake(plain):
    with pytest.raises(UserError) as caught:
        load(plain)
    return str(caught.value)


def test_the_server_needs_no_training_data():
    config = load(deployed())
    assert config.data.train is None
    assert config.federation.sites == ["north", "south"]
    assert load(config.resolved()) == config


@pytest.mark.parametrize(
    ("sections", "problem"),
    [
        ({"federation": {"sites": []}}, "federation.sites names no site"),
        ({"federation": {"sites": ["a", "b", "a"]}}, "federation.sites names 'a' twice"),
        (
            {"federation": {"sites": ["a b"]}},
            "federation.sites: 'a b' is not of at most 64 letters",
        ),
        (
            {"federation": {"deadline": None}},
            "federation.engine 'deployment' needs federation.dead",
        ),
        ({"federation": {"wait": 0}}, "federation.wait should be greater than 0"),
        (
            {"selection": {"method": "coreset-cent", "share": 0.1}},
            "selection.method 'coreset-cent' sends per-sample numbers, so it is not for",
        ),
        ({"data": {"preset": "toy"}}, "data.preset 'toy' is not of sites' own data"),
        (
            {"data": {"preset": "natural-instructions", "eval": None}},
            "data.preset 'natural-instructions' is not of sites' own data",
        ),
        ({"data": {"eval": None, "holdout": ["t"]}}, "data.holdout is not for federation.engine"),
        ({"data": {"duplicates": 0.1}}, "data.duplicates is not for federation.engine"),
        ({"data": {"corrupted": 0.1}}, "data.corrupted is not for federation.engine"),
        ({"data": {"per_client": 5}}, "data.per_client is not for federation.engine"),
    ],
)
def test_what_makes_no_sense_across_machines_is_refused(sections, problem):
    assert mistake(deployed(**sections)).startswith(problem)


def test_on_this_machine_data_must_still_be_named():
    plain = deployed(federation={"engine": "in-process"}, data={"preset": "dolly"})
    assert mistake(plain).startswith("data.preset 'dolly' needs data.train")


@pytest.mark.parametrize("name", ["a", "0", "No", "St.Mary_2-b", 64 * "n"])
def test_sites_may_be_called_so(name):
    check_sites([name, "other"], "--sites")


@pytest.mark.parametrize("name", ["", " a", "a/b", "-a", ".a", "..", "é", "a\n", 65 * "n"])
def test_sites_may_not_be_called_so(name):
    with pytest.raises(UserError, match=r"(?s)^--sites: '.*' is not of at most 64 letters"):
        check_sites(["other", name], "--sites")
