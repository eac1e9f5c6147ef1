"""FedHDS-Turbo through the command line: a frozen proxy with a tokenizer of its own."""

import json
import shutil

import pytest
import yaml
from safetensors.numpy import load_file
from small import small_config
from tiny import save_tiny, tiny_model, tiny_tokenizer
from typer.testing import CliRunner

from fedhds.cli.main import app
from fedhds.files import read_json


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("turbo")
    proxy = save_tiny(folder / "proxy", "gpt2")
    plain = small_config(folder, model__proxy=str(proxy), selection__method="fedhds-turbo")
    path = folder / "turbo.yaml"
    path.write_text(yaml.safe_dump(plain))
    return path


@pytest.fixture(scope="module")
def first(config, tmp_path_factory):
    """A run before anything was read, with a cache of its own."""
    out = tmp_path_factory.mktemp("first") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEDHDS_CACHE", str(out.parent))
        assert call("run", config, "--out", out).exit_code == 0
        yield out


def adapter(out):
    arrays = load_file(out / "adapter" / "adapter_model.safetensors")
    return {name: array.tobytes() for name, array in arrays.items()}


def entries(out):
    return sorted(path.name for path in (out.parent / "signals").rglob("*.safetensors"))


def test_each_client_that_took_part_was_read_once(first):
    rounds = [json.loads(line) for line in (first / "rounds.jsonl").read_text().splitlines()]
    clients = {client for line in rounds for client in line["clients"]}
    assert len(entries(first)) == len(clients) + 1  # and the places on a map


def test_run_on_what_is_known_already_gives_the_same_bits(config, first, tmp_path):
    before = entries(first)
    assert call("run", config, "--out", tmp_path / "run").exit_code == 0
    assert adapter(tmp_path / "run") == adapter(first)
    assert entries(first) == before


def test_proxy_is_in_the_config_that_is_kept(config, first):
    kept = yaml.safe_load((first / "config.yaml").read_text())
    assert kept["model"]["proxy"].endswith("proxy")
    assert read_json(first / "summary.json")["method"] == "fedhds-turbo"


def test_what_a_proxy_cannot_read_whole_is_counted(config, tmp_path):
    # the proxy has 64 positions, and Alpaca's template alone is longer in its characters
    done = call("run", config, "--dry-run", "--set", "data.prompt=alpaca",
                "--set", "model.name=embedded")  # fmt: skip
    assert done.exit_code == 0
    assert "samples are longer than the 64 tokens that the proxy reads" in done.output


def test_proxy_without_a_chat_template_reads_plain_text(config, tmp_path):
    chatty = save_tiny(tmp_path / "chatty")
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{{ messages[0].content }}"
    tokenizer.save_pretrained(chatty)
    done = call("run", config, "--dry-run", "--set", "data.prompt=chat",
                "--set", f"model.name={chatty}")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "no chat template: it reads plain text" in done.output


def test_dry_run_makes_no_cache(config, tmp_path, monkeypatch):
    monkeypatch.setenv("FEDHDS_CACHE", str(tmp_path / "cache"))
    assert call("run", config, "--dry-run").exit_code == 0
    assert not (tmp_path / "cache").exists()


def test_finished_run_is_scored_without_its_proxy(config, tmp_path):
    # layer 3 is of a proxy of three layers; the tuned model has two, and is not asked for it
    deep = tmp_path / "deep"
    model = tiny_model("llama")
    model.config.num_hidden_layers = 3
    type(model)(model.config).save_pretrained(deep)
    tiny_tokenizer().save_pretrained(deep)
    out = tmp_path / "run"
    changes = [f"model.proxy={deep}", "selection.layers=[3]", "federation.rounds=1"]
    sets = [part for change in changes for part in ("--set", change)]
    assert call("run", config, "--out", out, *sets).exit_code == 0
    shutil.rmtree(deep)
    assert call("eval", out).exit_code == 0


def test_cache_that_cannot_be_kept_is_told_before_the_run(config, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FEDHDS_CACHE", str(tmp_path / "file"))
    done = call("run", config, "--out", tmp_path / "run")
    assert done.exit_code == 2
    assert "set FEDHDS_CACHE to another" in done.output


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("model.proxy=null", "reads the samples with a small frozen model: set model.proxy"),
        ("model.proxy=./nowhere", "model.proxy: there is no model folder './nowhere'"),
        ("selection.layers=[3]", "selection.layers: there is no layer 3 in a model of 2"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(config, tmp_path, change, sentence):
    done = call("run", config, "--out", tmp_path / "run", "--set", change)
    assert done.exit_code == 2
    assert sentence in done.output
    assert not (tmp_path / "run").exists()
