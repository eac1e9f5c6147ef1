"""The mean negative log likelihood of a sample's response behind a prompt without an instruction.

Source: as of `loss_with_prompt`, the direct answer score of arXiv 2308.12032.
Deviations: the response does not stand alone, as for `loss_alone`, but behind what the layout of
prompts brings along. A model that was tuned on prompts has seldom seen a text that begins
otherwise and is at a loss before one, which would hide what the instruction tells of the response
(`docs/log.md` has the measurement).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fedhds.models import LanguageModel
from fedhds.signals._losses import mean_losses
from fedhds.types import Progress, Sample


def compute(
    model: LanguageModel, samples: Sequence[Sample], batch_size: int, progress: Progress
) -> NDArray[np.float32]:
    """Read the mean loss of each response (parameters, result and errors as with prompt)."""
    bare = [replace(sample, prompt=sample.uninstructed) for sample in samples]
    return mean_losses(model, bare, batch_size, progress, "losses without instructions")
