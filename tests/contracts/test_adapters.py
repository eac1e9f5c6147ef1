"""What every kind of adapter must keep to, on the way from its first values to a saved file."""

import json
import warnings

import numpy as np
import pytest
import torch
from peft import PeftModel
from tiny import (
    ARCHITECTURES,
    EOS,
    POSITIONS,
    random_samples,
    sample,
    save_tiny,
    tiny_adapter,
    tiny_language_model,
    tiny_model,
    tiny_tokenizer,
)
from transformers import AutoModelForCausalLM

from fedhds import registry
from fedhds.evaluation.generation import generate
from fedhds.evaluation.scores import evaluate
from fedhds.losses import losses, response_losses
from fedhds.models import (
    LanguageModel,
    adapter_arrays,
    add_adapter,
    load_adapter,
    save_adapter,
    set_adapter_arrays,
)
from fedhds.signals.hidden_states import compute
from fedhds.tuning.local import tune
from fedhds.tuning.options import TuningOptions
from fedhds.types import Silent, UserError

QUIET = Silent()
KINDS = registry.names("adapter")
UNFIT = {
    ("lfm2", "prefix-tuning"),  # a convolution keeps no keys and values to put a prefix in
    ("falcon", "prefix-tuning"),  # peft does not know that its heads share keys and values
}
PAIRS = [(a, k) for a in ARCHITECTURES for k in KINDS if (a, k) not in UNFIT]
CHECKPOINTED = [(a, k) for a, k in PAIRS if registry.load("adapter", k).checkpointing]
# transformers gives OPT-350M's last state after a projection, the signal before it
READABLE = [(a, k) for a, k in PAIRS if a != "opt-projected"]


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def adapted(kind):
    """Build a tiny Llama with an adapter of the kind that already does something."""
    return tiny_language_model(adapter=tiny_adapter(kind))


def fresh(kind, seed=0):
    """Build a tiny Llama with an adapter of the kind as it is first."""
    model = add_adapter(tiny_model(), tiny_adapter(kind), seed)
    return LanguageModel(model, tiny_tokenizer(), torch.device("cpu"))


def train(model, samples, **options):
    weights = np.ones(len(samples), np.float32)
    settings = TuningOptions(**{"lr": 0.02, "batch_size": len(samples)} | options)
    return tune(model, samples, weights, settings, 0, 0, 1, QUIET)


def one_by_one(model, samples):
    """Read peft's own hidden states of the last token, one unpadded sample at a time."""
    states = []
    for one in samples:
        tokens = torch.tensor([[*one.prompt, *one.response]])
        with torch.no_grad():
            output = model.model.eval()(tokens, output_hidden_states=True)
        states.append([state[0, -1].float().numpy() for state in output.hidden_states])
    return np.array(states)


def greedy(model, prompt, count):
    """Decode token by token, reading the whole sequence again each time."""
    tokens, longest = list(prompt), model.longest or POSITIONS
    for _ in range(min(count, longest - len(prompt))):
        with torch.no_grad():
            token = model.model.eval()(torch.tensor([tokens])).logits[0, -1].argmax().item()
        if token == EOS:
            break
        tokens.append(token)
    return model.tokenizer.decode(tokens[len(prompt) :], skip_special_tokens=True).strip()


def test_source_is_named(kind):
    assert registry.source("adapter", kind)


# --- its values ---------------------------------------------------------------------------------


