"""How well a sample's response agrees with those of samples that ask for much the same."""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from fedhds.selection._own_space import own_space
from fedhds.types import Array

NEIGHBOURS = 10
"""How many samples with the nearest prompts a response is compared with."""

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
    prompts, responses = (own_space(states, seed, [span]) for span in (0, 1))
    count = len(states)
    if count < 3:
        return np.zeros(count)
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
