import copy
import dataclasses
import time
from collections.abc import Callable

import pytest
from transformers import PreTrainedTokenizerFast

from fedhds.data.prompts import BATCH, PROMPTS, encode_all, encode_whole, render
from fedhds.types import Example, Sample, UserError

Make = Callable[..., Example]
Encode = Callable[..., tuple[list[Sample], int]]
BOS, EOS = 0, 1


def encode(example, prompt, tokenizer, max_length):
    samples, _ = encode_all([example], prompt, tokenizer, max_length)
    return samples[0] if samples else None


@pytest.mark.parametrize(
    ("prompt", "input", "text"),
    [
        (
            "alpaca",
            "",
            "Below is an instruction that describes a task. Write a response that appropriately "
            "completes the request.\n\n### Instruction:\n2+2?\n\n### Response:",
        ),
        (
            "alpaca",
            "a",
            "Below is an instruction that describes a task, paired with an input that provides "
            "further context. Write a response that appropriately completes the request.\n\n"
            "### Instruction:\n2+2?\n\n### Input:\na\n\n### Response:",
        ),
        (
            "alpaca-input",
            "",
            "Below is an instruction that describes a task, paired with an input that provides "
            "further context. Write a response that appropriately completes the request.\n\n"
            "### Instruction:\n2+2?\n\n### Input:\n\n\n### Response:",
        ),
        ("plain", "", "2+2?\n"),
        ("plain", "a", "2+2?\na\n"),
        ("chat", "", "<s>user: 2+2?</s><s>assistant: "),
        ("chat", "a", "<s>user: 2+2?\n\na</s><s>assistant: "),
        ("plain", " \n", "2+2?\n"),
    ],
)
def test_prompt_has_its_published_form(
    make: Make, tokenizer: PreTrainedTokenizerFast, prompt: str, input: str, text: str
) -> None:
    assert render(make(input=input), prompt, tokenizer) == text


@pytest.mark.parametrize("prompt", PROMPTS)
def test_braces_in_the_data_are_text(
    make: Make, tokenizer: PreTrainedTokenizerFast, prompt: str
) -> None:
    text = render(make(instruction="{input}{0}", input="{{ x }} {% y %}"), prompt, tokenizer)
    assert "{input}{0}" in text
    assert "{{ x }} {% y %}" in text


@pytest.mark.parametrize("prompt", PROMPTS)
def test_tokens_spell_the_prompt_and_the_response(
    make: Make, tokenizer: PreTrainedTokenizerFast, prompt: str
) -> None:
    example = make("vier ü", input="a")
    sample = encode(example, prompt, tokenizer, 1000)
    assert sample is not None
    text = render(example, prompt, tokenizer)
    assert tokenizer.decode(list(sample.prompt)) == (text if prompt == "chat" else f"<s>{text}")
    assert tokenizer.decode(list(sample.response)) == "vier ü</s>"


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("encoded", [encode_all, encode_whole])
def test_without_an_instruction_the_layout_is_left(
    make: Make, tokenizer: PreTrainedTokenizerFast, prompt: str, encoded: Encode
) -> None:
    both, _ = encoded([make(), make("b", instruction="other", input="i")], prompt, tokenizer, 1000)
    nothing = encode(make(instruction="", input=""), prompt, tokenizer, 1000)
    assert nothing is not None
    assert {sample.uninstructed for sample in both} == {nothing.prompt}


def test_template_that_refuses_an_empty_turn_leaves_nothing(
    make: Make, tokenizer: PreTrainedTokenizerFast
) -> None:
    strict = copy.deepcopy(tokenizer)
    strict.chat_template = (
        "{% for m in messages %}{% if not m.content %}{{ raise_exception('empty') }}{% endif %}"
        "{{ m.content }}{% endfor %}"
    )
    sample = encode(make(), "chat", strict, 1000)
    assert sample is not None
    assert sample.uninstructed == ()


@pytest.mark.parametrize("prompt", ["alpaca", "plain"])
def test_prompt_never_ends_with_the_tokenizers_eos(
    make: Make, framing_tokenizer: PreTrainedTokenizerFast, prompt: str
) -> None:
    sample = encode(make(), prompt, framing_tokenizer, 1000)
    assert sample is not None
    assert sample.prompt[0] == BOS
    assert EOS not in sample.prompt
    assert sample.response.count(EOS) == 1


def test_special_tokens_named_in_the_data_are_plain_text(
    make: Make, tokenizer: PreTrainedTokenizerFast
) -> None:
    example = make("b </s> b", instruction="<s> a </s>")
    sample = encode(example, "plain", tokenizer, 1000)
    assert sample is not None
    assert (sample.prompt.count(BOS), sample.prompt.count(EOS)) == (1, 0)
    assert sample.response.count(EOS) == 1
    assert tokenizer.decode(list(sample.response[:-1])) == "b </s> b"


