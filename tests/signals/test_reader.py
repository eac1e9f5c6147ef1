"""Signals by name, and those of a frozen model that are read once and kept."""

import dataclasses
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from scorers import CHAT, SAMPLES, judged, scorer
from tiny import random_samples, tiny_adapter, tiny_language_model, tiny_model, tiny_tokenizer

from fedhds import registry
from fedhds.adapters.lora import Lora
from fedhds.models import LanguageModel, adapter_arrays, set_adapter_arrays
from fedhds.signals import Reader, _cache, compute, hidden_states
from fedhds.tuning.local import tune
from fedhds.tuning.options import TuningOptions
from fedhds.types import Silent

QUIET = Silent()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDHDS_CACHE", str(tmp_path))
    return tmp_path / "signals"


def proxy(seed=0):
    return LanguageModel(tiny_model(seed=seed), tiny_tokenizer(), torch.device("cpu"))


def reader(model=None, samples=None, batch_size=2, frozen=True):
    held = random_samples(5) if samples is None else samples
    return Reader(model or proxy(), held, batch_size, frozen, QUIET)


def entries(cache):
    return sorted(cache.rglob("*.safetensors"))


def test_signals_are_computed_by_name(model, samples):
    found = compute("hidden_states", model, samples, 2, QUIET)
    np.testing.assert_array_equal(found, hidden_states.compute(model, samples, 2, QUIET))


@pytest.mark.parametrize("name", ["smell", "_cache", ""])
def test_unknown_signal_is_refused(model, samples, name):
    with pytest.raises(ValueError, match=f"unknown signal '{name}'; there are: hidden_states"):
        compute(name, model, samples, 2, QUIET)


def test_first_read_of_a_frozen_model_equals_every_later_one_bit_for_bit(cache):
    first, later = (reader().read("hidden_states") for _ in range(2))
    assert len(entries(cache)) == 1
    assert first.dtype == later.dtype == np.float32
    assert np.array_equal(first, later)


def test_later_reads_do_not_run_the_model():
    first = reader().read("hidden_states")
    silenced = proxy()
    _ = silenced.fingerprint  # it is known before the model is made useless
    silenced.model.forward = silenced.model.model.forward = None
    assert np.array_equal(reader(silenced).read("hidden_states"), first)


def test_numbers_are_rounded_to_half_precision():
    exact = reader(frozen=False).read("hidden_states")
    kept = reader().read("hidden_states")
    # half precision has 11 bits, so a number is off by 2 ** -11 of itself at most
    np.testing.assert_allclose(kept, exact, rtol=2**-11, atol=1e-7)
    assert not np.array_equal(kept, exact)


def test_numbers_too_large_for_half_precision_are_kept_whole():
    large = np.array([[1.0, 70000.0]], np.float32)
    assert np.array_equal(_cache.remembered("large", lambda: large), large)
    assert np.array_equal(_cache.remembered("large", lambda: 0 * large), large)


def test_moving_model_is_read_anew_and_nothing_is_kept(cache):
    moving = tiny_language_model()
    before = reader(moving, frozen=False).read("hidden_states")
    with torch.no_grad():
        for parameter in moving.model.parameters():
            parameter += 0.1
    assert not np.array_equal(reader(moving, frozen=False).read("hidden_states"), before)
    assert not cache.exists()


@pytest.mark.parametrize(
    "other",
    [
        lambda: reader(proxy(seed=1)),
        lambda: reader(samples=random_samples(5, seed=1)),
        lambda: reader(batch_size=3),
        lambda: reader(
            LanguageModel(tiny_model().bfloat16(), tiny_tokenizer(), torch.device("cpu"))
        ),
    ],
    ids=["weights", "samples", "batches", "number type"],
)
def test_whatever_changes_the_numbers_has_an_entry_of_its_own(cache, other):
    reader().read("hidden_states")
    other().read("hidden_states")
    assert len(entries(cache)) == 2


def test_prompt_and_response_are_told_apart(cache):
    # the same tokens, split elsewhere: a signal of the response alone would differ
    one = random_samples(1)[0]
    shifted = dataclasses.replace(
        one, prompt=one.prompt + one.response[:1], response=one.response[1:]
    )
    for each in (one, shifted):
        reader(samples=[each]).read("hidden_states")
    assert len(entries(cache)) == 2


