import dataclasses
import warnings

import numpy as np
import pytest
import torch
from tiny import EOS, random_samples, sample, tiny_language_model

from fedhds.losses import predicted, response_losses
from fedhds.models import adapter_arrays
from fedhds.rng import generator
from fedhds.tuning.local import TuningOptions, TuningResult, tune
from fedhds.types import Silent

ONES = np.ones(7, np.float32)
BASE = TuningOptions(lr=0.01)


def run(model, samples, weights=ONES, seed=1, client=2, round=1, **changes):
    """Tune and return the result with the adapter's new arrays."""
    options = dataclasses.replace(BASE, **changes)
    result = tune(model, samples, weights, options, seed, client, round, Silent())
    return result, adapter_arrays(model.model)


def trained(samples, *, dropout=0.0, architecture="llama", **settings):
    return run(tiny_language_model(architecture, dropout), samples, **settings)[1]


def close(left, right, **tolerance):
    for name in left:
        np.testing.assert_allclose(left[name], right[name], **tolerance)


def labelled_loss(model, batch):
    """Compute transformers' own loss of a right-padded batch: the mean over its response tokens."""
    longest = max(one.length for one in batch)
    tokens = [[*s.prompt, *s.response] + [0] * (longest - s.length) for s in batch]
    labels = [
        [-100] * len(s.prompt) + list(s.response) + [-100] * (longest - s.length) for s in batch
    ]
    mask = [[1] * s.length + [0] * (longest - s.length) for s in batch]
    tensors = (torch.tensor(values) for values in (tokens, mask, labels))
    return model.model(**dict(zip(("input_ids", "attention_mask", "labels"), tensors, strict=True)))


def test_loss_equals_transformers(any_model, samples):
    expected = labelled_loss(any_model, samples).loss.item()
    result, _ = run(any_model, samples, batch_size=7)
    assert result.loss == pytest.approx(expected, rel=1e-5)


def test_one_step_of_sgd_follows_transformers_gradient(samples):
    model = tiny_language_model(dropout=0.0)
    labelled_loss(model, samples).loss.backward()
    expected = {
        name: (p - 0.01 * p.grad).detach().numpy().copy()
        for name, p in model.model.named_parameters()
        if p.requires_grad
    }
    model.model.zero_grad()
    _, arrays = run(model, samples, optimizer="sgd", batch_size=7)
    close(arrays, expected, atol=1e-6)


@pytest.mark.parametrize(("batch_size", "accumulation"), [(1, 7), (2, 4), (3, 3)])
def test_accumulation_equals_one_large_batch(samples, batch_size, accumulation):
    weights = np.linspace(0.5, 2, 7, dtype=np.float32)
    split = trained(
        samples, weights=weights, optimizer="sgd", batch_size=batch_size, accumulation=accumulation
    )
    whole = trained(samples, weights=weights, optimizer="sgd", batch_size=7)
    close(split, whole, atol=1e-6)


def test_an_integer_weight_counts_as_copies(samples):
    # (2 l_0 + l_1) / (2 t_0 + t_1) is the mean over {0, 0, 1}
    weighted = trained(samples[:2], weights=np.float32([2, 1]), optimizer="sgd", batch_size=2)
    copied = trained(
        [samples[0], *samples[:2]], weights=np.ones(3, np.float32), optimizer="sgd", batch_size=3
    )
    close(weighted, copied, atol=1e-6)


def test_a_weight_of_zero_leaves_a_sample_out(samples):
    weights = np.float32([0, 1])
    settings = {"weights": weights, "optimizer": "sgd", "batch_size": 2}
    result, zero = run(tiny_language_model("llama", 0.0), samples[:2], **settings)
    assert result.samples == 1
    alone = trained(samples[1:2], weights=np.float32([1]), optimizer="sgd")
    close(zero, alone, atol=1e-6)


def test_the_prompt_is_not_learned(model):
    silent = sample([5, 6, 7], [])
    result, arrays = run(model, [silent], np.float32([1]))
    assert result == TuningResult(0.0, 0, 0, 1, 0)
    close(arrays, adapter_arrays(tiny_language_model().model), rtol=0)


@pytest.mark.parametrize(
    "change",
    [{}, {"batch_size": 3}, {"accumulation": 2}, {"optimizer": "adamw", "clip": 0.1}],
)
def test_same_arguments_give_the_same_bits(samples, change):
    first, second = (trained(samples, dropout=0.3, epochs=2, **change) for _ in range(2))
    close(first, second, rtol=0)


@pytest.mark.parametrize("change", [{"seed": 9}, {"client": 9}, {"round": 9}])
def test_order_and_dropout_depend_on_seed_client_and_round(samples, change):
    first, second = trained(samples, dropout=0.3), trained(samples, dropout=0.3, **change)
    assert any((first[name] != second[name]).any() for name in first)


def test_touches_no_global_random_state(model, samples):
    before = torch.random.get_rng_state()
    run(model, samples)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("options", "steps", "passes"),
    [
        ({}, 7, 7),
        ({"epochs": 3}, 21, 21),
        ({"batch_size": 2}, 4, 7),  # 2 + 2 + 2 + 1
        ({"batch_size": 2, "accumulation": 2, "epochs": 2}, 4, 14),  # 4 + 3, twice
        ({"steps": 5}, 5, 5),
        ({"steps": 9, "batch_size": 4}, 9, 32),  # 4 + 3, four times, and 4
    ],
)
def test_counts_steps_and_passes(model, samples, options, steps, passes):
    result, _ = run(model, samples, **options)
    assert (result.steps, result.passes, result.skipped) == (steps, passes, 0)


