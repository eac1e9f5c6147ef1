"""Mean states of prompts and responses, against transformers' own, one sample at a time."""

import weakref

import numpy as np
import pytest
import torch
from tiny import (
    EOS,
    alike_samples,
    random_samples,
    sample,
    tiny_adapter,
    tiny_language_model,
)

from fedhds import registry
from fedhds.signals import compute
from fedhds.types import Silent

QUIET = Silent()
# windows, learned positions, ALiBi, a convolution, experts, scaled embeddings
KINDS = ["llama", "mistral-window", "gpt-neo-window", "gpt2", "opt", "bloom", "lfm2", "mixtral"]
KINDS += ["gemma3"]


def read(model, samples, batch_size=3):
    return compute("mean_states", model, samples, batch_size, QUIET)


def transformers_own(model, one):
    """All states of one unpadded sample's own tokens, shape (n_layers + 1, tokens, width)."""
    tokens = torch.tensor([[*one.prompt, *one.response]])
    with torch.no_grad():
        states = model.model.eval()(tokens, output_hidden_states=True).hidden_states
    # peft puts virtual tokens in front
    return np.stack([state[0, -one.length :].double().numpy() for state in states])


def one_by_one(model, samples):
    rows = []
    for one in samples:
        states, border = transformers_own(model, one), len(one.prompt)
        rows.append([states[:, :border].mean(1), states[:, border:].mean(1)])
    return np.array(rows)


@pytest.mark.parametrize("architecture", KINDS)
def test_equal_the_means_of_transformers_own_states(architecture):
    # up to 40 tokens, so that windows of 8 slide
    model, held = tiny_language_model(architecture), random_samples(5, longest=20)
    expected = one_by_one(model, held)
    np.testing.assert_allclose(read(model, held), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", registry.names("adapter"))
def test_virtual_tokens_do_not_count(kind, samples):
    model = tiny_language_model(adapter=tiny_adapter(kind))
    np.testing.assert_allclose(read(model, samples), one_by_one(model, samples), atol=1e-5)


@pytest.mark.parametrize("batch_size", [2, 7])
def test_do_not_depend_on_the_batch(any_model, samples, batch_size):
    alone = read(any_model, samples, 1)
    np.testing.assert_allclose(read(any_model, samples, batch_size), alone, rtol=1e-5, atol=1e-5)


def test_tokens_that_all_samples_begin_with_count(model):
    alike = alike_samples()  # the first twenty tokens of all prompts are the same
    np.testing.assert_allclose(read(model, alike), one_by_one(model, alike), atol=1e-5)


def test_span_without_tokens_is_zeros(model):
    held = [sample([5, 6, 7], []), sample([], [8, EOS]), sample([5], [6, 7, EOS])]
    found = read(model, held)
    assert not found[0, 1].any()
    assert not found[1, 0].any()
    np.testing.assert_allclose(found[0, 0], transformers_own(model, held[0]).mean(1), atol=1e-5)
    np.testing.assert_allclose(found[1, 1], transformers_own(model, held[1]).mean(1), atol=1e-5)
    np.testing.assert_allclose(found[2:], one_by_one(model, held[2:]), atol=1e-5)


def test_span_of_one_token_has_its_state(model):
    one = sample([5, 6], [EOS])
    hidden = compute("hidden_states", model, [one], 1, QUIET)
    np.testing.assert_allclose(read(model, [one])[:, 1], hidden, atol=1e-6)


def test_narrow_models_are_summed_in_float32():
    model = tiny_language_model(dtype=torch.bfloat16)
    held = random_samples(5, longest=30)
    found = read(model, held, 1)
    assert found.dtype == np.float32
    # a sum in bfloat16, which keeps 8 bits, would be off by up to 2 ** -9 of itself each time
    np.testing.assert_allclose(found, one_by_one(model, held), rtol=1e-5, atol=1e-5)


def test_padding_changes_narrow_models_by_rounding_only():
    model, held = tiny_language_model(dtype=torch.bfloat16), random_samples(5)
    alone = read(model, held, 1)
    np.testing.assert_allclose(read(model, held, 5), alone, atol=0.05 * np.abs(alone).max())


def test_of_no_samples_have_the_same_axes(model):
    assert read(model, []).shape == (0, 2, 3, 16)


def test_states_of_all_tokens_are_let_go_layer_by_layer(model):
    # 4 samples of 60 tokens: what a layer gave is gone when the next but one begins
    alive, outputs = [], []
    layers = model.base.get_decoder().layers
    for layer in layers:
        layer.register_forward_hook(lambda *given: outputs.append(weakref.ref(given[2])))
    model.base.get_decoder().norm.register_forward_hook(
        lambda *_: alive.extend(output() is not None for output in outputs)
    )
    read(model, [sample([5] * 30, [6] * 30)] * 4, 4)
    assert alive == [False, True]


def test_states_that_are_not_finite_are_refused(model, samples):
    torch.nn.init.constant_(model.base.get_input_embeddings().weight, float("inf"))
    with pytest.raises(ValueError, match="not finite"):
        read(model, samples)


def test_sample_without_tokens_is_refused(model):
    with pytest.raises(ValueError, match="without tokens"):
        read(model, [sample([], [])])
