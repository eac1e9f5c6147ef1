"""The mean of what the LoRA factors make together, factored again: not the mean of each factor.

Source: FlexLoRA (Bai et al., NeurIPS 2024, arXiv 2402.11505)

The mean of products ``B A`` is not the product of mean factors, which is what FedAvg takes.
Deviations: all clients have the same rank here (the paper's may differ, its main point); the
products are never made, as their singular values follow from the small factors; parameters
that are no LoRA factors are averaged as by FedAvg.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fedhds.aggregation._mean import weighted_mean
from fedhds.types import Aggregation, Array, Arrays

INNER, OUTER = ".lora_A.", ".lora_B."
"""What peft calls the factors: A of shape (rank, inputs), B of shape (outputs, rank)."""


@dataclass(frozen=True)
class FlexLoRA(Aggregation):
    """Weight the products by coreset size and keep their largest singular directions."""

    injected: ClassVar[bool] = True

    def aggregate(self, trained: Iterable[tuple[Arrays, int]]) -> dict[str, Array]:
        """Return factors of the weighted mean product: ``B = U S``, ``A = V^T``.

        Notes
        -----
        The singular values of ``sum_k w_k B_k A_k = [w_1 B_1 ...] [A_1; ...]`` are those of
        a square matrix of ``n_adapters * rank``, after a QR decomposition of either side.
        """
        held = list(trained)
        merged = weighted_mean(held)
        total = sum(samples for _, samples in held)
        for inner in merged if len(held) > 1 else ():
            outer = inner.replace(INNER, OUTER)
            if INNER in inner and outer in merged and merged[inner].ndim == 2:
                left = np.hstack([np.float64(n / total) * a[outer] for a, n in held])
                right = np.vstack([adapter[inner].astype(np.float64) for adapter, _ in held])
                merged[outer], merged[inner] = _factored(left, right, len(merged[inner]))
        return merged


def _factored(left: Array, right: Array, rank: int) -> tuple[Array, Array]:
    """Return the best factors of ``rank`` of ``left @ right``, in float32."""
    directions_left, small_left = np.linalg.qr(left)
    directions_right, small_right = np.linalg.qr(right.T)
    inner_left, values, inner_right = np.linalg.svd(small_left @ small_right.T)
    count = min(rank, len(values))  # a layer narrower than the rank has no more directions
    outer = np.zeros((len(left), rank), np.float32)
    inner = np.zeros((rank, right.shape[1]), np.float32)
    outer[:, :count] = directions_left @ (inner_left[:, :count] * values[:count])
    inner[:count] = inner_right[:count] @ directions_right.T
    return outer, inner
