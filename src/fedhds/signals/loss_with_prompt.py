"""The mean negative log likelihood of a sample's response, given its prompt.

Source: Li et al., "From Quantity to Quality: Boosting LLM Performance with Self-Guided Data
Selection for Instruction Tuning", arXiv 2308.12032 (NAACL 2024), the conditioned answer score;
with the loss without the instruction it makes IFD there, and IRA in Du et al., "FedDQC: Data
Quality Control in Federated Instruction-tuning of Large Language Models", arXiv 2410.11540 (ACL
Findings 2025): IRA = loss alone - loss with prompt = -ln IFD.
Deviations from FedDQC's published code: real batches; prompt and response are put together as
tokens and never tokenised anew, so that the border lies where training has it; the paper's
sums over tokens are means, as in the code.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fedhds.models import LanguageModel
from fedhds.signals._losses import mean_losses
from fedhds.types import Progress, Sample


def compute(
    model: LanguageModel, samples: Sequence[Sample], batch_size: int, progress: Progress
) -> NDArray[np.float32]:
    """Read the mean loss of each response after its prompt (parameters as in `hidden_states`).

    Returns
    -------
    ndarray of float32, shape (n_samples,)
        Natural logarithms a token, the response's EOS included (see `mean_losses`).

    Raises
    ------
    ValueError
        If a loss is not finite.
    """
    return mean_losses(model, samples, batch_size, progress, "losses with prompt")
