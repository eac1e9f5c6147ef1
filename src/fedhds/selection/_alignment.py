"""How much a sample's prompt tells of its response."""

from __future__ import annotations

import numpy as np

from fedhds.selection._finite import check_finite
from fedhds.types import Array, Signals


def ira(signals: Signals) -> Array:
    """Return the instruction-response alignment of FedDQC (arXiv 2410.11540), per token.

    Reads ``loss_alone`` and ``loss_with_prompt``, each a mean over the response's tokens.

    Returns
    -------
    ndarray of float64, shape (n_samples,)
        By how much the prompt lowers the loss of the response, in natural logarithms: -ln IFD.
        A wrong answer is no likelier with its prompt than without.

    Raises
    ------
    ValueError
        If a loss is not finite.
    """
    alone, prompted = (signals.arrays[name] for name in ("loss_alone", "loss_with_prompt"))
    for losses in (alone, prompted):
        check_finite("losses", losses)
    aligned: Array = alone.astype(np.float64) - prompted
    return aligned
