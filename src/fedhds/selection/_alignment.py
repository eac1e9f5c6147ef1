"""How much a sample's prompt tells of its response."""

from __future__ import annotations

import numpy as np

from fedhds.selection._finite import check_finite
from fedhds.types import Array


def ira(prompted: Array, bare: Array) -> Array:
    """Return the instruction-response alignment of FedDQC (arXiv 2410.11540), per token.

    Parameters
    ----------
    prompted, bare : ndarray, shape (n_samples,)
        The mean loss of each response with its instruction and without.

    Returns
    -------
    ndarray of float64, shape (n_samples,)
        By how much the instruction lowers the loss of the response, in natural logarithms: -ln
        IFD. A wrong answer is no likelier with its instruction than without.

    Raises
    ------
    ValueError
        If a loss is not finite.
    """
    for losses in (prompted, bare):
        check_finite("losses", losses)
    aligned: Array = bare.astype(np.float64) - prompted
    return aligned
