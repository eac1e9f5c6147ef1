"""The model with its adapter, and the adapter as arrays."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from tiny import (
    ARCHITECTURES,
    EOS,
    PAD,
    POSITIONS,
    random_samples,
    save_tiny,
    tiny_language_model,
    tiny_model,
    tiny_tokenizer,
)
from transformers import AutoModelForCausalLM

from fedhds import models
from fedhds.adapters.lora import Lora
from fedhds.losses import response_losses
from fedhds.models import (
    LanguageModel,
    adapter_arrays,
    add_adapter,
    inference,
    load_adapter,
    positions,
    save_adapter,
    set_adapter_arrays,
)
from fedhds.tuning.local import tune
from fedhds.tuning.options import TuningOptions
from fedhds.types import Silent, UserError


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


# --- the adapter --------------------------------------------------------------------------------


def test_lora_is_seeded_and_leaves_the_global_state_alone():
    before = torch.get_rng_state()
    one, same, other = (
        adapter_arrays(add_adapter(tiny_model(), Lora(rank=2), seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not all(np.array_equal(one[name], other[name]) for name in one)


def test_new_lora_changes_nothing_yet():
    tokens = torch.arange(10)[None]
    base = tiny_model()
    before = base(tokens).logits
    assert torch.equal(add_adapter(base, Lora(dropout=0.0), 0)(tokens).logits, before)


def test_lora_adapts_every_linear_layer_of_llama_but_the_head():
    # q, k, v, o, gate, up and down, an A and a B each, in two layers
    arrays = adapter_arrays(add_adapter(tiny_model(), Lora(rank=2), 0))
    assert len(arrays) == 7 * 2 * 2
    assert {array.shape[0] for name, array in arrays.items() if "lora_A" in name} == {2}


def test_named_targets_alone_are_adapted():
    arrays = adapter_arrays(add_adapter(tiny_model(), Lora(target_modules=["q_proj"]), 0))
    assert len(arrays) == 2 * 2


@pytest.mark.parametrize("named", [["absent"], ["q_proj", "absent"], ["proj"]])
def test_target_that_is_not_there_is_named(named):
    sentence = rf"^adapter\.target_modules: the model has no layer named '{named[-1]}'$"
    with pytest.raises(UserError, match=sentence):
        add_adapter(tiny_model(), Lora(target_modules=named), 0)


@pytest.mark.parametrize(
    ("architecture", "layers"),
    # a layer's q, k, v and o; Qwen's shared expert has gate, up, down and a gate to all of it
    [("mixtral", 4), ("olmoe", 4), ("qwen2-moe", 8)],
)
def test_fused_experts_stay_frozen(architecture, layers):
    arrays = adapter_arrays(add_adapter(tiny_model(architecture), Lora(rank=2), 0))
    assert len(arrays) == layers * 2 * 2
    assert not any(".experts." in name for name in arrays)


def test_rank_stabilised_lora_scales_by_the_root_of_the_rank(samples):
    # 4 / sqrt(4) = 8 / 4
    stable, plain = (
        tiny_language_model(adapter=Lora(rank=4, alpha=alpha, dropout=0.0, rslora=stable))
        for alpha, stable in ((4, True), (8, False))
    )
    assert torch.equal(response_losses(stable, samples), response_losses(plain, samples))


def test_dora_starts_at_the_base_and_learns_a_magnitude_for_each_layer():
    tokens, base = torch.arange(10)[None], tiny_model()
    before = base(tokens).logits
    model = add_adapter(base, Lora(dora=True, dropout=0.0), 0)
    torch.testing.assert_close(model(tokens).logits, before, rtol=1e-4, atol=1e-4)
    assert len(adapter_arrays(model)) == 7 * 3 * 2


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_dora_trains_whatever_the_architecture(architecture, samples):
    adapted = add_adapter(tiny_model(architecture), Lora(dora=True, dropout=0.0), 0)
    model = LanguageModel(adapted, tiny_tokenizer(), torch.device("cpu"))
    options = TuningOptions(lr=0.01, epochs=5, batch_size=len(samples))
    before = response_losses(model, samples).sum()
    tune(model, samples, np.ones(len(samples), np.float32), options, 0, 0, 1, Silent())
    assert response_losses(model, samples).sum() < 0.95 * before


@pytest.mark.parametrize("shared", [True, False], ids=["in-memory", "elsewhere"])
def test_a_language_models_adapter_is_its_modules(model, shared):
    if not shared:  # as on a GPU, whose memory NumPy cannot see
        model.model.to(torch.float64)
    assert (model.views is not None) == shared
    changed = {name: array + 1 for name, array in adapter_arrays(model.model).items()}
    set_adapter_arrays(model, changed)
    for arrays in (adapter_arrays(model), adapter_arrays(model.model)):
        assert all(np.array_equal(arrays[name], changed[name]) for name in changed)


def test_training_is_seen_in_the_shared_memory(model):
    before = adapter_arrays(model)
    tune(model, random_samples(3), np.ones(3, np.float32), TuningOptions(), 0, 0, 1, Silent())
    after = adapter_arrays(model)
    assert any(not np.array_equal(before[name], after[name]) for name in before)


def test_arrays_are_copies_and_come_back_bit_for_bit(any_model):
    before = adapter_arrays(any_model.model)
    changed = {name: array + 1 for name, array in before.items()}
    set_adapter_arrays(any_model.model, changed)
    after = adapter_arrays(any_model.model)
    assert all(np.array_equal(after[name], before[name] + 1) for name in before)
    assert [a.dtype for a in after.values()] == [np.float32] * len(after)


def test_arrays_of_another_adapter_are_refused(model):
    arrays = adapter_arrays(model.model)
    first = next(iter(arrays))
    without = {name: array for name, array in arrays.items() if name != first}
    for wrong in (without, without | {"x": arrays[first]}, arrays | {"x": arrays[first]}):
        with pytest.raises(ValueError, match="the adapter's parameters differ"):
            set_adapter_arrays(model.model, wrong)
    with pytest.raises(ValueError, match=r"has shape \(16, 2\), not \(2, 16\)"):
        set_adapter_arrays(model.model, arrays | {first: arrays[first].T})


def test_saved_adapter_loads_in_plain_peft(saved, model, tmp_path):
    samples = random_samples(3)
    tokens = torch.tensor([samples[0].prompt])
    save_adapter(model.model, tmp_path / "adapter", str(saved))
    plain = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(saved), tmp_path / "adapter"
    )
    written = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert written["base_model_name_or_path"] == str(saved)
    assert torch.equal(plain.eval()(tokens).logits, model.model.eval()(tokens).logits)


def test_saved_adapter_is_loaded_again(model, saved, tmp_path):
    before = adapter_arrays(model.model)
    save_adapter(model.model, tmp_path / "adapter", str(saved))
    set_adapter_arrays(model.model, {name: array * 0 for name, array in before.items()})
    load_adapter(model.model, tmp_path / "adapter")
    assert all(np.array_equal(adapter_arrays(model.model)[name], before[name]) for name in before)


# --- what the model says of itself --------------------------------------------------------------


def test_model_without_positions_has_none():
    assert positions(tiny_model("bloom").config) is None


def test_model_knows_its_length_and_its_filler(model):
    assert (model.longest, model.filler) == (POSITIONS, PAD)
    model.tokenizer.pad_token = None
    assert model.filler == EOS


def test_adapter_stays_active_in_the_base(model, samples):
    # the losses are those of the base that the adapter was put into
    tokens = torch.tensor([samples[0].prompt])
    with model.model.disable_adapter():
        without = model.base.eval()(tokens).logits
    assert not torch.equal(model.base(tokens).logits, without)
    assert response_losses(model, samples[:1]).item() > 0


def weights(model):
    return {name: tensor.clone() for name, tensor in model.model.state_dict().items()}


@pytest.mark.parametrize(
    "adapter", [Lora(rank=2), Lora(rank=2, dora=True), Lora(rank=2, rslora=True)]
)
def test_reading_adds_lora_to_small_weights_and_takes_it_out_to_the_bit(adapter, samples):
    model = tiny_language_model(adapter=adapter)
    before, layer = weights(model), model.decoder.layers[0].mlp.up_proj
    with torch.no_grad():
        model.model.eval()
        apart = response_losses(model, samples)
    with inference(model.model):
        assert layer.merged
        torch.testing.assert_close(response_losses(model, samples), apart, atol=1e-4, rtol=1e-4)
        with inference(model.model):  # within it nothing is added twice
            torch.testing.assert_close(response_losses(model, samples), apart, atol=1e-4, rtol=1e-4)
        assert layer.merged
    assert not layer.merged
    assert all(torch.equal(before[n], tensor) for n, tensor in weights(model).items())


def test_weights_come_back_where_reading_fails(model):
    before = weights(model)
    with pytest.raises(RuntimeError, match="over"), inference(model.model):
        raise RuntimeError("over")
    assert all(torch.equal(before[n], tensor) for n, tensor in weights(model).items())
    assert not model.decoder.layers[0].mlp.up_proj.merged


def test_lora_stays_apart_where_it_would_be_rounded_away_shared_or_large(monkeypatch):
    narrow = tiny_language_model(dtype=torch.bfloat16)
    shared = tiny_language_model(adapter=Lora(rank=2, target_modules=["lm_head"]))
    shared.base.lm_head.base_layer.weight = shared.base.get_input_embeddings().weight
    for model, layer in (
        (narrow, narrow.decoder.layers[0].mlp.up_proj),
        (shared, shared.base.lm_head),
    ):
        with inference(model.model):
            assert not layer.merged
    monkeypatch.setattr(models, "MERGED", 1000)
    large = tiny_language_model()
    with inference(large.model):
        assert not large.decoder.layers[0].mlp.up_proj.merged
