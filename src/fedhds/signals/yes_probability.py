"""How likely a judging model is to say that a sample is worth learning from.

Source: Sachdeva et al., "How to Train Data-Efficient LLMs", arXiv 2402.09668 (2024), Ask-LLM.
Deviations: asked of instruction and response about fine-tuning, in our own words, and not of a
web page about pre-training; causal models are asked, too, by their chat template where they have
one, and their reply is begun with a label; all spellings of yes count that the tokenizer
tells from those of no; fences and options within a sample are changed into what is none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fedhds.models import LanguageModel
from fedhds.signals._questions import SLOT, Question, ask, frame, texts_of
from fedhds.types import Progress, Sample

QUESTION = Question(
    f"""\
Here is an example that a language model could be fine-tuned on, an instruction and the response \
to it, between fences.

### Instruction
{SLOT}
### Response
{SLOT}
###

Would a model that learns from this example become better at following instructions? It would if \
the response does well what the instruction asks for, is correctly written, and shows something \
worth knowing. It would not if the example is broken, wrong or empty, or in any way harmful, \
racist or sexist.

Options:
- yes
- no""",
    "Verdict:",
    (("yes", "Yes"), ("no", "No")),
)


def compute(
    model: LanguageModel, samples: Sequence[Sample], batch_size: int, progress: Progress
) -> NDArray[np.float32]:
    """Read the probability of yes as the first token of the answer (errors as in `ask`).

    Parameters
    ----------
    model : LanguageModel
        Causal, or an encoder with a decoder. It reads the samples' texts, not their tokens.
    batch_size : int
        Samples per forward pass at most; it does not change the numbers beyond rounding.

    Returns
    -------
    ndarray of float32, shape (n_samples,)
        From 0 to 1, among the whole vocabulary.
    """
    texts = [texts_of(sample.example) for sample in samples]
    found = ask(model, QUESTION, texts, batch_size, progress, "probability of yes")
    likely: NDArray[np.float32] = np.exp(found[:, 0].clip(max=0)).astype(np.float32)
    return likely


def check(model: LanguageModel) -> None:
    """Refuse a model that cannot be asked (UserError, as `frame` does)."""
    frame(model, QUESTION)
