"""The configuration: what is read, what is filled in, and one sentence for each mistake."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedhds import config
from fedhds.data.prompts import PROMPTS
from fedhds.types import UserError

SECTIONS = config.Config.model_fields


def mistake(source=None, *overrides: str) -> str:
    """Load a wrong configuration and return the one sentence that says so."""
    with pytest.raises(UserError) as raised:
        config.load(source, overrides)
    sentence = str(raised.value)
    assert "\n" not in sentence
    assert not any(leak in sentence for leak in ("further information", "type=", "[key]", "Input"))
    return sentence


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


# --- what is read -------------------------------------------------------------------------------


def test_without_a_source_it_is_the_papers_setting():
    loaded = config.load(None)
    assert loaded.model.name == "embedded"
    adapter = loaded.adapter_method
    assert (adapter.rank, adapter.alpha, adapter.dropout) == (8, 16, 0.05)
    assert (loaded.selection.method, loaded.aggregation.method) == ("fedhds", "fedavg")
    assert (loaded.federation.fraction, loaded.tuning.lr) == (0.05, 3e-4)


def test_yaml_file_and_mapping_give_the_same(tmp_path):
    plain = {"seed": 3, "selection": {"method": "random", "samples": 5}, "tuning": {"lr": 1e-5}}
    text = "seed: 3\nselection: {method: random, samples: 5}\ntuning:\n  lr: 1e-5\n"
    path = write(tmp_path, text)
    assert config.load(path) == config.load(str(path)) == config.load(plain)


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "--- {}\n"])
def test_empty_file_is_the_defaults(tmp_path, text):
    assert config.load(write(tmp_path, text)) == config.load(None)


def test_merged_mapping_gives_way_to_the_keys_beside_it(tmp_path):
    path = write(tmp_path, "tuning: {<<: {lr: 1, epochs: 2}, epochs: 3}\n")
    assert (config.load(path).tuning.lr, config.load(path).tuning.epochs) == (1, 3)


@pytest.mark.parametrize(
    ("override", "section", "key", "value"),
    [
        ("tuning.lr=3e-4", "tuning", "lr", 0.0003),
        ("tuning.lr=1E+2", "tuning", "lr", 100.0),
        ("tuning.lr=2", "tuning", "lr", 2.0),
        ("tuning.clip=null", "tuning", "clip", None),
        (
            "adapter.target_modules=[q_proj, v_proj]",
            "adapter_method",
            "target_modules",
            ["q_proj", "v_proj"],
        ),
        ("data.columns.output=answer", "data", "columns", {"output": "answer"}),
        ("data.train=a=b.jsonl", "data", "train", "a=b.jsonl"),
        ("data.train=1e3.jsonl", "data", "train", "1e3.jsonl"),
        ("evaluation.per_task=", "evaluation", "per_task", None),
        ("model.trust_remote_code=yes", "model", "trust_remote_code", True),
        ("selection={method: random, samples: 5}", "selection", "samples", 5),
    ],
)
def test_override_sets_a_yaml_value(override, section, key, value):
    source = {"data": {"train": "x.jsonl"}, "evaluation": {"per_task": 3}}
    found = getattr(getattr(config.load(source, [override]), section), key)
    assert found == value
    assert type(found) is type(value)


def test_overrides_apply_in_order_and_leave_the_source_alone():
    source = {"selection": {"method": "full"}}
    overrides = ["selection.method=random", "selection.samples=5", "selection.samples=6", "seed =7"]
    loaded = config.load(source, overrides)
    assert (loaded.selection.method, loaded.selection.samples, loaded.seed) == ("random", 6, 7)
    assert source == {"selection": {"method": "full"}}


def test_override_replaces_what_is_no_mapping():
    assert config.load({"selection": None}, ["selection.method=full"]).selection.method == "full"


# --- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("selction", "selection"),
        ("federation.round", "federation.rounds"),
        ("model.nam", "model.name"),
        ("tuning.lrr", "tuning.lr"),
        ("selection.min_cluster_sise", "selection.min_cluster_size"),
        ("selection.sample", "selection.samples"),
        ("partition.kinds", "partition.kind"),
        ("adapter.ranks", "adapter.rank"),
        ("data.columns.instructon", "data.columns.instruction"),
    ],
)
def test_unknown_key_names_the_nearest(key, meant):
    assert mistake(None, f"{key}=1") == f"unknown key '{key}'; did you mean '{meant}'?"


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ({"xyzzy": 1}, f"unknown key 'xyzzy'; there are: {', '.join(SECTIONS)}"),
        ({1: 1}, f"unknown key '1'; there are: {', '.join(SECTIONS)}"),
        ({"a\nb": 1}, f"unknown key 'a\\nb'; there are: {', '.join(SECTIONS)}"),
        (
            {"selection": {2: 1}},
            "unknown key 'selection.2'; there are: "
            "method, samples, share, filter, within, knowledge",
        ),
        (
            {"federation": {None: 1}},
            "unknown key 'federation.None'; there are: "
            "engine, rounds, fraction, codec, deadline, quorum, over_sampling, "
            "client_cpus, client_gpus, sites, wait, superlink, certificate",
        ),
    ],
)
def test_unknown_key_like_nothing_lists_what_there_is(source, sentence):
    assert mistake(source) == sentence


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("federation.rounds=x", "federation.rounds should be a valid integer (it is 'x')"),
        ("federation.codec=8", "federation.codec should be a valid string (it is 8)"),
        ("federation.rounds=2.0", "federation.rounds should be a valid integer (it is 2.0)"),
        ("seed=true", "seed should be a valid integer (it is True)"),
        ("tuning.lr=abc", "tuning.lr should be a valid number (it is 'abc')"),
        ("tuning.epochs=1.5", "tuning.epochs should be a valid integer (it is 1.5)"),
        ("model.name=on", "model.name should be a valid string (it is True)"),
        ("data.columns={input: 3}", "data.columns.input should be a valid string (it is 3)"),
        ("adapter.target_modules=q", "adapter.target_modules should be a valid list (it is 'q')"),
        (
            "adapter.target_modules=[q, 3]",
            "adapter.target_modules.1 should be a valid string (it is 3)",
        ),
        (
            "selection.min_cluster_size=x",
            "selection.min_cluster_size should be a valid integer (it is 'x')",
        ),
        (
            "selection.layers=first",
            "selection.layers should be 'all' or 'last' or should be a valid list (it is 'first')",
        ),
        ("selection=fedhds", "selection must be a mapping of its keys, not 'fedhds'"),
        ("federation=null", "federation must be a mapping of its keys, not None"),
        ("tuning=[1]", "tuning must be a mapping of its keys, not [1]"),
        ("selection.method.x=1", "selection.method should be a valid string (it is {'x': 1})"),
    ],
)
def test_wrong_type_names_key_and_value(override, sentence):
    assert mistake(None, override) == sentence


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        (
            "federation.codec=int4",
            "federation.codec: unknown codec 'int4'; did you mean 'int8'?",
        ),
        (
            "federation.codec=half",
            "federation.codec: unknown codec 'half'; there are: bfloat16, float32, int8",
        ),
        ("federation.rounds=0", "federation.rounds should be greater than or equal to 1 (it is 0)"),
        (
            "federation.fraction=1.5",
            "federation.fraction should be less than or equal to 1 (it is 1.5)",
        ),
        (
            "federation.fraction=.nan",
            "federation.fraction should be less than or equal to 1 (it is nan)",
        ),
        ("seed=-1", "seed should be greater than or equal to 0 (it is -1)"),
        (
            "model.dtype=half",
            "model.dtype should be 'auto', 'float32', 'float16' or 'bfloat16' (it is 'half')",
        ),
        (
            "adapter.target_modules=[]",
            "adapter.target_modules must name a layer; null is all linear ones",
        ),
        ("adapter.rank=0", "adapter.rank must be at least 1, not 0"),
        ("adapter.dropout=1", "adapter.dropout must be at least 0 and below 1, not 1.0"),
        (
            "adapter={kind: prefix-tuning, virtual_tokens: 0}",
            "adapter.virtual_tokens must be at least 1, not 0",
        ),
        (
            "adapter={kind: p-tuning, encoder_width: 0}",
            "adapter.encoder_width must be at least 1, not 0",
        ),
        (
            "adapter.kind=prefix",
            "adapter.kind: unknown adapter 'prefix'; did you mean 'prefix-tuning'?",
        ),
        (
            "model.quantization=3bit",
            "model.quantization should be '4bit' or '8bit' (it is '3bit')",
        ),
        ("tuning.lr=-1", "tuning.lr must be a finite number above 0, not -1.0"),
        ("tuning.steps=0", "tuning.steps must be at least 1, not 0"),
        ("selection.min_cluster_size=1", "selection.min_cluster_size must be at least 2"),
        ("partition={kind: iid, clients: 0}", "partition.clients must be at least 1"),
    ],
)
def test_out_of_range_names_key_and_value(override, sentence):
    assert mistake(None, override) == sentence


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        (
            "selection.method=fedhdx",
            "selection.method: unknown selection 'fedhdx'; did you mean 'fedhds'?",
        ),
        ("data.preset=doly", "data.preset: unknown preset 'doly'; did you mean 'dolly'?"),
        ("partition.kind=idd", "partition.kind: unknown partition 'idd'; did you mean 'iid'?"),
        (
            "aggregation.method=fedavgm",
            "aggregation.method: unknown aggregation 'fedavgm'; did you mean 'fedavg'?",
        ),
        (
            "tracking.tensorbord={}",
            "tracking: unknown tracker 'tensorbord'; did you mean 'tensorboard'?",
        ),
        (
            "tracking.mlflow.url=x",
            "unknown key 'tracking.mlflow.url'; did you mean 'tracking.mlflow.uri'?",
        ),
        ("tracking={1: {}}", "tracking: unknown tracker '1'; there are: mlflow, tensorboard"),
        (
            "tracking.tensorboard=",
            "tracking.tensorboard must be a mapping of its keys, not None",
        ),
        ("tracking=mlflow", "tracking must be a mapping of its keys, not 'mlflow'"),
    ],
)
def test_unknown_method_or_tracker_names_the_nearest(override, sentence):
    assert mistake(None, override) == sentence


@pytest.mark.parametrize(
    ("kind", "option"), [("iid", "clients"), ("dirichlet", "clients"), ("column", "by")]
)
def test_option_without_default_must_be_set(kind, option):
    sentence = f"partition.{option} has no default and must be set"
    assert mistake({"partition": {"kind": kind}}) == sentence


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("seed", "--set 'seed': write it as key.key=value"),
        ("=3", "--set '=3': write it as key.key=value"),
        ("seed=[1", "--set 'seed=[1': the value is not valid YAML: while parsing a flow sequence"),
        ("seed={a: 1, a: 2}", "the key 'a' stands twice (line 1)"),
        ("seed=2020-13-01", "the value is not valid YAML: month must be in 1..12"),
        ("seed=!!python/name:os.system", "could not determine a constructor for the tag"),
        ("seed=" + "[" * 5000, "the value is not valid YAML"),
    ],
)
def test_broken_override_is_quoted(override, problem):
    assert problem in mistake(None, override)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("seed: 1\nmodel: {}\nseed: 2\n", ": not valid YAML: the key 'seed' stands twice (line 3)"),
        ("model: {name: a, name: b}\n", ": not valid YAML: the key 'name' stands twice (line 1)"),
        ("seed: [1\n", ": not valid YAML: while parsing a flow sequence, expected"),
        ("seed: 1\n---\nseed: 2\n", ": not valid YAML: expected a single document in the stream"),
        ("- seed\n", ": a config is a mapping of keys, not a list"),
        ("seed\n", ": a config is a mapping of keys, not a str"),
    ],
)
def test_broken_file_is_named(tmp_path, text, problem):
    path = write(tmp_path, text)
    assert mistake(path).startswith(f"{path}{problem}")


def test_file_that_cannot_be_read_is_named(tmp_path):
    absent, binary = tmp_path / "absent.yaml", tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    assert mistake(absent) == f"there is no config file '{absent}'"
    assert mistake(binary).startswith(f"cannot read the config file '{binary}'")
    assert mistake(tmp_path).startswith(f"cannot read the config file '{tmp_path}'")


def test_endless_value_is_quoted_in_brief():
    assert len(mistake({"seed": "x" * 100_000})) < 100


# --- several keys at once -----------------------------------------------------------------------


def test_aggregation_of_low_rank_factors_needs_some():
    sentence = "aggregation.method 'flexlora' does not work with adapter.kind 'p-tuning'"
    assert mistake(None, "aggregation.method=flexlora", "adapter.kind=p-tuning") == sentence
    config.load(None, ["aggregation.method=flexlora", "adapter.dora=true"])


def test_two_budgets_are_refused():
    sentence = "selection.samples and selection.share are two budgets: give one of them"
    assert mistake(None, "selection.samples=5", "selection.share=0.5") == sentence


def test_method_that_reads_with_a_proxy_needs_one():
    sentence = mistake(None, "selection.method=fedhds-turbo")
    assert sentence.endswith("reads the samples with a small frozen model: set model.proxy")
    assert config.load(None, ["selection.method=fedhds-turbo", "model.proxy=x"]).model.proxy == "x"


def test_method_that_reads_with_the_base_takes_a_proxy_in_its_place(easiest):
    chosen = [f"selection.method={easiest}", "selection.samples=5"]
    assert config.load(None, chosen).proxy is None
    named = config.load(None, [*chosen, "model.proxy=x", "model.proxy_dtype=bfloat16"])
    assert (named.proxy, config.notices(named)) == ("x", [])


def test_number_type_of_a_proxy_that_is_not_named_is_noticed(easiest):
    chosen = [f"selection.method={easiest}", "selection.samples=5", "model.proxy_dtype=bfloat16"]
    notice = f"model.proxy_dtype is not used: '{easiest}' reads with no proxy"
    assert config.notices(config.load(None, chosen)) == [notice]


@pytest.mark.parametrize("key", ["filter", "within"])
def test_method_before_or_inside_another_has_options_of_its_own(key):
    given = [f"selection.{key}.method=perplexity", f"selection.{key}.prefer=high"]
    loaded = config.load(None, given)
    assert loaded.selection_method.inner.prefer == "high"
    assert loaded.reads == {"tuned", "base"}  # fedhds's states and the perplexities
    assert config.parse(loaded.resolved()) == loaded


@pytest.mark.parametrize("keep", [0.3, 0.7])
@pytest.mark.parametrize("name", ["ifd", "feddqc"])
def test_filter_keeps_what_it_is_told_to_whatever_options_its_method_has(name, keep):
    loaded = config.load(None, [f"selection.filter={{method: {name}, keep: {keep}}}"])
    assert loaded.selection_method.keep == loaded.resolved()["selection"]["filter"]["keep"] == keep
    assert getattr(loaded.selection_method.inner, "keep", keep) == keep


def test_filter_goes_before_what_is_inside_the_groups():
    keys = ["selection.filter.method=ifd", "selection.filter.keep=0.7"]
    method = config.load(None, [*keys, "selection.within.method=random"]).selection_method
    assert (type(method).__name__, method.keep) == ("Filtered", 0.7)
    assert type(method.outer).__name__ == "Within"


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("filter={}", "selection.filter.method has no default"),
        ("filter={method: ifd, 5: 3}", "unknown key 'selection.filter.5'"),
        ("filter={method: ifd, kep: 1}", "unknown key 'selection.filter.kep'; did you mean"),
        ("filter.method=idf", "selection.filter.method: unknown selection 'idf'; did you mean"),
        ("filter={method: ifd, keep: 1}", "selection.filter.keep should be less than 1"),
        ("filter={method: ifd, prefer: low}", "unknown key 'selection.filter.prefer'; there are: "),
        ("filter={method: full}", "selection.filter: method takes all samples"),
        ("within={method: full}", "selection.within: method takes all samples"),
        ("within={method: perplexity, prefer: best}", "selection.within.prefer should be"),
        ("filter.method=fedhds-turbo", "the selection reads the samples with a small frozen"),
    ],
)
def test_mistake_in_a_method_before_or_inside_another_names_its_key(override, sentence):
    assert mistake(None, f"selection.{override}").startswith(sentence)


def test_method_without_groups_has_no_inside():
    sentence = mistake(None, "selection={method: random, samples: 5, within: {method: ifd}}")
    assert sentence.startswith("selection.within: selection.method has no groups to choose within")


def test_unread_scorer_and_knowledge_are_noticed():
    loaded = config.load(None, ["model.scorer=x", "selection.knowledge=y"])
    assert config.notices(loaded) == [
        "model.scorer is not used: 'fedhds' asks no scorer",
        "selection.knowledge is not used: 'fedhds' reads without",
    ]


def test_method_that_is_not_private_says_so():
    (notice,) = config.notices(config.load(None, ["selection.method=coreset-cent"]))
    assert notice.endswith("is not private: numbers of every sample leave the clients")


def test_prefix_does_not_go_with_gradient_checkpointing():
    wanted = "tuning.gradient_checkpointing=true"
    sentence = "tuning.gradient_checkpointing does not work with adapter.kind 'prefix-tuning'"
    assert mistake(None, "adapter.kind=prefix-tuning", wanted) == sentence
    for kind in ("lora", "p-tuning", "prompt-tuning"):
        config.load(None, [f"adapter.kind={kind}", wanted])


@pytest.mark.parametrize(
    ("kind", "tokens"),
    [("lora", 0), ("prefix-tuning", 10), ("p-tuning", 20), ("prompt-tuning", 20)],
)
def test_virtual_tokens_are_those_of_the_papers_baselines(kind, tokens):
    assert config.load(None, [f"adapter.kind={kind}"]).adapter_method.virtual_tokens == tokens


def test_random_needs_a_budget():
    assert "selection.method 'random' needs a budget" in mistake(None, "selection.method=random")
    for budget in ("samples=5", "share=0.5"):
        config.load(None, ["selection.method=random", f"selection.{budget}"])


@pytest.mark.parametrize(
    ("overrides", "notice"),
    [
        (
            ["selection.method=full", "selection.min_cluster_size=3"],
            "selection.min_cluster_size is not an option of 'full' and is not used",
        ),
        (
            ["adapter.virtual_tokens=5"],
            "adapter.virtual_tokens is not an option of 'lora' and is not used",
        ),
        (["partition.alpha=0.5"], "partition.alpha is not an option of 'task' and is not used"),
        (
            ["selection.method=full", "selection.share=0.5"],
            "selection.share is not used: 'full' takes all",
        ),
        (["model.proxy=embedded"], "model.proxy is not used: 'fedhds' reads with no proxy"),
        (
            ["model.proxy_dtype=bfloat16"],
            "model.proxy_dtype is not used: 'fedhds' reads with no proxy",
        ),
        *(
            (
                [option, *beside],
                f"{option.split('=')[0]} is not used with the other options of 'fedhds'",
            )
            for option, beside in (
                ("selection.groups=3", []),
                ("selection.min_cluster_size=3", ["selection.grouping=kmeans"]),
                ("selection.dimensions=3", ["selection.fusion=none"]),
            )
        ),
        (
            ["federation.client_cpus=2"],
            "federation.client_cpus is not used: it is of federation.engine 'simulation'",
        ),
        (
            ["federation.sites=[north]"],
            "federation.sites is not used: it is of federation.engine 'deployment'",
        ),
    ],
)
def test_key_of_another_method_is_only_noticed(overrides, notice):
    assert config.notices(config.load(None, overrides)) == [notice]


def test_key_of_another_method_has_its_type_all_the_same():
    sentence = "selection.min_cluster_size should be a valid integer (it is 'x')"
    assert mistake(None, "selection.method=full", "selection.min_cluster_size=x") == sentence


@pytest.mark.parametrize(
    ("data", "preset"),
    [
        ({}, "Toy"),
        ({"preset": "toy"}, "Toy"),
        ({"train": "a"}, "P3"),
        ({"train": "a", "preset": "dolly", "holdout": ["open_qa"]}, "Dolly"),
        ({"train": "a", "preset": "natural-instructions"}, "NaturalInstructions"),
    ],
)
def test_preset_that_goes_with_the_data_is_taken(data, preset):
    loaded = config.load({"data": data})
    assert type(loaded.data_preset).__name__ == preset
    assert loaded.data.preset == data.get("preset")


@pytest.mark.parametrize("prompt", PROMPTS)
def test_every_prompt_can_be_chosen(prompt):
    assert config.load(None, [f"data.prompt={prompt}"]).data.prompt == prompt


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (
            {"preset": "toy", "train": "a"},
            "data.preset 'toy' is generated, so it goes without data.train",
        ),
        ({"preset": "p3"}, "data.preset 'p3' needs data.train, a file, a folder or a hub data set"),
        (
            {"eval": "b"},
            "data.eval needs data.train: the preset 'toy' brings its own unseen tasks",
        ),
        (
            {"holdout": ["b"]},
            "data.holdout needs data.train: the preset 'toy' brings its own unseen tasks",
        ),
        (
            {"train": "a", "preset": "natural-instructions", "eval": "b"},
            "data.eval must not be given: the preset 'natural-instructions' brings its own "
            "unseen tasks",
        ),
        (
            {"train": "a", "eval": "b", "holdout": ["t"]},
            "data.eval and data.holdout both name unseen tasks: give one of them",
        ),
    ],
)
def test_preset_that_contradicts_the_data_is_refused(data, sentence):
    assert mistake({"data": data}) == sentence


# --- written and read again ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["selection={method: random, share: 1}", "federation.fraction=1"],
        ["selection.method=full", "selection.min_cluster_size=3"],
        ["partition={kind: dirichlet, clients: 3, alpha: 1}", "tuning.lr=1"],
        ["adapter={kind: p-tuning, virtual_tokens: 3}", "model.quantization=4bit"],
        ["partition={kind: column, by: writer}", "data={train: a, columns: {task: t}}"],
        ["data={train: 'hub:a/b@1:train[:5%]', preset: dolly, holdout: ['yes', '3']}"],
        ["tracking={tensorboard: {}, mlflow: {experiment: mine}}"],
        ["model={name: 'on', revision: '12e3456'}", "data.train='日本: 👍'"],
    ],
)
def test_written_configuration_reads_as_itself(tmp_path, overrides):
    loaded = config.load(None, overrides)
    again = config.load(write(tmp_path, loaded.to_yaml()))
    assert again == loaded
    assert again.resolved() == loaded.resolved()
    assert config.notices(again) == config.notices(loaded)


def test_resolved_fills_in_the_methods_defaults():
    resolved = config.load(None, ["partition={kind: dirichlet, clients: 3}"]).resolved()
    assert resolved["selection"]["min_cluster_size"] == 2
    assert resolved["partition"]["alpha"] == 0.5
    assert resolved["adapter"]["rank"] == 8
    assert resolved["tuning"]["optimizer"] == "adam"
    assert resolved["tracking"] == {}


def test_resolved_fills_in_the_trackers_defaults():
    resolved = config.load(None, ["tracking={mlflow: {experiment: mine}}"]).resolved()
    assert resolved["tracking"] == {"mlflow": {"uri": None, "experiment": "mine"}}


WORDS = sorted({*SECTIONS, "method", "kind", "samples", "lr", "columns", "min_cluster_size", "by"})
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["fedhds", "random", "full", "iid", "p3", "toy", "natural-instructions"])
)
keys = st.sampled_from(WORDS) | st.text(max_size=5) | st.integers()
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=8
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(keys, values | st.dictionaries(keys, values)))
def test_any_mapping_is_read_or_refused_in_one_sentence(tmp_path_factory, plain):
    try:
        loaded = config.load(plain)
    except UserError:
        mistake(plain)
    else:
        path = write(tmp_path_factory.mktemp("any"), loaded.to_yaml())
        assert config.load(path) == loaded
