"""FedHDS without its first level: the server groups all samples at once. An ablation, not private.

Source: FedHDS (Qin et al., Findings of ACL 2025, arXiv 2410.10926), "GlobalSelect"

Every client brings its samples down to its own plane, as in `fedhds`, and sends all of its
points; the server groups these by HDBSCAN and takes the sample nearest to each group's centre.
`coreset-cent` lays all samples out in one plane; here they come from planes of their own, which
is what the comparison of FedHDS's levels is about.

Deviations from the paper, those of `coreset-cent`; the ablation is described there in one sentence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedhds.selection._finite import check_finite
from fedhds.selection._fusion import Fusion, fuse
from fedhds.selection._layers import Layers, check_layers, of_layers, pooled
from fedhds.selection.coreset_cent import CoresetCent, nearest_to_centres
from fedhds.types import Array, Arrays, Memory, Signals


@dataclass(frozen=True)
class GlobalSelect(CoresetCent):
    """Group all clients' points on the server, each client's from a plane of its own.

    Attributes
    ----------
    layers, fusion, dimensions
        As of `fedhds`.
    """

    layers: Layers = "all"
    fusion: Fusion = "tsne"
    dimensions: int = 2

    def __post_init__(self) -> None:
        """Check the options' ranges."""
        if self.dimensions < 1:
            raise ValueError("dimensions must be at least 1")
        if not self.layers:
            raise ValueError("layers must name at least one layer")

    def unused(self) -> tuple[str, ...]:
        """Name the dimensions where nothing is fused."""
        changed = self.dimensions != GlobalSelect.dimensions
        return ("dimensions",) if changed and self.fusion == "none" else ()

    def check_layers(self, layers: int) -> None:
        """Refuse a layer that a model of ``layers`` layers does not have."""
        check_layers(self.layers, layers)

    def send(
        self, signals: Signals, received: Arrays, memory: Memory, rng: np.random.Generator
    ) -> tuple[dict[str, Array], Memory]:
        """Send ``features`` (samples, dimensions), the client's own fused points (client)."""
        features = pooled(of_layers(signals.arrays["hidden_states"], self.layers))
        check_finite("hidden states", features)
        return {"features": fuse(features, self.fusion, self.dimensions, rng)}, {}

    def represent(
        self, features: Array, budget: int | None, rng: np.random.Generator
    ) -> tuple[Array, int]:
        """Choose the samples nearest to the centres of all points' groups (server)."""
        return nearest_to_centres(features, budget, rng)