@pytest.mark.parametrize(
    ("options", "distinct"),
    [
        ({"epochs": 3}, 7),
        ({"steps": 1}, 1),
        ({"steps": 2, "batch_size": 2}, 4),
        ({"steps": 30}, 7),
    ],
)
def test_counts_the_samples_that_it_learnt_from(model, samples, options, distinct):
    result, _ = run(model, samples, **options)
    assert result.samples == distinct


def test_a_sample_without_anything_to_predict_is_not_learnt_from(model, samples):
    mute = dataclasses.replace(samples[0], prompt=(), response=samples[0].response[:1])
    assert predicted(mute) == 0
    result, _ = run(model, [mute, samples[1]], ONES[:2], batch_size=2)
    assert (result.steps, result.samples) == (1, 1)


def test_every_epoch_is_shuffled_anew(model, samples, monkeypatch):
    seen = []

    def spy(model, batch):
        seen.extend(samples.index(one) for one in batch)
        return response_losses(model, batch)

    monkeypatch.setattr("fedhds.tuning.local.response_losses", spy)
    run(model, samples, epochs=2)
    rng = generator(1, "tuning-order", 2, 1)
    assert seen == [*rng.permutation(7), *rng.permutation(7)]


def test_the_learning_rate_decays_with_the_round(samples):
    # one sample, no dropout: nothing is left that depends on the round but the rate
    one, weights = samples[:1], np.ones(1, np.float32)
    third = trained(one, weights=weights, round=3, lr_decay=0.5)
    first = trained(one, weights=weights, lr=0.01 * 0.5**2)
    close(third, first, rtol=0)


def test_clip_bounds_the_step_of_sgd(samples):
    before = adapter_arrays(tiny_language_model().model)
    after = trained(samples, optimizer="sgd", batch_size=7, lr=1.0, clip=1e-3)
    squares = sum(((after[name] - before[name]) ** 2).sum() for name in before)
    assert np.sqrt(squares) == pytest.approx(1e-3, rel=1e-2)


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gpt-neox", "opt"])
def test_gradient_checkpointing_changes_nothing(architecture, samples):
    plain, saving = (
        trained(samples, architecture=architecture, dropout=0.2, gradient_checkpointing=wanted)
        for wanted in (False, True)
    )
    close(plain, saving, atol=1e-6)


def test_gradient_checkpointing_is_switched_off_again(model, samples):
    model.model.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(model, samples, gradient_checkpointing=True)
        assert not any(getattr(m, "gradient_checkpointing", False) for m in model.base.modules())
    assert not model.model.training


def test_a_loss_that_is_not_finite_is_skipped(model, samples, monkeypatch):
    def spoiled(model, batch):
        factor = float("nan") if batch[0] is samples[3] else 1.0
        return factor * response_losses(model, batch)

    monkeypatch.setattr("fedhds.tuning.local.response_losses", spoiled)
    result, arrays = run(model, samples)
    assert (result.steps, result.passes, result.skipped, result.samples) == (6, 7, 1, 6)
    assert np.isfinite(result.loss)
    assert all(np.isfinite(array).all() for array in arrays.values())


def test_a_gradient_that_is_not_finite_is_skipped(model, samples):
    before = adapter_arrays(model.model)
    parameter = next(p for p in model.model.parameters() if p.requires_grad)
    parameter.register_hook(lambda gradient: gradient * float("inf"))
    result, after = run(model, samples)
    assert (result.steps, result.loss, result.skipped) == (0, 0.0, 7)
    close(before, after, rtol=0)


@pytest.mark.parametrize("training", [False, True])
def test_dropout_is_on_whatever_the_mode_before(samples, training):
    model = tiny_language_model(dropout=0.5)
    model.model.train(training)
    _, arrays = run(model, samples, steps=1)
    close(arrays, trained(samples, dropout=0.5, steps=1), rtol=0)
    plain = trained(samples, dropout=0.0, steps=1)
    assert any((arrays[name] != plain[name]).any() for name in plain)
    assert model.model.training is training


def test_learns_a_tiny_coreset(model, samples):
    before = run(tiny_language_model(dropout=0), samples, steps=1, batch_size=7)[0].loss
    run(model, samples, epochs=30)
    after = run(model, samples, steps=1, batch_size=7)[0].loss
    assert after < 0.5 * before


def test_trains_a_bfloat16_base(samples):
    model = tiny_language_model()
    for parameter in model.model.parameters():
        if not parameter.requires_grad:
            parameter.data = parameter.data.bfloat16()
    result, _ = run(model, samples)
    assert (result.steps, result.skipped) == (7, 0)


def test_an_empty_coreset_trains_nothing(model):
    assert run(model, [], np.ones(0, np.float32))[0] == TuningResult(0.0, 0, 0, 0, 0)


@pytest.mark.parametrize("weights", [[1], [1, np.nan], [1, -1]])
def test_weights_must_fit_the_samples(model, weights):
    with pytest.raises(ValueError, match="2 finite weights"):
        run(model, random_samples(2), np.float32(weights))


def test_needs_something_to_train(model, samples):
    model.model.requires_grad_(False)
    with pytest.raises(ValueError, match="no trainable parameter"):
        run(model, samples)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lr", 0),
        ("lr", float("nan")),
        ("lr_decay", -1),
        ("epochs", 0),
        ("steps", 0),
        ("batch_size", 0),
        ("accumulation", 0),
        ("clip", 0),
    ],
)
def test_options_that_make_no_sense_are_refused(name, value):
    with pytest.raises(ValueError, match=f"^{name} must"):
        TuningOptions(**{name: value})


def test_a_response_without_prompt_is_learned_from_its_second_token():
    model, bare = tiny_language_model(dropout=0.0), [sample([], [7, 8, EOS])]
    expected = labelled_loss(model, bare).loss.item()
    assert run(model, bare, np.float32([1]))[0].loss == pytest.approx(expected, rel=1e-5)
