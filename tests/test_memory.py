"""The estimate of memory against what torch really keeps."""

import pytest
import torch
from tiny import ARCHITECTURES, tiny_model
from transformers import AutoModelForCausalLM

from fedhds import memory, registry
from fedhds.adapters.lora import Lora
from fedhds.models import add_adapter
from fedhds.tuning.options import TuningOptions

SHAPES = memory.Shapes(sample=20, response=8, prompt=10, answer=4, batch=2)


def skeleton(architecture="llama", dtype=torch.float32, adapter=None):
    config = tiny_model(architecture).config
    with torch.device("meta"):
        base = AutoModelForCausalLM.from_config(
            config, dtype=dtype, experts_implementation="batched_mm"
        )
    return add_adapter(base, adapter or Lora(rank=2), 0)


def estimate(model=None, tuning=None, quantization=None, frozen=0, shapes=SHAPES, device="cuda"):
    tuning = tuning or TuningOptions(batch_size=3)
    return memory.estimate(model or skeleton(), shapes, tuning, device, quantization, frozen)


def really_kept(architecture):
    """Add up what autograd keeps of a batch of 3 samples of 20 tokens, the head apart."""
    model = add_adapter(tiny_model(architecture), Lora(rank=2), 0).train()
    own = {p.untyped_storage().data_ptr() for p in [*model.parameters(), *model.buffers()]}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage
        return tensor

    tokens = torch.zeros((3, 20), dtype=torch.long)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        states = model.get_base_model().get_decoder()(
            tokens, attention_mask=torch.ones_like(tokens), use_cache=False
        )
    assert states.last_hidden_state.requires_grad
    return sum(storage.nbytes() for storage in kept.values())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_training_is_about_what_autograd_keeps(architecture):
    # beside the logits of 3 responses of 8 tokens in float32, twice more for their gradient
    model = skeleton(architecture)
    logits = 3 * 8 * model.config.vocab_size * 12
    ratio = (estimate(model)["training"] - logits) / really_kept(architecture)
    assert 0.6 < ratio < 1.5


@pytest.mark.parametrize("kind", registry.names("adapter"))
def test_every_adapter_can_be_estimated(kind):
    parts = estimate(skeleton(adapter=registry.load("adapter", kind)()))
    assert all(parts[part] > 0 for part in ("weights", "adapter", "training", "evaluation"))


def test_weights_adapter_and_optimizer_by_hand():
    model = skeleton()
    frozen = sum(p.numel() for p in tiny_model().parameters())
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    adam, sgd = (estimate(tuning=TuningOptions(optimizer=name)) for name in ("adam", "sgd"))
    assert adam["weights"] == 4 * frozen
    # a value, a gradient, and Adam's two moments
    assert (adam["adapter"], sgd["adapter"]) == (16 * trainable, 8 * trainable)


def test_half_precision_halves_the_weights():
    half = estimate(skeleton(dtype=torch.bfloat16))
    assert half["weights"] * 2 == estimate()["weights"]
    assert half["training"] < estimate()["training"]


@pytest.mark.parametrize(("kind", "size"), [("8bit", 1), ("4bit", 0.5625)])
def test_quantised_linear_layers_are_smaller(kind, size):
    base = tiny_model()
    linear = sum(p.numel() for n, p in base.named_parameters() if "proj" in n)
    rest = sum(p.numel() for n, p in base.named_parameters() if "proj" not in n)
    assert estimate(quantization=kind)["weights"] == round(size * linear) + 4 * rest


def test_checkpointing_takes_less_and_longer_samples_more():
    plain = estimate()["training"]
    checkpointed = TuningOptions(batch_size=3, gradient_checkpointing=True)
    longer = memory.Shapes(sample=40, response=8, prompt=10, answer=4, batch=2)
    assert estimate(tuning=checkpointed)["training"] < plain < estimate(shapes=longer)["training"]


def test_peak_is_what_rests_and_the_larger_of_what_works():
    parts = estimate(frozen=1000)
    resting = parts["weights"] + parts["adapter"] + 1000
    assert parts["peak"] == resting + max(parts["training"], parts["evaluation"])


def test_generation_keeps_keys_and_values():
    # 2 layers, 1 group of 8, keys and values, float32: 128 bytes a token; 2 x 1,010 tokens, twice
    shapes = memory.Shapes(sample=4, response=1, prompt=10, answer=1000, batch=2)
    # and a copy of the weights that LoRA is added to: a layer's 16 x (16 + 8 + 8 + 16 + 3 x 24)
    assert estimate(shapes=shapes)["evaluation"] == 2 * 2 * 1010 * 128 + 2 * 4 * 16 * 120


def test_holes_that_the_allocator_of_the_cpu_leaves_are_counted():
    there, here = estimate(), estimate(device="cpu")
    assert here["training"] == pytest.approx(2 * there["training"], abs=1)
    assert here["weights"] == there["weights"]
