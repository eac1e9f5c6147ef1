"""Pickled weights become safetensors without being run."""

import pickle
import runpy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny import tiny_model, tiny_tokenizer

from fedhds.pretrained import Pretrained, load_base, load_tokenizer
from fedhds.types import UserError

SCRIPT = Path(__file__).parents[2] / "scripts" / "to_safetensors.py"
convert = runpy.run_path(str(SCRIPT))["convert"]


@pytest.fixture
def pickled(tmp_path):
    """Save a tiny model as old ones are: a pickle of its weights, in half precision."""
    folder = tmp_path / "pickled"
    model = tiny_model().half()
    model.config.dtype = torch.float16
    model.config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    tiny_tokenizer().save_pretrained(folder)
    return folder


def test_what_was_refused_is_loaded_and_has_the_same_weights(pickled, tmp_path):
    with pytest.raises(UserError):
        load_base(Pretrained(str(pickled)))
    out = tmp_path / "out"
    convert(str(pickled), out)
    assert not list(out.glob("*.bin"))
    expected = torch.load(pickled / "pytorch_model.bin", weights_only=True)
    written = load_file(out / "model.safetensors")
    assert {value.dtype for value in written.values()} == {torch.float16}
    assert all(torch.equal(value, expected[name]) for name, value in written.items())
    loaded = load_base(Pretrained(str(out), dtype="float16")).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in loaded.items())
    ids = load_tokenizer(Pretrained(str(out)))("a b")["input_ids"]
    assert ids == load_tokenizer(Pretrained(str(pickled)))("a b")["input_ids"]


def test_weights_that_are_code_are_not_run(pickled, tmp_path):
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "trapped",)

    (pickled / "pytorch_model.bin").write_bytes(pickle.dumps({"lm_head.weight": Trap()}, 2))
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        convert(str(pickled), tmp_path / "out")
    assert not (tmp_path / "trapped").exists()
    assert not (tmp_path / "out").exists()


def test_weights_that_are_missing_are_not_made_up(pickled, tmp_path):
    path = pickled / "pytorch_model.bin"
    weights = torch.load(path, weights_only=True)
    del weights["model.norm.weight"]
    torch.save(weights, path)
    with pytest.raises(SystemExit, match=r"has no weights for model\.norm\.weight"):
        convert(str(pickled), tmp_path / "out")
    assert not (tmp_path / "out").exists()
