"""What a site says of itself, against what a server's experiment says of it."""

import logging
import stat
from types import SimpleNamespace

import pytest
import yaml
from flwr.app import Context, Message, MetricRecord, RecordDict
from small import rows, write_rows
from tiny import save_tiny

from fedhds import config
from fedhds.deployment.site import NodeConfig, open_guard, open_site, site_config
from fedhds.federation.client_app import build_client_app
from fedhds.federation.in_process import answer, flower_identity
from fedhds.federation.ledger import Ledger
from fedhds.federation.messages import HANDSHAKE, BadMessage, Content, pack
from fedhds.federation.relay import EXPERIMENT_KEY
from fedhds.federation.site_guard import Refused
from fedhds.types import UserError

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
        "federation": {"engine": "deployment", "sites": ["south", "north"], "deadline": 60},
        "tuning": {"lr": 0.5},
        "seed": 9,
    }
    for name, values in sections.items():
        plain[name] = {**plain.get(name, {}), **values}
    return plain


def own(**changes):
    return NodeConfig(**{"data": "own.jsonl", "model": "embedded", "policy": "p", **changes})


def test_where_data_and_models_are_is_the_sites_to_say():
    settings = own(proxy="proxy", scorer="scorer", knowledge="facts", device="cpu", threads=2)
    found = site_config(experiment(), settings)
    assert found.model.model_dump() == config.parse({}).model.model_dump() | {
        **{"name": "embedded", "revision": None, "proxy": "proxy", "scorer": "scorer"},
        **{"device": "cpu", "threads": 2, "trust_remote_code": True},
    }
    assert (found.data.train, found.data.eval) == ("own.jsonl", None)
    assert found.selection.knowledge == "facts"


def test_what_a_site_does_not_name_is_not_taken_from_the_server():
    found = site_config(experiment(), own())
    assert (found.model.proxy, found.model.scorer, found.selection.knowledge) == (None, None, None)
    assert (found.model.device, found.model.threads) == ("auto", None)
    for theirs in ("theirs", "/etc/", "cuda:7"):
        assert theirs not in found.to_yaml()


@pytest.mark.parametrize(
    ("section", "theirs"),
    [
        ("federation", {"engine": "in-process"}),
        ("federation", {"engine": "simulation", "client_gpus": 8}),
        ("federation", {"certificate": "/etc/passwd", "superlink": "evil:1"}),
        ("data", {"columns": {"instruction": "ssn", "output": "diagnosis"}}),
        ("data", {"preset": "natural-instructions", "toy_samples": 10**9}),
        ("data", {"holdout": ["t1"], "eval": None}),
        ("data", {"per_client": 1}),
        ("data", {"corrupted": 1.0, "duplicates": 1.0}),
        ("data", {"train": "hub:evil/data"}),
        ("model", {"name": "/home/other/model", "revision": "x", "device": "meta"}),
        ("selection", {"knowledge": "hub:evil/facts"}),
        ("tracking", {"mlflow": {"uri": "http://evil"}}),
        ("partition", {"kind": "column", "by": "name"}),
        ("evaluation", {"clients": 7, "every": 3}),
        ("nonsense", {"key": 1}),
    ],
    ids=str,
)
def test_what_is_not_the_servers_to_say_is_not_read(section, theirs):
    assert site_config(experiment(**{section: theirs}), own()) == site_config(experiment(), own())


def test_methods_and_their_numbers_are_the_servers_to_say():
    found = site_config(experiment(), own())
    assert (found.seed, found.tuning.lr, found.data.prompt) == (9, 0.5, "plain")
    assert (found.selection.method, found.selection.samples) == ("random", 4)
    assert (found.federation.sites, found.federation.deadline) == (["south", "north"], 60)


