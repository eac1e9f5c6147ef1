"""What a site says of itself, against what a server's experiment says of it."""

import logging
from types import SimpleNamespace

import pytest
import yaml
from small import rows, write_rows
from tiny import save_tiny

from fedhds import config
from fedhds.deployment.site import NodeConfig, open_guard, open_site, site_config
from fedhds.federation.messages import BadMessage
from fedhds.federation.policy import Policy
from fedhds.federation.relay import EXPERIMENT
from fedhds.federation.site_guard import Refused

RUN = 77


def experiment(**sections):
    """Return a server's experiment, which names more of the site than it should."""
    plain = {
        "model": {
            **{"name": "hub/theirs", "revision": "main", "proxy": "theirs", "scorer": "theirs"},
            **{"device": "cuda:7", "threads": 99, "trust_remote_code": True},
        },
        "data": {"train": "/etc/passwd", "eval": "/etc/shadow", "prompt": "plain"},
        "selection": {"method": "random", "samples": 4, "knowledge": "/etc/hosts"},
        "federation": {"engine": "deployment", "sites": ["south", "north"]},
        "tuning": {"lr": 0.5},
        "seed": 9,
    }
    for name, values in sections.items():
        plain[name] = {**plain[name], **values}
    return plain


def test_where_data_and_models_are_is_the_sites_to_say():
    own = NodeConfig("own.jsonl", "embedded", "p.yaml", "proxy", "scorer", "facts", "cpu", 2)
    found = site_config(experiment(), own, Policy("north", trust_remote_code=True))
    assert found.model.model_dump() == config.parse({}).model.model_dump() | {
        **{"name": "embedded", "revision": None, "proxy": "proxy", "scorer": "scorer"},
        **{"device": "cpu", "threads": 2, "trust_remote_code": True},
    }
    assert (found.data.train, found.data.eval) == ("own.jsonl", None)
    assert found.selection.knowledge == "facts"


def test_what_a_site_does_not_name_is_not_taken_from_the_server():
    found = site_config(experiment(), NodeConfig("own.jsonl", "embedded", "p"), Policy("north"))
    assert (found.model.proxy, found.model.scorer, found.selection.knowledge) == (None, None, None)
    assert (found.model.device, found.model.threads) == ("auto", None)
    for theirs in ("theirs", "/etc/", "cuda:7"):
        assert theirs not in found.to_yaml()


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("allowed", [True, False])
def test_code_of_a_model_is_run_if_both_say_so(wanted, allowed):
    policy = Policy("north", trust_remote_code=allowed)
    plain = experiment(model={"trust_remote_code": wanted})
    found = site_config(plain, NodeConfig("own.jsonl", "embedded", "p"), policy)
    assert found.model.trust_remote_code is (wanted and allowed)


def test_methods_and_their_numbers_are_the_servers_to_say():
    found = site_config(experiment(), NodeConfig("own.jsonl", "embedded", "p"), Policy("north"))
    assert (found.seed, found.tuning.lr, found.data.prompt) == (9, 0.5, "plain")
    assert (found.selection.method, found.selection.samples) == ("random", 4)


@pytest.fixture
def context(tmp_path):
    """A SuperNode's context, with everything as it should be."""
    save_tiny(tmp_path / "model")
    write_rows(tmp_path / "own.jsonl", rows("upper", 12))
    (tmp_path / "policy.yaml").write_text("site: north\n")
    plain = experiment(model={"trust_remote_code": False, "scorer": None, "proxy": None})
    own = {"data": "own.jsonl", "model": "model", "policy": "policy.yaml"}
    return SimpleNamespace(
        node_config={key: str(tmp_path / name) for key, name in own.items()},
        run_config={EXPERIMENT: yaml.safe_dump(plain)},
    )


def test_a_site_has_its_place_and_its_own_data(context, tmp_path):
    site = open_site(context, RUN)
    assert (site.client, site.data.name, site.tuning.lr) == (1, "north", 0.5)
    assert len(site.data.train) + len(site.data.validation) == 12
    state = tmp_path / "state" / f"run-{RUN}"
    assert (site.store.folder, site.coresets) == (state / "memory", state / "coreset.jsonl")


def test_a_site_is_loaded_once_until_something_changes(context, tmp_path):
    first = open_site(context, RUN)
    again = open_site(context, RUN + 1)
    assert again.model is first.model
    assert again.store.folder != first.store.folder
    write_rows(tmp_path / "other.jsonl", rows("upper", 5))
    context.node_config["data"] = str(tmp_path / "other.jsonl")
    other = open_site(context, RUN)
    assert other.model is not first.model
    assert len(other.data.train) + len(other.data.validation) == 5


def test_a_policy_holds_from_the_message_on_that_comes_after_it(context, tmp_path):
    context.node_config["state"] = str(tmp_path / "elsewhere")
    guard = open_guard(context, RUN)
    assert guard.ledger.path.parent == tmp_path / "elsewhere" / f"run-{RUN}"
    guard.admit({}, 1, 0.0)
    (tmp_path / "policy.yaml").write_text("site: north\nmethods: [fedhds-aligned]\n")
    with pytest.raises(Refused, match="site 'north' refuses: its policy does not allow the method"):
        open_guard(context, RUN).admit({}, 1, 0.0)


def test_remote_code_is_refused_and_not_only_left_out(context):
    context.run_config[EXPERIMENT] = yaml.safe_dump(experiment())
    with pytest.raises(Refused, match="runs no code of a base model"):
        open_guard(context, RUN).admit({}, 1, 0.0)


def test_a_site_that_is_not_asked_for_says_so(context, tmp_path):
    (tmp_path / "policy.yaml").write_text("site: west\n")
    with pytest.raises(BadMessage, match=r"the site 'west' is not among federation\.sites"):
        open_site(context, RUN)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"date": "secret"}, "unknown key 'node-config.date'; did you mean 'node-config.data'"),
        ({"threads": "many"}, "node-config.threads should be a valid integer"),
        ({"data": "/secret/patients.jsonl"}, "/secret/patients.jsonl"),
        ({"model": "/secret/model"}, "there is no model folder '/secret/model'"),
        ({"policy": "/secret/policy"}, "there is no policy file '/secret/policy'"),
    ],
)
def test_a_sites_own_mistakes_stand_in_its_log_and_do_not_travel(context, caplog, changes, problem):
    context.node_config |= changes
    with pytest.raises(BadMessage) as caught:
        open_site(context, RUN)
    assert str(caught.value) == "its own settings or data are at fault, as its log says"
    assert "this site cannot take part: " in caplog.text
    assert problem in caplog.text
    assert {record.levelno for record in caplog.records} == {logging.ERROR}


@pytest.mark.parametrize("key", ["data", "model", "policy"])
def test_a_site_must_say_where_its_things_are(context, caplog, key):
    del context.node_config[key]
    with pytest.raises(BadMessage):
        open_site(context, RUN)
    assert f"node-config.{key} has no default and must be set" in caplog.text
