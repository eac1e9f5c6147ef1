"""The two losses of a response, with its prompt and alone, against transformers' own."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from tiny import BOS, EOS, POSITIONS, sample, tiny_language_model

from fedhds.models import LanguageModel
from fedhds.signals import compute
from fedhds.types import Silent

QUIET = Silent()
# windows, ALiBi, a convolution, byte-pair models without BOS of their own, experts
KINDS = ["llama", "mistral-window", "gpt-neo-window", "gpt2", "bloom", "lfm2", "opt", "mixtral"]


def both(model, samples, batch_size=3):
    names = ("loss_with_prompt", "loss_alone")
    return [compute(name, model, samples, batch_size, QUIET) for name in names]


def transformers_own(model, before, response):
    tokens = torch.tensor([[*before, *response]])
    labels = tokens.clone()
    labels[0, : len(before)] = -100
    with torch.no_grad():
        return model.model.eval()(tokens, labels=labels).loss.item()


def without_bos(model):
    """The same model with a tokenizer like Qwen's: EOS alone."""
    tokenizer = model.tokenizer
    tokenizer.bos_token = None
    return LanguageModel(model.model, tokenizer, model.device)


@pytest.mark.parametrize("architecture", KINDS)
def test_equal_the_losses_that_transformers_gives_one_by_one(architecture, samples):
    model = tiny_language_model(architecture)
    with_prompt, alone = both(model, samples)
    for one, given, by_itself in zip(samples, with_prompt, alone, strict=True):
        expected = transformers_own(model, one.prompt, one.response)
        assert given == pytest.approx(expected, abs=1e-5, rel=1e-5)
        expected = transformers_own(model, [BOS], one.response)
        assert by_itself == pytest.approx(expected, abs=1e-5, rel=1e-5)


def test_without_its_instruction_a_response_stands_behind_the_rest_of_the_prompt(samples):
    model, bare = tiny_language_model(), (BOS, 7, 8)
    given = [dataclasses.replace(one, uninstructed=bare) for one in samples]
    found = compute("loss_uninstructed", model, given, 3, QUIET)
    expected = [transformers_own(model, bare, one.response) for one in samples]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_where_prompts_have_no_layout_a_response_stands_alone(samples):
    model = tiny_language_model()
    found, alone = (
        compute(n, model, samples, 3, QUIET) for n in ("loss_uninstructed", "loss_alone")
    )
    np.testing.assert_array_equal(found, alone)


def test_without_bos_a_response_alone_stands_after_eos(samples):
    model = without_bos(tiny_language_model("gpt2"))
    _, alone = both(model, samples)
    expected = [transformers_own(model, [EOS], one.response) for one in samples]
    np.testing.assert_allclose(alone, expected, rtol=1e-5)


def test_bos_without_an_embedding_is_not_read(samples):
    model = tiny_language_model()
    model.tokenizer.add_special_tokens({"bos_token": "<begin>"})  # token 101 of 101
    assert np.array_equal(both(model, samples)[1], both(without_bos(model), samples)[1])


@pytest.mark.parametrize("batch_size", [2, 3, 7])
def test_do_not_depend_on_the_batch(model, samples, batch_size):
    for found, alone in zip(both(model, samples, batch_size), both(model, samples, 1), strict=True):
        np.testing.assert_allclose(found, alone, rtol=1e-5)


def test_are_one_float32_a_sample(model, samples):
    for held in (samples, []):
        for found in both(model, held):
            assert (found.dtype, found.shape) == (np.float32, (len(held),))


def test_response_of_equal_logits_loses_the_vocabulary_with_and_without_a_prompt(model, samples):
    torch.nn.init.zeros_(model.base.lm_head.weight)
    # every token has probability 1 / 101, so both means are ln 101 and IRA is 0
    np.testing.assert_allclose(both(model, samples), np.log(101), rtol=1e-6)


def test_response_that_was_cut_short_counts_the_tokens_it_has(model):
    # cut by max_length: no EOS; the mean is over two tokens, not three
    (found,), _ = both(model, [sample([5, 6], [7, 8])])
    assert found == pytest.approx(transformers_own(model, [5, 6], [7, 8]), rel=1e-5)


def test_without_any_prompt_both_are_the_same_and_keep_within_the_positions(model):
    full = sample([], [7] * POSITIONS)  # with BOS it would be one token too long
    with_prompt, alone = both(model, [full])
    expected = transformers_own(model, [BOS], full.response[:-1])
    assert with_prompt == alone == pytest.approx(expected, rel=1e-5)


def test_sample_without_a_response_has_the_loss_of_a_guess(model, samples):
    held = [dataclasses.replace(samples[0], response=()), *samples[1:]]
    for found, whole in zip(both(model, held), both(model, samples), strict=True):
        assert found[0] == pytest.approx(math.log(101))
        np.testing.assert_allclose(found[1:], whole[1:], rtol=1e-5)


@pytest.mark.parametrize("name", ["loss_with_prompt", "loss_alone", "loss_uninstructed"])
def test_losses_that_are_not_finite_are_refused(model, samples, name):
    torch.nn.init.constant_(model.base.lm_head.weight, torch.inf)
    with pytest.raises(ValueError, match="losses are not finite"):
        compute(name, model, samples, 2, QUIET)


def test_logits_of_prompts_are_not_computed(model):
    seen = []
    model.base.lm_head.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[1]))
    both(model, [sample([5] * 20, [6, 7, EOS])])
    # the three that predict the response, and the last, which predicts nothing
    assert seen == [4, 4]
