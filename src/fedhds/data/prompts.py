"""Prompts: from an example to the text a model reads, and on to tokens.

``alpaca`` is the pair of templates of Stanford Alpaca (Taori et al., 2023), which FedHDS
uses for Dolly; it ends in "Response:" without a newline. ``alpaca-input`` is always the one
with an input, as in FedHDS's Natural Instructions. ``plain`` is the bare texts, ``chat`` the
tokenizer's own chat template, with the turns of a conversation or one message of the user.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from fedhds.types import Example, Sample, UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_WITH_INPUT = (
    "Below is an instruction that describes a task, paired with an input that provides "
    "further context. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:"
)
_TEMPLATES = {
    "alpaca": (
        _WITH_INPUT,
        "Below is an instruction that describes a task. Write a response that appropriately "
        "completes the request.\n\n### Instruction:\n{instruction}\n\n### Response:",
    ),
    "alpaca-input": (_WITH_INPUT, _WITH_INPUT),
    "chat": ("{instruction}\n\n{input}", "{instruction}"),
    "plain": ("{instruction}\n{input}\n", "{instruction}\n"),
}
"""Each prompt with an input and without; for ``chat`` the message within the template."""

PROMPTS: tuple[str, ...] = tuple(_TEMPLATES)
"""The names of the prompts."""

BATCH = 1000
"""Texts tokenised at once: the tokenizer's offsets for more cost memory and, so, time."""


def render(example: Example, prompt: str, tokenizer: PreTrainedTokenizerBase) -> str:
    """Write the prompt of an example as text, up to where its response begins.

    Raises
    ------
    UserError
        If ``prompt`` is ``chat`` and the tokenizer has no chat template, or one that refuses
        the turns (some know no system role).
    """
    with_input, without_input = _TEMPLATES[prompt]
    template = with_input if example.input.strip() else without_input
    # Only the template's braces are read by format; those in the values stay as they are.
    text = template.format(instruction=example.instruction, input=example.input)
    if prompt != "chat":
        return text
    return render_chat(example.conversation or (("user", text),), tokenizer)


def render_chat(
    turns: Sequence[tuple[str, str]], tokenizer: PreTrainedTokenizerBase, key: str = "data.prompt"
) -> str:
    """Put turns to the tokenizer's template, up to where the assistant begins to speak.

    Raises
    ------
    UserError
        If there is no template, or one that refuses the turns; it names ``key``.
    """
    from jinja2 import TemplateError  # what transformers writes its templates with

    if tokenizer.chat_template is None:
        raise UserError(f"{key}: 'chat' needs a tokenizer with a chat template; this has none")
    messages = [{"role": role, "content": content} for role, content in turns]
    try:
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    except TemplateError as error:
        roles = ", ".join(role for role, _ in turns)
        raise UserError(
            f"{key}: the tokenizer's chat template refuses turns of {roles} ({error})"
        ) from error
    return str(text)


def encode_all(
    examples: Sequence[Example], prompt: str, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> tuple[list[Sample], int]:
    """Tokenise examples: the prompt, then the response and EOS, cut from the right.

    Names of special tokens within the data ("</s>", say) become plain text, not control
    tokens. The exception is the prompt of ``chat``: its template writes special tokens as
    text, so such names in an instruction or an input cannot be told apart there.

    Parameters
    ----------
    examples : sequence of Example
    prompt : str
        One of `PROMPTS`.
    tokenizer : PreTrainedTokenizerBase
        Adds its own BOS to the prompt, if it has one; with ``chat`` the template does.
    max_length : int
        The most tokens of prompt and response together. A response cut short has no EOS.

    Returns
    -------
    samples : list of Sample
        In the order of ``examples``.
    cut_away : int
        How many examples were left out as no token of their response fits.
    """
    bare = _uninstructed(prompt, tokenizer)
    samples = [
        Sample(example, head, tail[: max_length - len(head)], bare)
        for example, head, tail in _tokenised(examples, prompt, tokenizer)
        if len(head) < max_length
    ]
    return samples, len(examples) - len(samples)


def encode_whole(
    examples: Sequence[Example], prompt: str, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> tuple[list[Sample], int]:
    """Tokenise every example for a model that only reads: cut from the right, none left out.

    Parameters and errors as in `encode_all`.

    Returns
    -------
    samples : list of Sample
        One for each example, in their order.
    cut : int
        How many were longer than ``max_length``.
    """
    samples, cut = [], 0
    bare = _uninstructed(prompt, tokenizer)
    for example, head, tail in _tokenised(examples, prompt, tokenizer):
        room = max(0, max_length - len(head))
        samples.append(Sample(example, head[:max_length], tail[:room], bare))
        cut += len(head) + len(tail) > max_length
    return samples, cut


def _uninstructed(prompt: str, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """Return the tokens of a prompt without any instruction, or none if a template refuses it."""
    try:
        text = render(Example("", "", "", "", ()), prompt, tokenizer)
    except UserError:
        return ()
    return tuple(prompt_tokens([text], prompt, tokenizer)[0])


def _tokenised(
    examples: Sequence[Example], prompt: str, tokenizer: PreTrainedTokenizerBase
) -> Iterator[tuple[Example, tuple[int, ...], tuple[int, ...]]]:
    """Yield each example with the tokens of its prompt, and of its response and EOS."""
    for start in range(0, len(examples), BATCH):
        batch = examples[start : start + BATCH]
        prompts = prompt_tokens([render(e, prompt, tokenizer) for e in batch], prompt, tokenizer)
        responses = tokens_of([e.output for e in batch], tokenizer, special=False, plain=True)
        for example, head, tail in zip(batch, prompts, responses, strict=True):
            yield example, tuple(head), (*tail, tokenizer.eos_token_id)


def prompt_tokens(
    texts: list[str], prompt: str, tokenizer: PreTrainedTokenizerBase
) -> list[list[int]]:
    """Tokenise rendered prompts, never ending them with an EOS of the tokenizer's."""
    if prompt == "chat":
        return tokens_of(texts, tokenizer, special=False, plain=False)
    tokens = tokens_of(texts, tokenizer, special=True, plain=True)
    eos = tokenizer.eos_token_id
    return [ids[:-1] if ids[-1:] == [eos] else ids for ids in tokens]


def tokens_of(
    texts: list[str], tokenizer: PreTrainedTokenizerBase, *, special: bool, plain: bool
) -> list[list[int]]:
    """Tokenise texts, with the tokenizer's ``special`` tokens around them or without.

    ``plain`` reads the names of special tokens within the texts as plain text.
    """
    encoding = tokenizer(
        texts,
        add_special_tokens=special,
        split_special_tokens=plain,
        return_attention_mask=False,
        verbose=False,  # the warning about long texts: they are cut here
    )
    tokens: list[list[int]] = encoding["input_ids"]
    return tokens
