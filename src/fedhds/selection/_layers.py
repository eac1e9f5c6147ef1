"""Which of a model's layers are read."""

from __future__ import annotations

from typing import Literal

import numpy as np

from fedhds.types import Array

Layers = Literal["all", "last"] | list[int]
"""0 is the embeddings, -1 the last layer."""


def check_layers(wanted: Layers, layers: int) -> None:
    """Refuse a layer that a model of ``layers`` layers does not have (ValueError)."""
    for layer in [] if isinstance(wanted, str) else wanted:
        if not -layers - 1 <= layer <= layers:
            raise ValueError(f"layers: there is no layer {layer} in a model of {layers}")


def of_layers(states: Array, wanted: Layers) -> Array:
    """Take some layers of ``states``, shape (..., n_layers + 1, width)."""
    if wanted == "all":
        return states
    chosen: Array = states[..., [-1] if wanted == "last" else wanted, :]
    return chosen


def pooled(states: Array) -> Array:
    """Lay each sample's states, shape (n_samples, ...), end to end: (n_samples, n_features)."""
    features: Array = states.reshape(len(states), int(np.prod(states.shape[1:])))
    return features
