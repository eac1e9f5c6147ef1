"""How complex a sample's instruction is and how good its response, as a judging model rates them.

Source: Liu et al., "What Makes Good Data for Alignment? A Comprehensive Study of Automatic Data
Selection in Instruction Tuning", arXiv 2312.15685 (ICLR 2024), the two scores of DEITA.
Deviations: one scorer for both, of whatever family, asked in our own words; DEITA tunes two
LLaMA models, each on a prompt of its own. Its code looks up six token ids of LLaMA and counts
what it does not find as 3; here the digits are found in each tokenizer or the scorer is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fedhds.models import LanguageModel
from fedhds.signals._questions import SLOT, Question, ask, frame, texts_of
from fedhds.types import Progress, Sample

RATINGS = tuple(range(1, 7))
_DIGITS = tuple((str(rating),) for rating in RATINGS)
_OPTIONS = "\n".join(("Options:", *(f"- {rating}" for rating in RATINGS)))

COMPLEXITY = Question(
    f"""\
Here is an instruction to a language model, between fences.

### Instruction
{SLOT}
###

How complex is it? Rate it from 1, where the answer takes no thought, to 6, where it takes much \
knowledge, many steps of reasoning, or care for many requirements at once.

{_OPTIONS}""",
    "Rating:",
    _DIGITS,
)
QUALITY = Question(
    f"""\
Here is an instruction to a language model and the response to it, between fences.

### Instruction
{SLOT}
### Response
{SLOT}
###

How good is the response? Rate it from 1, where it is wrong, empty or beside the point, to 6, \
where it does all that the instruction asks for, is right, clear and as detailed as it should be.

{_OPTIONS}""",
    "Rating:",
    _DIGITS,
)


def compute(
    model: LanguageModel, samples: Sequence[Sample], batch_size: int, progress: Progress
) -> NDArray[np.float32]:
    """Rate each sample twice (parameters as of `yes_probability`, errors as in `ask`).

    Returns
    -------
    ndarray of float32, shape (n_samples, 2)
        First the complexity of the instruction, then the quality of the response: the expected
        rating, from 1 to 6, among the six digits as the first token of the answer.
    """
    both = [texts_of(sample.example) for sample in samples]
    instructions = [(instruction,) for instruction, _ in both]
    complexity = ask(model, COMPLEXITY, instructions, batch_size, progress, "complexity")
    quality = ask(model, QUALITY, both, batch_size, progress, "quality")
    return np.stack([_expected(complexity), _expected(quality)], axis=1).astype(np.float32)


def _expected(logarithms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean rating, shape (n_samples,), where only ratings are counted."""
    shares = np.exp(logarithms - logarithms.max(axis=1, keepdims=True))
    expected: NDArray[np.float64] = shares @ np.array(RATINGS) / shares.sum(axis=1)
    return expected


def check(model: LanguageModel) -> None:
    """Refuse a model that cannot be asked (UserError, as `frame` does)."""
    for question in (COMPLEXITY, QUALITY):
        frame(model, question)
