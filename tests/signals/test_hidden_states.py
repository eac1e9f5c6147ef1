import dataclasses

import numpy as np
import pytest
import torch
from tiny import (
    ARCHITECTURES,
    alike_samples,
    sample,
    tiny_language_model,
    tiny_model,
    tiny_tokenizer,
)

from fedhds.batching import pad
from fedhds.models import LanguageModel
from fedhds.signals.hidden_states import compute
from fedhds.types import Sample, Silent

QUIET = Silent()


def one_by_one(model: LanguageModel, samples: list[Sample]) -> np.ndarray:
    """Read transformers' own states of the last token, one unpadded sample at a time."""
    rows = []
    for one in samples:
        tokens = torch.tensor([[*one.prompt, *one.response]])
        with torch.no_grad():
            output = model.model.eval()(tokens, output_hidden_states=True)
        rows.append([state[0, -1].float().numpy() for state in output.hidden_states])
    return np.array(rows, np.float32)


@pytest.mark.parametrize("architecture", [a for a in ARCHITECTURES if a != "opt-projected"])
def test_equals_transformers_own_states(architecture, samples):
    model = tiny_language_model(architecture)
    found = compute(model, samples, 3, QUIET)
    np.testing.assert_allclose(found, one_by_one(model, samples), atol=1e-4)


def test_leaves_a_final_projection_out(samples):
    # OPT-350M's layers are 16 wide here and its last projection 8; the last layer has no norm.
    model = tiny_language_model("opt-projected")
    found = compute(model, samples, 3, QUIET)
    layer = {}
    last = model.base.get_decoder().layers[-1]
    handle = last.register_forward_hook(lambda module, args, output: layer.update(output=output))
    tokens = torch.tensor([[*samples[0].prompt, *samples[0].response]])
    with torch.no_grad():
        model.base.eval()(tokens)
    handle.remove()
    np.testing.assert_allclose(found[0, -1], layer["output"][0, -1], atol=1e-4)


def test_does_not_depend_on_the_batch(any_model, samples):
    alone = compute(any_model, samples, 1, QUIET)
    np.testing.assert_allclose(compute(any_model, samples, 4, QUIET), alone, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_reads_narrow_models_as_float32(dtype, samples):
    wide = compute(tiny_language_model(), samples, 2, QUIET)
    model = tiny_language_model()
    model.model.to(dtype)
    narrow = compute(model, samples, 2, QUIET)
    assert narrow.dtype == np.float32
    # bfloat16 keeps 8 bits: two layers of sums stay within some percent of the largest value
    np.testing.assert_allclose(narrow, wide, atol=0.05 * np.abs(wide).max())


def test_reads_a_model_without_an_adapter(samples):
    model = LanguageModel(tiny_model(), tiny_tokenizer(), torch.device("cpu"))
    np.testing.assert_allclose(
        compute(model, samples, 3, QUIET), one_by_one(model, samples), atol=1e-4
    )


def test_sees_the_adapter(model, samples):
    found = compute(model, samples, 3, QUIET)
    with model.model.disable_adapter():
        without = compute(model, samples, 3, QUIET)
    assert np.abs(found[:, 1:] - without[:, 1:]).max() > 0.01


def test_of_no_samples_has_the_same_axes(model):
    assert compute(model, [], 3, QUIET).shape == (0, 3, 16)


def test_restores_training_mode_and_leaves_no_hook(model, samples):
    model.model.train()
    compute(model, samples, 3, QUIET)
    assert model.model.training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.base.modules())


def test_computes_no_logits(model, samples):
    model.base.lm_head.register_forward_pre_hook(lambda *_: pytest.fail("the head ran"))
    compute(model, samples, 7, QUIET)


# LFM2's convolutions keep a state that is no keys and values: there nothing is shared
@pytest.mark.parametrize(
    "architecture", [a for a in ARCHITECTURES if a not in ("opt-projected", "lfm2")]
)
def test_what_all_samples_begin_with_is_read_once(architecture):
    model, alike, seen = tiny_language_model(architecture), alike_samples(), []
    expected = one_by_one(model, alike)
    model.base.get_input_embeddings().register_forward_hook(
        lambda module, args, output: seen.append(args[0].numel())
    )
    np.testing.assert_allclose(compute(model, alike, 3, QUIET), expected, atol=1e-4)
    assert seen[0] == 20  # the beginning by itself; then batches without it
    assert sum(seen) < sum(one.length for one in alike)


def test_a_sample_that_is_all_beginning_keeps_a_token_of_its_own(model):
    alike = [sample(list(range(5, 30)), []), sample(list(range(5, 30)), [7])]
    np.testing.assert_allclose(compute(model, alike, 2, QUIET), one_by_one(model, alike), atol=1e-4)


def test_refuses_states_that_are_not_finite(model, samples):
    torch.nn.init.constant_(model.base.get_input_embeddings().weight, float("inf"))
    with pytest.raises(ValueError, match="not finite"):
        compute(model, samples, 3, QUIET)


def test_refuses_a_sample_without_tokens(model):
    with pytest.raises(ValueError, match="without tokens"):
        compute(model, [sample([], [])], 1, QUIET)


def test_refuses_a_model_without_known_layers(model, samples):
    base = tiny_model()
    base.config.num_hidden_layers = 5
    with pytest.raises(ValueError, match="no list of 5 layers"):
        compute(dataclasses.replace(model, model=base), samples, 1, QUIET)


def test_padding_goes_where_it_is_asked():
    batch = pad([[5, 6, 7], [8]], 0, torch.device("cpu"), left=True)
    assert batch.tokens.tolist() == [[5, 6, 7], [0, 0, 8]]
    assert batch.mask.tolist() == [[1, 1, 1], [0, 0, 1]]
