from collections.abc import Callable

import pytest
from tokenizers import Tokenizer, decoders, pre_tokenizers, processors
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from fedhds.types import Example

CHATML = (
    "{% for m in messages %}<s>{{ m.role }}: {{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant: {% endif %}"
)


def byte_tokenizer(frame: str = "<s> $A") -> PreTrainedTokenizerFast:
    """One token a byte; ``<s>`` is token 0 and ``</s>`` token 1; ``frame`` is put around a text."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(["<s>", "</s>", *alphabet])}
    tokenizer = Tokenizer(BPE(vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=frame, special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", chat_template=CHATML
    )


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    return byte_tokenizer()


@pytest.fixture(scope="session")
def framing_tokenizer() -> PreTrainedTokenizerFast:
    """Build a tokenizer that would also end every text with EOS."""
    return byte_tokenizer("<s> $A </s>")


@pytest.fixture(scope="session")
def make() -> Callable[..., Example]:
    """Build an example with one reference, whatever is not given being short."""

    def build(
        output: str = "4",
        *,
        instruction: str = "2+2?",
        input: str = "",
        task: str = "sums",
        **row: object,
    ) -> Example:
        return Example(instruction, input, output, task, (output,), row)

    return build
