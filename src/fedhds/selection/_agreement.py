"""How well a sample's response agrees with those of samples that ask for much the same."""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from fedhds.selection._finite import check_finite
from fedhds.selection._shared_space import moments, place, project
from fedhds.types import Array

NEIGHBOURS = 10
"""How many samples with the nearest prompts a response is compared with."""

DIMENSIONS = 256
"""That states are projected to; angles are kept to about a sixteenth."""

BLOCK = 512
"""Samples that are compared with all others at a time."""


def agreement(states: Array, seed: int) -> Array:
    """Compare each response with those of the nearest prompts, and with all.

    Parameters
    ----------
    states : ndarray, shape (n_samples, 2, n_layers, width)
        Means over the prompt's and over the response's tokens (`signals.mean_states`).
    seed : int
        Of the random projection.

    Returns
    -------
    ndarray of float64, shape (n_samples,)
        The mean cosine to the responses of the `NEIGHBOURS` nearest prompts minus that to all
        other responses, both centred on the client's own mean; 0 of fewer than three samples.

    Raises
    ------
    ValueError
        If a state is not finite.
    """
    check_finite("mean states", states)
    count = len(states)
    if count < 3:
        return np.zeros(count)
    prompts, responses = (_centred(states[:, span], seed) for span in (0, 1))
    near = min(NEIGHBOURS, count - 1)
    found = np.empty(count)
    total = responses.sum(axis=0, dtype=np.float64)
    own = np.einsum("nd,nd->n", responses, responses)
    with threadpool_limits(limits=1):
        for start in range(0, count, BLOCK):
            mine = slice(start, start + BLOCK)
            closeness = prompts[mine] @ prompts.T
            here = np.arange(len(closeness))
            closeness[here, start + here] = -np.inf
            nearest = np.argsort(-closeness, axis=1, kind="stable")[:, :near]
            cosines = np.einsum("nd,nkd->nk", responses[mine], responses[nearest])
            others = (responses[mine] @ total - own[mine]) / (count - 1)
            found[mine] = cosines.mean(axis=1) - others
    return found


def _centred(states: Array, seed: int) -> Array:
    """Project states and centre them on their mean: (n_samples, `DIMENSIONS`), unit rows."""
    projected = project([states], DIMENSIONS, seed)
    return place(projected, moments(projected, second=False), (1,))
