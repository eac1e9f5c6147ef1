"""Published models: where they come from, what is wrong with broken ones, how they are held."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import save_tiny, tiny_model, tiny_tokenizer

from fedhds.adapters.lora import Lora
from fedhds.losses import response_losses
from fedhds.models import LanguageModel, add_adapter, positions, without_adapter
from fedhds.pretrained import (
    EMBEDDED,
    Pretrained,
    _quantised,
    load_base,
    load_config,
    load_skeleton,
    load_tokenizer,
    locate,
    resolve_device,
)
from fedhds.tuning.local import tune
from fedhds.tuning.options import TuningOptions
from fedhds.types import Silent, UserError


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def folder(saved, tmp_path) -> Path:
    """Copy the model folder, to be broken."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


def load(folder: Path):
    source = Pretrained(str(folder))
    load_tokenizer(source)
    load_config(source)
    return load_base(source)


# --- where models are ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["org/name", "name", "Embedded"])
def test_name_of_nothing_here_is_a_hub_id(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert locate(name) == name


@pytest.mark.parametrize(
    "name",
    ["/absent/model", "./model", "../model", "~/absent/model", "model/", "a/b/c", "a\\b", "here/x"],
)
def test_absent_path_is_never_a_hub_id(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    with pytest.raises(UserError) as raised:
        locate(name)
    assert str(raised.value) == f"model.name: there is no model folder '{name}'"


def test_file_is_no_model_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").write_text("")
    with pytest.raises(UserError, match="there is no model folder 'model'"):
        locate("model")


def test_folder_is_taken_before_a_hub_id_and_needs_a_config(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert locate("model") == "model"
    (folder / "config.json").unlink()
    with pytest.raises(UserError, match=r"the folder 'model' has no config\.json"):
        locate("model")


def test_embedded_model_is_whole():
    base = load(Path(locate(EMBEDDED)))
    assert positions(base.config) == positions(load_config(Pretrained(EMBEDDED)))


# --- broken models ------------------------------------------------------------------------------


def rewrite(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def as_pickle(folder: Path) -> None:
    torch.save(tiny_model().state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def without_eos(folder: Path) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.eos_token = None
    tokenizer.save_pretrained(folder)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (without_eos, "has no EOS token"),
        (as_pickle, "no file named model.safetensors"),
        (lambda f: (f / "tokenizer.json").unlink(), "cannot load the tokenizer of"),
        (lambda f: (f / "tokenizer.json").write_text("{}"), "cannot load the tokenizer of"),
        (lambda f: (f / "config.json").write_text("{"), "is not a valid JSON file"),
        (lambda f: (f / "config.json").write_text("[]"), "cannot load"),
        (lambda f: rewrite(f / "config.json", model_type="nonsense"), "has model type `nonsense`"),
        (lambda f: rewrite(f / "config.json", model_type="t5"), "Unrecognized configuration class"),
        (lambda f: rewrite(f / "config.json", num_hidden_layers=3), "has no weights for"),
        (lambda f: rewrite(f / "config.json", hidden_size=32), "cannot load the model"),
        (lambda f: (f / "model.safetensors").write_bytes(b""), "cannot load the model"),
    ],
    ids=[
        "no EOS", "pickle", "no tokenizer", "empty tokenizer", "broken config", "config is a list",
        "unknown kind", "not causal", "missing weights", "other shapes", "empty weights",
    ],
)  # fmt: skip
def test_broken_model_is_named_in_one_sentence(folder, damage, problem):
    damage(folder)
    with pytest.raises(UserError, match=problem) as raised:
        load(folder)
    assert str(raised.value).startswith("model.name: ")
    assert str(folder) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("device", ["nonsense", "", "meta"])
def test_device_that_is_not_there_is_refused(device):
    with pytest.raises(UserError, match=f"model.device: '{device}' is not usable here"):
        resolve_device(device)


# --- quantised models ---------------------------------------------------------------------------


@pytest.mark.parametrize("quantization", ["4bit", "8bit"])
def test_quantised_model_needs_a_gpu(saved, quantization):
    with pytest.raises(UserError) as raised:
        load_base(Pretrained(str(saved), device="cpu", quantization=quantization))
    assert str(raised.value) == (
        f"model.quantization '{quantization}' needs a CUDA device, not 'cpu': "
        "set it to null, or model.device to one"
    )


@pytest.mark.skipif(find_spec("bitsandbytes") is not None, reason="bitsandbytes is there")
def test_quantised_model_needs_bitsandbytes():
    with pytest.raises(UserError, match=r"needs the package bitsandbytes: pip install 'fedhds\["):
        _quantised("4bit", torch.bfloat16, torch.device("cuda"))


@pytest.mark.skipif(
    find_spec("bitsandbytes") is None or not torch.cuda.is_available(),
    reason="needs bitsandbytes and a GPU",
)
@pytest.mark.parametrize("quantization", ["4bit", "8bit"])
def test_quantised_model_trains_an_adapter(saved, samples, quantization):
    base = load_base(Pretrained(str(saved), quantization=quantization))
    assert {torch.uint8, torch.int8} & {parameter.dtype for parameter in base.parameters()}
    model = LanguageModel(add_adapter(base, Lora(), 0), tiny_tokenizer(), base.device)
    options = TuningOptions(lr=0.01, epochs=5, batch_size=7, gradient_checkpointing=True)
    before = response_losses(model, samples).sum()
    tune(model, samples, np.ones(7, np.float32), options, 0, 0, 1, Silent())
    assert response_losses(model, samples).sum() < before


# --- scorers ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved_t5(tmp_path_factory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "t5", "t5")


def score(folder: Path):
    return load_base(Pretrained(str(folder), key="model.scorer", encoder_decoder=True))


@pytest.mark.parametrize("architecture", ["llama", "t5"])
def test_scorer_may_be_causal_or_an_encoder_with_a_decoder(saved, saved_t5, architecture):
    loaded = score(saved_t5 if architecture == "t5" else saved)
    expected = tiny_model(architecture).state_dict()
    assert type(loaded) is type(tiny_model(architecture))
    assert all(torch.equal(loaded.state_dict()[name], expected[name]) for name in expected)


@pytest.mark.parametrize("architecture", ["llama", "t5"])
def test_scorer_is_a_language_model_without_an_adapter(saved, saved_t5, architecture):
    base = score(saved_t5 if architecture == "t5" else saved)
    model = LanguageModel(base, tiny_tokenizer(), base.device)
    assert (model.base, model.filler, model.longest, model.virtual_tokens) == (base, 0, 64, 0)
    before = model.fingerprint
    with without_adapter(base):
        assert LanguageModel(base, tiny_tokenizer(), base.device).fingerprint == before
    base.get_input_embeddings().weight.data += 1
    assert LanguageModel(base, tiny_tokenizer(), base.device).fingerprint != before


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (as_pickle, "no file named model.safetensors"),
        (lambda f: rewrite(f / "config.json", num_layers=3), "has no weights for"),
        (lambda f: rewrite(f / "config.json", model_type="bert"), "cannot load the model|weights"),
        (lambda f: (f / "config.json").write_text("{"), "is not a valid JSON file"),
    ],
    ids=["pickle", "missing weights", "another kind", "broken config"],
)
def test_broken_scorer_is_named_in_one_sentence(saved_t5, tmp_path, damage, problem):
    folder = Path(shutil.copytree(saved_t5, tmp_path / "model"))
    damage(folder)
    with pytest.raises(UserError, match=problem) as raised:
        score(folder)
    assert str(raised.value).startswith("model.scorer: ")
    assert "\n" not in str(raised.value)


# --- models without numbers ---------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "kind"), [("auto", torch.float32), ("float16", torch.float16)])
def test_skeleton_is_the_model_without_its_numbers(saved, dtype, kind):
    source = Pretrained(str(saved), dtype=dtype, device="cpu")
    base, skeleton = load_base(source), load_skeleton(source)
    assert {name: (p.shape, p.dtype) for name, p in skeleton.named_parameters()} == {
        name: (p.shape, p.dtype) for name, p in base.named_parameters()
    }
    assert {p.device.type for p in skeleton.parameters()} == {"meta"}
    assert {p.dtype for p in base.parameters()} == {kind}


def test_key_of_another_model_is_named():
    with pytest.raises(UserError, match=r"^model\.proxy: there is no model folder './absent'$"):
        load_skeleton(Pretrained("./absent", key="model.proxy"))