@pytest.mark.parametrize("changed", ["prompt", "uninstructed"])
def test_what_stands_before_a_response_alone_makes_another_entry(cache, changed):
    # as public knowledge in front of the same sample, or another layout of prompts, does
    one = random_samples(1)[0]
    other = dataclasses.replace(one, **{changed: (*getattr(one, changed), 7)})
    for each in (one, other):
        reader(samples=[each]).read("loss_with_prompt")
    assert len(entries(cache)) == 2


def test_texts_of_the_same_tokens_are_told_apart(cache):
    # cut to the model's positions, two texts may have the same tokens and yet other words
    one = random_samples(1)[0]
    other = dataclasses.replace(one, example=dataclasses.replace(one.example, output="the end"))
    found = [reader(samples=[each]).read("words") for each in (one, other)]
    assert [np.count_nonzero(rows) for rows in found] == [0, 2]


def test_texts_that_are_split_elsewhere_are_told_apart(cache):
    # a scorer is asked about each by itself, and the tokens may be those of another model
    for texts in (("a", "b", "c"), ("a\nb", "", "c"), ("a", "", "b\nc")):
        reader(scorer("words"), [judged(texts[0], texts[2], texts[1])]).read("yes_probability")
    assert len(entries(cache)) == 3


def test_mean_states_of_a_frozen_model_are_read_once(cache):
    first = reader().read("mean_states")
    exact = reader(frozen=False).read("mean_states")
    silenced = proxy()
    _ = silenced.fingerprint
    silenced.model.forward = silenced.model.model.forward = None
    assert np.array_equal(reader(silenced).read("mean_states"), first)
    np.testing.assert_allclose(first, exact, rtol=2**-11, atol=1e-7)
    assert len(entries(cache)) == 1


def test_settings_that_weights_do_not_show_change_the_fingerprint():
    other = tiny_model()
    other.config.rope_parameters = {**other.config.rope_parameters, "rope_theta": 5.0}
    model = LanguageModel(other, tiny_tokenizer(), torch.device("cpu"))
    assert model.fingerprint != proxy().fingerprint


@pytest.mark.parametrize("damage", [b"", b"not safetensors", b"\xff" * 100])
def test_broken_entry_is_made_again(cache, damage):
    first = reader().read("hidden_states")
    (entry,) = entries(cache)
    entry.write_bytes(damage)
    assert np.array_equal(reader().read("hidden_states"), first)
    assert entry.stat().st_size > 100


def test_disk_that_is_full_costs_no_result(cache, monkeypatch, caplog):
    expected = reader().read("hidden_states")
    (entry,) = entries(cache)
    entry.unlink()
    monkeypatch.setenv("FEDHDS_CACHE", "/dev/null/nowhere")  # nothing can be written there
    assert np.array_equal(reader().read("hidden_states"), expected)
    assert "cannot be kept" in caplog.text


def test_nobody_else_may_look_into_the_cache(cache):
    reader().read("hidden_states")
    assert cache.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"FEDHDS_CACHE": "/a"}, "/a/signals"),
        ({"FEDHDS_CACHE": "", "XDG_CACHE_HOME": "/b"}, "/b/fedhds/signals"),
        ({"FEDHDS_CACHE": "", "XDG_CACHE_HOME": "", "HOME": "/c"}, "/c/.cache/fedhds/signals"),
    ],
)
def test_cache_is_where_the_environment_says(monkeypatch, environment, expected):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert _cache.folder().as_posix() == expected


KINDS = {kind: tiny_adapter(kind) for kind in registry.names("adapter")}
KINDS["dora"] = Lora(rank=2, dora=True)


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def tuned(request):
    """A model whose adapter was trained for a step."""
    model, held = tiny_language_model(adapter=request.param), random_samples(4)
    before = adapter_arrays(model)
    options = TuningOptions(lr=0.1, steps=1)
    tune(model, held, np.ones(4, np.float32), options, seed=0, client=0, round=1, progress=QUIET)
    after = adapter_arrays(model)
    assert any(not np.array_equal(before[name], after[name]) for name in before)
    return model


