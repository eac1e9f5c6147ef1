"""The probability of yes, beside what the model itself says of one sample at a time."""

import numpy as np
import pytest
import torch
from scorers import CHAT, SAMPLES, judged, scorer
from tiny import EOS, PAD

from fedhds.signals import compute
from fedhds.signals._questions import SLOT
from fedhds.signals.yes_probability import QUESTION
from fedhds.types import Silent


def yes(model, samples=SAMPLES, batch_size=3):
    return compute("yes_probability", model, samples, batch_size, Silent())


def written(sample):
    """The question, as the tokenizers below join it without a seam."""
    example = sample.example
    prompt = "\n\n".join(filter(None, (example.instruction, example.input)))
    return QUESTION.text.replace(SLOT, prompt, 1).replace(SLOT, example.output, 1)


def ids(model, text):
    return model.tokenizer(text, add_special_tokens=False)["input_ids"]


def by_hand(model, tokens, spellings):
    """Add the probabilities of tokens after a sequence, of a causal model."""
    with torch.no_grad():
        likely = model.model(torch.tensor([tokens])).logits[0, -1].softmax(0)
    return float(likely[model.tokenizer.convert_tokens_to_ids(spellings)].sum())


@pytest.mark.parametrize(
    ("tokenizer", "end", "spellings"),
    [
        ("bytes", "\nVerdict:", ["yes", "Yes", "Ġyes", "ĠYes"]),
        ("characters", "\nVerdict: ", ["y", "Y"]),
        ("words", "\nVerdict:", ["yes", "Yes"]),
    ],
)
def test_causal_models_say_yes_after_the_label(tokenizer, end, spellings):
    model = scorer(tokenizer)
    expected = [by_hand(model, ids(model, written(s) + end), spellings) for s in SAMPLES]
    np.testing.assert_allclose(yes(model), expected, rtol=1e-4)


def test_chat_models_say_yes_in_their_own_turn():
    model = scorer("chat")
    around = CHAT.split("{{ m['content'] }}")[0].rpartition("}")[2] + "{}<|end|><|assistant|>"
    texts = [around.format(written(sample)) + "Verdict: " for sample in SAMPLES]
    expected = [by_hand(model, ids(model, text), ["y", "Y"]) for text in texts]
    np.testing.assert_allclose(yes(model), expected, rtol=1e-4)


def test_sentencepiece_models_read_bos_and_each_text_by_itself():
    model = scorer("pieces")
    before, between, after = QUESTION.text.split(SLOT)
    sample = judged("Say yes.", "Yes")
    texts = (before, "Say yes.", between, "Yes", after + "\nVerdict:")
    tokens = [model.tokenizer.bos_token_id, *(i for text in texts for i in ids(model, text))]
    expected = by_hand(model, tokens, ["yes", "Yes", "▁yes", "▁Yes"])
    assert yes(model, [sample])[0] == pytest.approx(expected, rel=1e-4)


def test_encoders_with_decoders_say_yes_at_once():
    model = scorer("words", "t5")
    for sample, found in zip(SAMPLES, yes(model), strict=True):
        with torch.no_grad():
            tokens = torch.tensor([ids(model, written(sample))])
            likely = model.model(tokens, decoder_input_ids=torch.tensor([[PAD]])).logits[0, 0]
        both = model.tokenizer.convert_tokens_to_ids(["yes", "Yes"])
        assert found == pytest.approx(float(likely.softmax(0)[both].sum()), rel=1e-4)


def test_t5_reads_eos_behind_the_question():
    model, seen = scorer("t5", "t5"), []
    model.base.encoder.register_forward_pre_hook(
        lambda module, args, given: seen.extend(given["input_ids"].tolist()), with_kwargs=True
    )
    yes(model, batch_size=1)
    assert [tokens.index(EOS) for tokens in seen] == [len(tokens) - 1 for tokens in seen]


def test_is_a_probability_of_each_sample():
    found = yes(scorer())
    assert (found.dtype, found.shape) == (np.float32, (4,))
    assert ((found > 0) & (found < 1)).all()
    assert yes(scorer(), []).shape == (0,)


def test_certain_model_says_one_and_never_more():
    model = scorer("words")
    head = model.base.get_output_embeddings()
    head.bias = torch.nn.Parameter(torch.zeros(head.out_features))
    head.bias.data[model.tokenizer.convert_tokens_to_ids("yes")] = 1e4
    assert (yes(model) == 1).all()
