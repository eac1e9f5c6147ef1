"""A byte a number, and one scale for each line of an array.

Source: LLM.int8() (Dettmers et al., NeurIPS 2022, arXiv 2208.07339), its absmax quantization

A line's numbers are multiples of its scale, 1/127 of the largest of them; so each is at most
half a scale away. A line without a number above 1.5e-36 is taken for zeros.

Deviations: lines lie along the longer side of a matrix, so that each of LoRA's directions has
one scale in both factors and scales take next to no room; other arrays than matrices are one
line (1-d) or matrices by their first axis. A scale is rounded up to 16 significant bits, so
that its products with whole numbers to 127 are exact in float32: decoded numbers are encoded
as the same bytes again. No outliers are treated apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fedhds.types import Array, Arrays, ArraySpec, Codec, Schema

SCALE = ":scale"
"""What is added to an array's name for its scales; no parameter's name has a colon."""

LEVELS = 127
"""Whole numbers on either side of zero."""

SMALLEST_SCALE = 2.0**-126
"""Below, float32 has fewer digits, which rounding a scale up would be seen in."""

LARGEST_SCALE = 2.0**121
"""127 times as much is still finite in float32."""


@dataclass(frozen=True)
class Int8(Codec):
    """Count in steps of the line's scale."""

    def schema(self, adapter: Arrays) -> Schema:
        """Ask for int8 of the adapter's names and shapes, and for the scales, which are finite."""
        numbers = {
            name: ArraySpec("int8", array.shape, low=-LEVELS, high=LEVELS)
            for name, array in adapter.items()
        }
        scales = {
            name + SCALE: ArraySpec("float32", _lines(array).shape[:1], low=0, high=LARGEST_SCALE)
            for name, array in adapter.items()
        }
        return numbers | scales

    def encode(self, arrays: Arrays) -> dict[str, Array]:
        """Round each number to whole steps, even ones where two are as near."""
        encoded = {}
        for name, array in arrays.items():
            lines = _lines(array)
            scales = _scales(lines)
            steps = np.zeros(lines.shape)
            usable = np.isfinite(scales) & (scales > 0)  # other scales are refused, or of zeros
            np.divide(lines, scales[:, None], out=steps, where=usable[:, None])
            encoded[name] = np.empty(array.shape, np.int8)
            _lines(encoded[name])[...] = np.rint(steps)
            encoded[name + SCALE] = scales
        return encoded

    def decode(self, encoded: Arrays) -> dict[str, Array]:
        """Multiply the steps by their scales, exactly."""
        decoded = {}
        for name in (name for name in encoded if not name.endswith(SCALE)):
            decoded[name] = np.empty(encoded[name].shape, np.float32)
            scales = encoded[name + SCALE][:, None]
            _lines(decoded[name])[...] = _lines(encoded[name]) * scales
        return decoded


def _lines(array: Array) -> Array:
    """View an array as few long lines, shape (lines, length)."""
    if array.ndim < 2:
        return array.reshape(1, array.size)
    matrix = array.reshape(array.shape[0], math.prod(array.shape[1:]))
    return matrix.T if matrix.shape[0] > matrix.shape[1] else matrix


def _scales(lines: Array) -> Array:
    """Return each line's largest magnitude over 127, its significand rounded up to 16 bits."""
    largest = np.abs(lines).max(axis=1, initial=0)
    with np.errstate(invalid="ignore"):  # of what is no number, which stays that
        scales: Array = (largest.astype(np.float64) / LEVELS).astype(np.float32)
    finite = np.isfinite(scales)
    bits = scales.view(np.uint32)
    bits[finite] = bits[finite] + 0xFF & 0xFFFFFF00
    scales[scales < SMALLEST_SCALE] = 0
    return scales