def base_of(tuned):
    return LanguageModel(tuned.base, tuned.tokenizer, tuned.device)


@pytest.mark.parametrize("name", ["hidden_states", "mean_states", "loss_with_prompt", "loss_alone"])
def test_base_is_read_as_if_it_had_been_loaded_without_its_adapter(tuned, name, monkeypatch):
    monkeypatch.setattr(_cache, "_rounded", lambda array: array)
    whole = reader(frozen=False).read(name)
    assert np.array_equal(reader(base_of(tuned)).read(name), whole)
    adapted = reader(tuned, frozen=False).read(name)
    assert not np.allclose(adapted, whole, atol=1e-4)


def test_base_has_the_entries_of_the_same_model_without_any_adapter(tuned, cache):
    first = reader().read("hidden_states")
    assert np.array_equal(reader(base_of(tuned)).read("hidden_states"), first)
    assert len(entries(cache)) == 1


def test_second_read_of_the_base_runs_no_model_whatever_became_of_the_adapter(tuned):
    first = reader(base_of(tuned)).read("loss_alone")
    set_adapter_arrays(tuned, {n: a + 1 for n, a in adapter_arrays(tuned).items()})
    tuned.base.forward = tuned.base.get_decoder().forward = None
    assert np.array_equal(reader(base_of(tuned)).read("loss_alone"), first)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("broken", [True, False])
def test_reading_the_base_leaves_the_tuned_model_as_it_was(tuned, training, broken):
    tuned.model.train(training)
    before, names = reader(tuned, frozen=False).read("hidden_states"), trained_names(tuned)
    modes = [module.training for module in tuned.model.modules()]
    held = [dataclasses.replace(random_samples(1)[0], prompt=(), response=())] if broken else None
    with pytest.raises(ValueError, match="without tokens") if broken else nullcontext():
        reader(base_of(tuned), held).read("hidden_states")
    assert [module.training for module in tuned.model.modules()] == modes
    assert trained_names(tuned) == names
    assert np.array_equal(reader(tuned, frozen=False).read("hidden_states"), before)


def trained_names(model):
    return [name for name, p in model.model.named_parameters() if p.requires_grad]


def test_adapter_before_the_prompt_that_is_read_has_entries_of_its_own():
    one, other = (tiny_language_model(adapter=tiny_adapter("prompt-tuning")) for _ in range(2))
    set_adapter_arrays(other, {n: a + 1 for n, a in adapter_arrays(other).items()})
    assert one.fingerprint != other.fingerprint
    assert base_of(one).fingerprint == base_of(other).fingerprint


@pytest.mark.parametrize("name", ["yes_probability", "ratings"])
@pytest.mark.parametrize("architecture", ["llama", "t5"])
def test_scorer_is_read_once_and_few_numbers_are_kept_whole(architecture, name, cache):
    model = scorer("words", architecture)
    exact = reader(model, SAMPLES, frozen=False).read(name)
    for _ in range(2):
        assert np.array_equal(reader(model, SAMPLES).read(name), exact)
    assert len(entries(cache)) == 1


def test_scorer_that_writes_otherwise_has_entries_of_its_own(cache):
    for template in (CHAT, CHAT.replace("<|user|>", "User: ")):
        model = scorer("chat")
        model.tokenizer.chat_template = template
        reader(model, SAMPLES).read("yes_probability")
    assert len(entries(cache)) == 2


def test_one_number_a_sample_is_kept_whole():
    exact = reader(frozen=False).read("loss_with_prompt")
    for _ in range(2):
        assert np.array_equal(reader().read("loss_with_prompt"), exact)


@pytest.mark.parametrize("frozen", [True, False])
def test_texts_are_read_and_never_kept(cache, frozen):
    one = random_samples(1)[0]
    secret = dataclasses.replace(one, example=dataclasses.replace(one.example, output="secret"))
    assert reader(samples=[secret], frozen=frozen).read("text").tolist() == [b"secret"]
    assert not cache.exists()
