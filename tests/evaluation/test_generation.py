import logging
import warnings

import numpy as np
import pytest
import torch
from tiny import EOS, POSITIONS, alike_samples, random_samples, sample, tiny_language_model
from transformers import GenerationConfig

from fedhds.evaluation.generation import generate
from fedhds.tuning.local import TuningOptions, tune
from fedhds.types import Silent

QUIET = Silent()


def greedy(model, prompt, max_new_tokens):
    """Decode token by token, reading the whole sequence again each time."""
    tokens = list(prompt)
    for _ in range(min(max_new_tokens, POSITIONS - len(prompt))):
        with torch.no_grad():
            token = model.model.eval()(torch.tensor([tokens])).logits[0, -1].argmax().item()
        if token == EOS:
            break
        tokens.append(token)
    return model.tokenizer.decode(tokens[len(prompt) :], skip_special_tokens=True).strip()


def prompts(count=6, longest=12):
    return [one.prompt for one in random_samples(count, longest=longest)]


def learned(texts):
    """Train a model to answer the first prompts with ``texts``."""
    model = tiny_language_model(dropout=0.0)
    tokens = [model.tokenizer(text).input_ids for text in texts]
    pairs = [sample(p, [*t, EOS]) for p, t in zip(prompts(len(texts)), tokens, strict=True)]
    options = TuningOptions(lr=0.02, epochs=60, batch_size=len(pairs))
    tune(model, pairs, np.ones(len(pairs), np.float32), options, 0, 0, 1, QUIET)
    return model


def test_equals_decoding_token_by_token(any_model):
    expected = [greedy(any_model, prompt, 8) for prompt in prompts()]
    assert generate(any_model, prompts(), 8, 4, QUIET) == expected


@pytest.mark.parametrize("batch_size", [1, 4, 6])
def test_prompts_that_begin_alike_give_the_same_answers(any_model, batch_size):
    alike = [one.prompt for one in alike_samples()]
    expected = [greedy(any_model, prompt, 8) for prompt in alike]
    assert generate(any_model, alike, 8, batch_size, QUIET) == expected


def test_answers_that_have_ended_take_no_more_part():
    model, rows = learned(["a", "Yes, of course", "12 + 3", "no", "a b", "x"]), []
    model.base.register_forward_hook(lambda _, args, output: rows.append(len(args[0])))
    generate(model, prompts(), 30, 6, QUIET)
    assert rows[0] == 6
    assert rows[-1] < 3
    assert rows == sorted(rows, reverse=True)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 6])
def test_a_trained_model_answers_and_stops_at_any_batch_size(batch_size):
    texts = ["a", "Yes, of course", "12 + 3", "no", "a b", "x"]
    model = learned(texts)
    answers = generate(model, prompts(), 30, batch_size, QUIET)
    assert answers == [greedy(model, prompt, 30) for prompt in prompts()]
    assert sum(a == t for a, t in zip(answers, texts, strict=True)) >= 4


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "opt"])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_never_goes_beyond_the_models_positions(architecture, batch_size):
    model = tiny_language_model(architecture)
    long = [[5 + i % 80 for i in range(n)] for n in (POSITIONS, POSITIONS - 1, 60, 60, 50, 3)]
    expected = [greedy(model, prompt, 10) for prompt in long]
    assert generate(model, long, 10, batch_size, QUIET) == expected
    assert expected[0] == ""


def test_a_prompt_beyond_the_positions_is_refused(model):
    with pytest.raises(ValueError, match="65 tokens is longer than the model's 64"):
        generate(model, [[5] * 65], 4, 1, QUIET)


def test_ignores_what_the_models_folder_says_about_sampling(model, caplog):
    expected = generate(model, prompts(), 8, 3, QUIET)
    own = GenerationConfig(
        do_sample=True, temperature=5.0, top_p=0.9, repetition_penalty=9.0, max_length=5
    )
    model.base.generation_config = own
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        assert generate(model, prompts(), 8, 3, QUIET) == expected
    assert model.base.generation_config is own
    assert not caplog.records


def test_the_models_own_end_counts_too(model):
    free = generate(model, prompts(), 8, 3, QUIET)
    text = max(free, key=len)
    end = model.tokenizer(text[1]).input_ids[0]
    model.base.generation_config.eos_token_id = [EOS, end]
    cut = generate(model, prompts(), 8, 3, QUIET)[free.index(text)]
    assert cut == text[: text.index(text[1])].strip()


def test_stops_once_all_answers_have_ended():
    model, calls = learned(["a", "b"]), []
    model.base.register_forward_hook(lambda *_: calls.append(1))
    assert generate(model, prompts(2), 30, 2, QUIET) == ["a", "b"]
    assert len(calls) == 2  # one for the letter, one for EOS


def test_a_tokenizer_without_padding_gives_the_same(model):
    expected = generate(model, prompts(), 8, 1, QUIET)
    model.tokenizer.pad_token = None
    assert model.filler == EOS
    assert generate(model, prompts(), 8, 4, QUIET) == expected


def test_restores_training_mode(model):
    model.model.train()
    generate(model, prompts(2), 2, 2, QUIET)
    assert model.model.training


def test_of_no_prompts_is_empty(model):
    assert generate(model, [], 4, 2, QUIET) == []
