"""What server and sites must have alike: each difference is found, and nothing else is one."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import save_tiny, tiny_tokenizer

from fedhds.federation import handshake as module
from fedhds.federation.handshake import DIGESTS, THINGS, check_handshake, handshake, weights_digest
from fedhds.federation.messages import BadMessage
from fedhds.pretrained import Pretrained, load_tokenizer
from fedhds.selection.fedhds import FedHDS
from fedhds.selection.full import Full
from fedhds.types import ArraySpec

ADAPTER = {"float32": ArraySpec("float32", (640,))}
"""What travels of an adapter."""

TEMPLATE = "{% for m in messages %}<s>{{ m['content'] }}</s>{% endfor %}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("model"))


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def greeting(folder, prompt="plain", length=60, adapter=ADAPTER, method=Full()):  # noqa: B008
    source = Pretrained(str(folder))
    return handshake(source, load_tokenizer(source), prompt, length, adapter, method)


def differing(theirs, own):
    with pytest.raises(BadMessage) as caught:
        check_handshake(theirs, own)
    return str(caught.value)


def only(what):
    return f"this site has another {what} than the server"


def test_the_same_is_equal_in_another_folder(folder, copy):
    mine = greeting(folder)
    check_handshake(mine, greeting(folder))
    check_handshake(mine, greeting(copy))
    assert {name: (str(a.dtype), a.shape) for name, a in mine.items()} == {
        name: (spec.dtype, spec.shape) for name, spec in DIGESTS.items()
    }


def rewrite(folder, tensors, files):
    """Write a model's tensors again, by turns into so many files."""
    (folder / "model.safetensors").unlink()
    for number in range(files):
        part = {name: tensors[name] for name in sorted(tensors)[number::files]}
        save_file(part, folder / f"model-{number}-of-{files}.safetensors", {"format": "pt"})


def test_a_model_in_other_shards_is_the_same(folder, copy):
    rewrite(copy, load_file(folder / "model.safetensors"), 3)
    check_handshake(greeting(folder), greeting(copy))


@pytest.mark.parametrize("how", ["value", "name", "shape", "number type"])
def test_another_base_model_is_named(folder, copy, how):
    tensors = load_file(folder / "model.safetensors")
    first = sorted(tensors)[0]
    tensor = tensors.pop(first)
    if how == "value":
        tensor[0, 0] = torch.nextafter(tensor[0, 0], torch.tensor(torch.inf))
    changed = {"shape": tensor.T.contiguous(), "number type": tensor.view(torch.int32)}
    tensors["other" if how == "name" else first] = changed.get(how, tensor)
    rewrite(copy, tensors, 1)
    assert differing(greeting(folder), greeting(copy)) == only("base model")


@pytest.mark.parametrize("how", ["token", "template", "special"])
def test_another_tokenizer_is_named(folder, copy, how):
    tokenizer = tiny_tokenizer()
    if how == "token":
        tokenizer.add_tokens(["unheard"])
    elif how == "template":
        tokenizer.chat_template = TEMPLATE
    else:
        tokenizer.add_special_tokens({"sep_token": "<s>"})
    tokenizer.save_pretrained(copy)
    assert differing(greeting(folder), greeting(copy)) == only("tokenizer")


@pytest.mark.parametrize("changed", [{"prompt": "alpaca"}, {"length": 59}])
def test_another_prompt_is_named(folder, changed):
    own = greeting(folder, **{"length": 400} | changed)
    assert differing(greeting(folder, length=400), own) == only("prompt")


def test_another_label_mask_is_named(folder, monkeypatch):
    server = greeting(folder)
    monkeypatch.setattr(module, "predicted", lambda sample: len(sample.response) - 1)
    assert differing(server, greeting(folder)) == only("label mask")


@pytest.mark.parametrize("how", ["version", "adapter", "method"])
def test_another_wire_is_named(folder, monkeypatch, how):
    server = greeting(folder)
    if how == "version":
        monkeypatch.setattr(module, "WIRE_VERSION", module.WIRE_VERSION + 1)
    adapter = {"float32": ArraySpec("float32", (641,))} if how == "adapter" else ADAPTER
    own = greeting(folder, adapter=adapter, method=FedHDS() if how == "method" else Full())
    assert differing(server, own) == only("wire version")


def test_all_that_differs_is_named(folder):
    own = greeting(folder)
    zeros = {name: np.zeros(32, np.uint8) for name in THINGS}
    assert differing(zeros, own) == only(
        "base model and another tokenizer and another prompt and another label mask and another "
        "wire version"
    )


def test_a_digest_is_not_of_how_files_are_called(folder, tmp_path):
    other = shutil.copy(folder / "model.safetensors", tmp_path / "weights.safetensors")
    assert weights_digest((folder / "model.safetensors",)) == weights_digest((other,))
    assert json.loads((folder / "config.json").read_text())["model_type"] == "llama"
