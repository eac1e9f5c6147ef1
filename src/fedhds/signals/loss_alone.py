"""The mean negative log likelihood of a sample's response by itself, without its prompt.

Source: as of `loss_with_prompt`, the direct answer score of arXiv 2308.12032.
Deviations: the response's first token counts as well, after BOS (or EOS, where the tokenizer
has no BOS), so that both losses are of the same tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fedhds.models import LanguageModel
from fedhds.signals._losses import mean_losses, without_prompt
from fedhds.types import Progress, Sample


def compute(
    model: LanguageModel, samples: Sequence[Sample], batch_size: int, progress: Progress
) -> NDArray[np.float32]:
    """Read the mean loss of each response alone (parameters, result and errors as with prompt)."""
    alone = [without_prompt(sample) for sample in samples]
    return mean_losses(model, alone, batch_size, progress, "losses alone")