def test_first_values_depend_on_the_seed_alone(kind):
    before = torch.get_rng_state()
    one, same, other = (adapter_arrays(fresh(kind, seed).model) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert any(not np.array_equal(one[name], other[name]) for name in one)


def test_values_travel_by_name_bit_for_bit(adapted, kind, samples):
    other = fresh(kind, seed=1)
    set_adapter_arrays(other.model, adapter_arrays(adapted.model))
    assert adapter_arrays(other.model).keys() == adapter_arrays(adapted.model).keys()
    expected = losses(adapted, samples, 3, QUIET)
    np.testing.assert_array_equal(losses(other, samples, 3, QUIET), expected)


def test_training_moves_every_value_and_lowers_the_loss(kind, samples):
    model = fresh(kind)
    before, loss = adapter_arrays(model.model), losses(model, samples, 7, QUIET)[:, 0].sum()
    train(model, samples, epochs=20, lr=0.05)
    after = adapter_arrays(model.model)
    assert [name for name in before if np.array_equal(before[name], after[name])] == []
    assert losses(model, samples, 7, QUIET)[:, 0].sum() < 0.9 * loss


def test_base_stays_as_it_was(kind, samples):
    model, tokens = fresh(kind), torch.tensor([samples[0].prompt])
    train(model, samples)
    with model.model.disable_adapter():
        assert torch.equal(model.model.eval()(tokens).logits, tiny_model()(tokens).logits)


# --- what is computed with it -------------------------------------------------------------------


@pytest.mark.parametrize(("architecture", "kind"), PAIRS)
def test_losses_of_a_batch_are_transformers_own_of_each_sample(architecture, kind, samples):
    model = tiny_language_model(architecture, adapter=tiny_adapter(kind))
    found = losses(model, samples, 7, QUIET)[:, 0]
    for one, loss in zip(samples, found, strict=True):
        tokens = torch.tensor([[*one.prompt, *one.response]])
        labels = torch.tensor([[*[-100] * len(one.prompt), *one.response]])
        with torch.no_grad():
            mean = model.model.eval()(tokens, labels=labels).loss.item()
        assert loss == pytest.approx(mean * len(one.response), rel=1e-4)


@pytest.mark.parametrize(("architecture", "kind"), PAIRS)
def test_every_value_gets_a_gradient_whatever_the_architecture(architecture, kind, samples):
    model = tiny_language_model(architecture, adapter=tiny_adapter(kind))
    response_losses(model, samples).sum().backward()
    trainable = {n: p for n, p in model.model.named_parameters() if p.requires_grad}
    assert [n for n, p in trainable.items() if p.grad is None or not p.grad.abs().sum()] == []


@pytest.mark.parametrize(("architecture", "kind"), READABLE)
def test_hidden_states_are_those_of_the_tuned_model(architecture, kind, samples):
    model = tiny_language_model(architecture, adapter=tiny_adapter(kind))
    found = compute(model, samples, 4, QUIET)
    np.testing.assert_allclose(found, one_by_one(model, samples), atol=2e-4)
    if registry.load("adapter", kind).injected:
        return
    without = compute(LanguageModel(model.base, model.tokenizer, model.device), samples, 4, QUIET)
    assert np.abs(found[:, 1:] - without[:, 1:]).max() > 0.01


@pytest.mark.parametrize(("architecture", "kind"), PAIRS)
def test_answers_are_the_same_at_any_batch_size(architecture, kind):
    model = tiny_language_model(architecture, adapter=tiny_adapter(kind))
    prompts = [one.prompt for one in random_samples(6, seed=3, longest=5)]
    expected = [greedy(model, prompt, 4) for prompt in prompts]
    for batch_size in (2, 6):
        assert generate(model, prompts, 4, batch_size, QUIET) == expected


def test_answers_come_without_a_warning(adapted, samples):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        generate(adapted, [samples[0].prompt], 4, 1, QUIET)


def test_answers_end_at_the_positions_that_virtual_tokens_leave(adapted):
    room = POSITIONS - adapted.virtual_tokens
    assert adapted.longest == room
    prompts = [[5 + i % 80 for i in range(length)] for length in (room, room - 1, room - 4, 3)]
    expected = [greedy(adapted, prompt, 10) for prompt in prompts]
    assert generate(adapted, prompts, 10, 4, QUIET) == expected
    assert expected[0] == ""
    with pytest.raises(ValueError, match=f"{room + 1} tokens is longer than the model's {room}"):
        generate(adapted, [[5] * (room + 1)], 4, 1, QUIET)


# --- narrow bases, checkpointing ----------------------------------------------------------------


def test_narrow_base_trains_an_adapter_of_float32(kind, samples):
    model = tiny_language_model(adapter=tiny_adapter(kind), dtype=torch.bfloat16)
    trainable = [p for p in model.model.parameters() if p.requires_grad]
    assert {p.dtype for p in trainable} == {torch.float32}
    assert model.base.dtype == torch.bfloat16
    before = adapter_arrays(model.model)
    # a step of 1e-6 at values near 0.1 is lost in bfloat16, which keeps 8 bits
    result = train(model, samples, lr=1e-6)
    assert (result.steps, result.skipped) == (1, 0)
    after = adapter_arrays(model.model)
    assert all((before[name] != after[name]).any() for name in before)
    assert np.isfinite(compute(model, samples, 3, QUIET)).all()
    assert np.isfinite(losses(model, samples, 3, QUIET)).all()
    assert len(generate(model, [samples[0].prompt], 4, 1, QUIET)) == 1


@pytest.mark.parametrize(("architecture", "kind"), CHECKPOINTED)
def test_checkpointing_changes_nothing_where_it_is_allowed(architecture, kind, samples):
    found = []
    for wanted in (False, True):
        model = tiny_language_model(architecture, adapter=tiny_adapter(kind))
        train(model, samples, optimizer="sgd", gradient_checkpointing=wanted)
        found.append(adapter_arrays(model.model))
    for name, plain in found[0].items():
        np.testing.assert_allclose(found[1][name], plain, atol=1e-5)


# --- saved and loaded ---------------------------------------------------------------------------


@pytest.mark.parametrize(("architecture", "kind"), PAIRS)
def test_saved_adapter_is_the_same_in_plain_peft(architecture, kind, samples, tmp_path):
    base = save_tiny(tmp_path / "base", architecture)
    model = tiny_language_model(architecture, adapter=tiny_adapter(kind))
    save_adapter(model.model, tmp_path / "adapter", str(base))
    plain = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(base), tmp_path / "adapter"
    )
    written = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert written["base_model_name_or_path"] == str(base)
    tokens = torch.tensor([samples[0].prompt])
    assert torch.equal(plain.eval()(tokens).logits, model.model.eval()(tokens).logits)


def test_saved_adapter_is_loaded_with_the_same_scores(adapted, kind, samples, tmp_path):
    before = evaluate(adapted, samples, 6, 3, QUIET)
    save_adapter(adapted.model, tmp_path / "adapter", str(save_tiny(tmp_path / "base")))
    other = fresh(kind, seed=1)
    load_adapter(other.model, tmp_path / "adapter")
    assert evaluate(other, samples, 6, 3, QUIET).as_dict() == before.as_dict()


# --- what does not fit --------------------------------------------------------------------------


@pytest.mark.parametrize(("architecture", "kind"), sorted(UNFIT))
def test_architecture_that_does_not_suit_it_is_named(architecture, kind):
    with pytest.raises(UserError, match=r"^adapter\.kind: .* does not work with a model of type"):
        add_adapter(tiny_model(architecture), tiny_adapter(kind), 0)


def test_sample_is_no_longer_than_what_virtual_tokens_leave(adapted):
    longest = sample([5] * (adapted.longest - 2), [6, EOS])
    assert np.isfinite(losses(adapted, [longest], 1, QUIET)).all()