@pytest.mark.parametrize(
    ("section", "theirs"),
    [
        ("model", {"dtype": "bfloat16", "quantization": "4bit"}),
        ("data", {"prompt": "alpaca", "max_length": 99}),
        ("evaluation", {"max_new_tokens": 3, "batch_size": 2, "validation": 0.5}),
        ("adapter", {"kind": "lora", "rank": 2}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_how_it_is_done_is_taken_from_the_server(section, theirs):
    found = getattr(site_config(experiment(**{section: theirs}), own()), section)
    told = found.model_dump()
    assert {key: told[key] for key in theirs} == theirs


@pytest.mark.parametrize("section", ["model", "data", "federation", "evaluation", "selection"])
def test_a_section_that_is_none_is_refused(section):
    with pytest.raises(UserError, match=f"the server's experiment: {section} is no section"):
        site_config({**experiment(), section: ["name"]}, own())


def test_which_columns_are_read_is_the_sites_to_say():
    found = site_config(experiment(), own(columns="instruction=question, output=answer,"))
    assert found.data.columns == {"instruction": "question", "output": "answer"}
    assert site_config(experiment(), own()).data.columns == {}


@pytest.mark.parametrize("columns", ["question", "instruction=", "a=b,instruction"])
def test_columns_are_pairs(columns):
    with pytest.raises(UserError, match=r"node-config\.columns: '.*' is not of the form"):
        site_config(experiment(), own(columns=columns))


def test_columns_are_of_the_fields_that_there_are():
    with pytest.raises(UserError, match=r"data\.columns"):
        site_config(experiment(), own(columns="instructions=question"))


def test_the_preset_is_the_sites_to_say():
    assert site_config(experiment(), own(preset="dolly")).data.preset == "dolly"
    with pytest.raises(UserError, match=r"data\.preset 'toy'"):  # none has it of its own
        site_config(experiment(), own(preset="toy"))


@pytest.fixture
def context(tmp_path):
    """A SuperNode's context, with everything as it should be."""
    save_tiny(tmp_path / "model")
    write_rows(tmp_path / "own.jsonl", rows("upper", 12))
    (tmp_path / "policy.yaml").write_text("site: north\n")
    plain = experiment(model={"trust_remote_code": False, "scorer": None, "proxy": None})
    names = {"data": "own.jsonl", "model": "model", "policy": "policy.yaml"}
    return SimpleNamespace(
        node_config={key: str(tmp_path / name) for key, name in names.items()},
        run_config={EXPERIMENT_KEY: yaml.safe_dump(plain)},
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
    context.run_config[EXPERIMENT_KEY] = yaml.safe_dump(experiment())
    with pytest.raises(Refused, match="runs no code of a base model"):
        open_guard(context, RUN).admit({}, 1, 0.0)


def broken(context, how, folder):
    """Break the site's policy or settings, or send it what is no experiment."""
    if how == "policy":
        (folder / "policy.yaml").write_text("sit: north\n")
    elif how == "settings":
        context.node_config["date"] = "secret"
    else:
        context.run_config[EXPERIMENT_KEY] = how


OWN = "its own settings or data are at fault, as its log says"


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        *(("policy", OWN), ("settings", OWN), ("seed: [", OWN), ("- a list", OWN)),
        *(("selection: text", OWN), ("model: 7", OWN), ("seed: 9", OWN)),
    ],
)
def test_what_is_broken_lets_nothing_in_and_that_is_written_down(context, tmp_path, how, reason):
    broken(context, how, tmp_path)
    guard = open_guard(context, RUN)
    with pytest.raises(BadMessage) as caught:
        guard.admit({}, 1, 0.0)
    assert str(caught.value) == reason
    guard.keep(reason, "train", 3, 0.5)
    (entry,), _ = Ledger(tmp_path / "state" / f"run-{RUN}").entries()
    assert (entry.kind, entry.round, entry.reason, entry.refused) == ("train", 3, reason, False)


def test_what_nobody_thought_of_lets_nothing_in_and_is_written_down(context, monkeypatch, tmp_path):
    del context.run_config[EXPERIMENT_KEY]
    guard = open_guard(context, RUN)
    with pytest.raises(BadMessage, match=r"^KeyError$"):
        guard.admit({}, 1, 0.0)
    assert guard.ledger.path.parent == tmp_path / "state" / f"run-{RUN}"


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def noised(context, noise=0.5, **sections):
    """Have the server ask for a method with noise."""
    selection = {"method": "fedhds", "minimum_group": 3, "noise": noise, "filter": None}
    plain = experiment(selection=selection, **sections)
    plain["model"] = {}
    context.run_config[EXPERIMENT_KEY] = yaml.safe_dump(plain)


def test_what_a_site_keeps_is_its_users_alone(context, tmp_path):
    noised(context)
    open_site(context, RUN)
    assert (mode(tmp_path / "state"), mode(tmp_path / "state" / "secret")) == (0o700, 0o600)


def test_noise_is_drawn_by_a_secret_of_the_site(context, tmp_path):
    noised(context)
    first = open_site(context, RUN).noise_seed
    assert first >= 2**128  # as good as never below
    assert open_site(context, RUN + 1).noise_seed == first  # for the same question the same
    context.node_config["state"] = str(tmp_path / "of another site")
    assert open_site(context, RUN).noise_seed != first


def test_no_two_experiments_have_the_same_noise_which_would_cancel_out(context, tmp_path):
    noised(context)
    seeds = {open_site(context, RUN).noise_seed}
    for changes in ({"noise": 1.0}, {"tuning": {"lr": 0.25}}):
        noised(context, **changes)
        seeds.add(open_site(context, RUN).noise_seed)
    noised(context)
    write_rows(tmp_path / "other.jsonl", rows("upper", 12)[1:])
    context.node_config["data"] = str(tmp_path / "other.jsonl")
    seeds.add(open_site(context, RUN).noise_seed)
    assert len(seeds) == 4


def test_a_method_without_noise_needs_no_secret(context, tmp_path):
    assert open_site(context, RUN).noise_seed is None
    assert not (tmp_path / "state" / "secret").exists()


def test_a_site_is_greeted_with_digests_or_not_at_all(context):
    app, facts = build_client_app(open_site), MetricRecord({"run": RUN})
    flowers = Context(1, 7, context.node_config, RecordDict(), context.run_config)
    with flower_identity():
        asked = Message(RecordDict({"facts": facts}), 7, "query.hello")
        reply = answer(app, asked, flowers)
    assert reply.error.reason == (
        "this site has another base model and another tokenizer and another prompt and another "
        "label mask and another wire version than the server"
    )
    digests = open_site(context, RUN).handshake()
    with flower_identity():
        content = pack(Content({"run": RUN}, {HANDSHAKE: digests}))
        reply = answer(app, Message(content, 7, "query.hello"), flowers)
    assert reply.content["facts"]["client"] == 1


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
    assert str(caught.value) == OWN
    assert "this site cannot take part: " in caplog.text
    assert problem in caplog.text
    assert {record.levelno for record in caplog.records} == {logging.ERROR}


@pytest.mark.parametrize("key", ["data", "model", "policy"])
def test_a_site_must_say_where_its_things_are(context, caplog, key):
    del context.node_config[key]
    with pytest.raises(BadMessage):
        open_site(context, RUN)
    assert f"node-config.{key} has no default and must be set" in caplog.text
