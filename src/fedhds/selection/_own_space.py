"""A space of one client's own, for methods that compare its samples with each other alone."""

from __future__ import annotations

from collections.abc import Sequence

from fedhds.selection._finite import check_finite
from fedhds.selection._shared_space import moments, place, project
from fedhds.types import Array

DIMENSIONS = 256
"""That states are projected to; angles are kept to about a sixteenth."""


def own_space(mean_states: Array, seed: int = 0, spans: Sequence[int] = (0, 1)) -> Array:
    """Place samples by what their prompts and responses are about, centred on their own mean.

    ``mean_states`` is the signal, (n_samples, 2, n_layers, width), ``seed`` the projection's;
    ``spans`` are prompt (0), response (1) or both, which then count alike.
    Returns rows of unit length, float32 (n_samples, `DIMENSIONS`), or of zeros where a sample is
    no different from the mean; raises ValueError if a state is not finite.
    """
    check_finite("mean states", mean_states)
    projected = project([mean_states[:, span] for span in spans], DIMENSIONS, seed)
    return place(projected, moments(projected, second=False), [1 / len(spans)] * len(spans))
