"""The expected ratings, beside what the model itself says of one sample at a time."""

import numpy as np
import pytest
import torch
from scorers import SAMPLES, judged, scorer

from fedhds.signals import compute
from fedhds.signals._questions import SLOT
from fedhds.signals.ratings import COMPLEXITY, QUALITY
from fedhds.types import Silent

DIGITS = list("123456")


def rated(model, samples=SAMPLES, batch_size=3):
    return compute("ratings", model, samples, batch_size, Silent())


def by_hand(model, text, begun=None):
    tokens = torch.tensor([model.tokenizer(text, add_special_tokens=False)["input_ids"]])
    with torch.no_grad():
        given = {} if begun is None else {"decoder_input_ids": torch.tensor([begun])}
        logits = model.model(tokens, **given).logits[0, -1]
    # the expectation over a softmax of six logits alone
    shares = logits[model.tokenizer.convert_tokens_to_ids(DIGITS)].softmax(0)
    return float(shares @ torch.arange(1.0, 7.0))


@pytest.mark.parametrize(
    ("tokenizer", "architecture", "end", "begun"),
    [
        ("characters", "llama", "\nRating: ", None),
        ("words", "gpt2", "\nRating:", None),
        ("words", "t5", "", [0]),
    ],
)
def test_ratings_are_expected_ones_among_the_digits(tokenizer, architecture, end, begun):
    model = scorer(tokenizer, architecture)
    samples = [judged("Say 1 or 2", "It is 3"), judged("yes", "no 5 no 6")]
    for sample, (complexity, quality) in zip(samples, rated(model, samples), strict=True):
        asked = sample.example.instruction, sample.example.output
        about_one = COMPLEXITY.text.replace(SLOT, asked[0]) + end
        about_both = QUALITY.text.replace(SLOT, asked[0], 1).replace(SLOT, asked[1]) + end
        assert complexity == pytest.approx(by_hand(model, about_one, begun), abs=1e-4)
        assert quality == pytest.approx(by_hand(model, about_both, begun), abs=1e-4)


def test_complexity_is_of_the_instruction_alone():
    one, other = rated(scorer(), [judged("Say yes.", "yes"), judged("Say yes.", "I will not.")])
    assert one[0] == pytest.approx(other[0], abs=1e-5)
    assert abs(one[1] - other[1]) > 1e-3


@pytest.mark.parametrize("sure", [1, 6])
def test_certain_model_gives_its_rating(sure):
    model = scorer("words")
    head = model.base.get_output_embeddings()
    head.bias = torch.nn.Parameter(torch.zeros(head.out_features))
    head.bias.data[model.tokenizer.convert_tokens_to_ids(str(sure))] = 1e4
    assert (rated(model) == sure).all()


def test_ratings_do_not_hang_on_what_else_the_model_would_say():
    model = scorer("words")
    before = rated(model)
    head = model.base.get_output_embeddings()
    head.bias = torch.nn.Parameter(torch.zeros(head.out_features))
    head.bias.data[model.tokenizer.convert_tokens_to_ids(["yes", ":"])] = 50
    np.testing.assert_allclose(rated(model), before, atol=1e-4)


def test_of_no_samples_have_the_same_axes():
    found = rated(scorer(), [])
    assert (found.dtype, found.shape) == (np.float32, (0, 2))
