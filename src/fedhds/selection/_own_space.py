"""A space of a client's own, in which its samples are compared with each other alone."""

from __future__ import annotations

from fedhds.selection._shared_space import moments, place, project
from fedhds.types import Array

DIMENSIONS = 256
"""That states are projected to; angles are kept to about a sixteenth."""


def own_space(mean_states: Array, seed: int = 0) -> Array:
    """Place samples about their own mean, by prompt and response alike.

    Parameters
    ----------
    mean_states : ndarray, shape (n_samples, 2, n_layers, width)
        Finite: means over the prompt's and over the response's tokens (`signals.mean_states`).
    seed : int
        Of the random projection.

    Returns
    -------
    ndarray of float32, shape (n_samples, `DIMENSIONS`)
        Rows of unit length; zeros where all samples are alike.
    """
    projected = project([mean_states[:, span] for span in (0, 1)], DIMENSIONS, seed)
    return place(projected, moments(projected, second=False), (0.5, 0.5))
