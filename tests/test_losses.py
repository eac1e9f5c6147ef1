import numpy as np
import pytest
import torch
from tiny import EOS, sample

from fedhds.losses import losses
from fedhds.types import Silent


def by_hand(model, one):
    """Log probabilities read off the logits of one unpadded sample."""
    tokens = torch.tensor([[*one.prompt, *one.response]])
    with torch.no_grad():
        logarithms = model.model.eval()(tokens).logits.double().log_softmax(-1)[0]
    start = len(one.prompt)
    total = -sum(logarithms[start + i - 1, t].item() for i, t in enumerate(one.response))
    return total, len(one.response)


def test_equals_log_probabilities_read_one_by_one(any_model, samples):
    expected = [by_hand(any_model, one) for one in samples]
    np.testing.assert_allclose(losses(any_model, samples, 3, Silent()), expected, rtol=1e-4)


@pytest.mark.parametrize("batch_size", [2, 3, 7])
def test_does_not_depend_on_the_batch(model, samples, batch_size):
    alone = losses(model, samples, 1, Silent())
    np.testing.assert_allclose(losses(model, samples, batch_size, Silent()), alone, rtol=1e-4)


def test_a_model_of_equal_logits_loses_the_vocabulary(model):
    torch.nn.init.zeros_(model.base.lm_head.weight)
    (row,) = losses(model, [sample([5, 6], [7, 8, EOS])], 1, Silent())
    # every token has probability 1 / 101
    assert row == pytest.approx([3 * np.log(101), 3], rel=1e-6)


def test_works_without_logits_to_keep(model, samples, monkeypatch):
    expected = losses(model, samples, 3, Silent())
    forward = model.base.forward
    monkeypatch.setattr(
        model.base,
        "forward",
        lambda input_ids=None, attention_mask=None, inputs_embeds=None, use_cache=None, **_: (
            forward(input_ids=input_ids, attention_mask=attention_mask)
        ),
    )
    np.testing.assert_allclose(losses(model, samples, 3, Silent()), expected, rtol=1e-6)


def test_computes_logits_from_the_first_response_on(model):
    seen = []
    model.base.lm_head.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[1]))
    losses(model, [sample([5] * 9, [6, EOS]), sample([5] * 8, [6, 7, EOS])], 2, Silent())
    # 11 tokens, of which the eighth predicts the first response
    assert seen == [4]


def test_an_empty_response_counts_nothing(model):
    assert losses(model, [sample([5, 6], [])], 1, Silent()).tolist() == [[0, 0]]


def test_of_no_samples_is_empty(model):
    assert losses(model, [], 1, Silent()).shape == (0, 2)