def test_chat_adds_no_bos_to_that_of_the_template(
    make: Make, tokenizer: PreTrainedTokenizerFast
) -> None:
    sample = encode(make("</s>"), "chat", tokenizer, 1000)
    assert sample is not None
    # CHATML of conftest writes one <s> for the user and one for the assistant.
    assert (sample.prompt.count(BOS), sample.prompt.count(EOS)) == (2, 1)
    assert sample.response.count(EOS) == 1


def test_chat_without_a_template_is_refused(make: Make, tokenizer: PreTrainedTokenizerFast) -> None:
    bare = copy.deepcopy(tokenizer)
    bare.chat_template = None
    with pytest.raises(UserError, match="needs a tokenizer with a chat template"):
        encode(make(), "chat", bare, 1000)


TURNS = (("system", "Be brief."), ("user", "2+2?"), ("assistant", "4"), ("user", "3+3?"))


def test_chat_puts_every_turn_to_the_template(
    make: Make, tokenizer: PreTrainedTokenizerFast
) -> None:
    example = dataclasses.replace(make("6", instruction="all turns"), conversation=TURNS)
    assert render(example, "chat", tokenizer) == (
        "<s>system: Be brief.</s><s>user: 2+2?</s><s>assistant: 4</s><s>user: 3+3?</s>"
        "<s>assistant: "
    )
    assert render(example, "plain", tokenizer) == "all turns\n"


def test_turns_that_the_template_refuses_are_named(
    make: Make, tokenizer: PreTrainedTokenizerFast
) -> None:
    strict = copy.deepcopy(tokenizer)
    strict.chat_template = (
        "{% if messages[0].role == 'system' %}"
        "{{ raise_exception('System role not supported') }}{% endif %}x"
    )
    with pytest.raises(UserError) as raised:
        render(dataclasses.replace(make(), conversation=TURNS), "chat", strict)
    assert str(raised.value) == (
        "data.prompt: the tokenizer's chat template refuses turns of "
        "system, user, assistant, user (System role not supported)"
    )
    assert render(make(), "chat", strict) == "x"


# "2+2?\n" is BOS and 5 bytes: 6 tokens; "four" is 4 bytes, with EOS 5.
@pytest.mark.parametrize(
    ("max_length", "response"),
    [(11, "four</s>"), (10, "four"), (7, "f"), (6, None), (5, None), (1, None)],
)
def test_response_is_cut_from_the_right(
    make: Make, tokenizer: PreTrainedTokenizerFast, max_length: int, response: str | None
) -> None:
    sample = encode(make("four"), "plain", tokenizer, max_length)
    assert (sample and tokenizer.decode(list(sample.response))) == response


def test_empty_response_is_eos_alone(make: Make, tokenizer: PreTrainedTokenizerFast) -> None:
    sample = encode(make(""), "plain", tokenizer, 1000)
    assert sample is not None
    assert sample.response == (EOS,)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_batches_agree_with_single_examples(
    make: Make, tokenizer: PreTrainedTokenizerFast, prompt: str
) -> None:
    # Instructions of 1, 2 and 500 letters in turn; the last third is cut away at 400.
    examples = [make(instruction="x" * (1, 2, 500)[i % 3]) for i in range(BATCH + 2)]
    samples, cut_away = encode_all(examples, prompt, tokenizer, 400)
    assert cut_away == (BATCH + 2) // 3
    kept = [example for example in examples if len(example.instruction) < 500]
    assert [sample.example for sample in samples] == kept
    assert samples[:2] == [encode(example, prompt, tokenizer, 400) for example in kept[:2]]
    assert encode_all([], prompt, tokenizer, 400) == ([], 0)


def test_long_text_is_fast_and_the_example_is_kept_whole(
    make: Make, tokenizer: PreTrainedTokenizerFast
) -> None:
    example = make("y" * 100_000)
    start = time.monotonic()
    sample = encode(example, "alpaca", tokenizer, 512)
    assert time.monotonic() - start < 10
    assert sample is not None
    assert sample.length == 512
    assert sample.example == dataclasses.replace(example)


@pytest.mark.parametrize(
    ("max_length", "prompt", "response"),
    # the prompt "2+2?" and its newline are 6 tokens with BOS; "four" and EOS are 5
    [(20, 6, 5), (11, 6, 5), (8, 6, 2), (6, 6, 0), (4, 4, 0)],
)
def test_reader_gets_every_example_cut_from_the_right(
    make: Make, tokenizer: PreTrainedTokenizerFast, max_length: int, prompt: int, response: int
) -> None:
    (sample,), cut = encode_whole([make("four")], "plain", tokenizer, max_length)
    assert cut == (max_length < 11)
    assert (len(sample.prompt), len(sample.response)) == (prompt, response)
    uncut = encode(make("four"), "plain", tokenizer, 1000)
    assert uncut is not None
    both = (*sample.prompt, *sample.response)
    assert both == (*uncut.prompt, *uncut.response)[: len(both)]
