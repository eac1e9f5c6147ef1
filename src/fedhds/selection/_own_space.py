"""A client's samples in a space of its own: nothing has to be agreed on with others."""

from __future__ import annotations

from fedhds.selection._finite import check_finite
from fedhds.selection._shared_space import moments, place, project
from fedhds.types import Array

DIMENSIONS = 256
"""That each span's states are projected to; angles are kept to about a sixteenth."""


def own_space(mean_states: Array, seed: int = 0) -> Array:
    """Place samples by the states of prompt and response, half each, centred on their own mean.

    ``mean_states`` has the shape (n_samples, 2, n_layers, width), as `signals.mean_states`
    gives it; ``seed`` is of the random projection. Returns float32 rows of unit length, or of
    zeros for samples that are all alike, shape (n_samples, `DIMENSIONS`); ValueError where a
    state is not finite.
    """
    check_finite("mean states", mean_states)
    projected = project([mean_states[:, 0], mean_states[:, 1]], DIMENSIONS, seed)
    return place(projected, moments(projected, second=False), (0.5, 0.5))
