"""The upper half of each number: two bytes, the range of float32, 8 significant bits.

Source: bfloat16 (Kalamkar et al., 2019, arXiv 1905.12322), rounded to the nearest even

A rounded number is at most 2^-8 of itself away (half a step of 2^-7); below 1.2e-38, where
steps are 2^-133, at most 2^-134.

Deviations: NumPy has no such type, and in unsigned integers the bits of what is not finite lie
between those of what is. So a number travels as the integer of its magnitude's bits, with its
sign: in order, and what is not finite lies outside, where the schema refuses it. Minus zero
becomes zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedhds.types import Array, Arrays, ArraySpec, Codec, Schema

LARGEST = 0x7F7F
"""The bits of the largest finite number."""


@dataclass(frozen=True)
class BFloat16(Codec):
    """Round to the upper 16 bits."""

    def schema(self, adapter: Arrays) -> Schema:
        """Ask for int16 of the adapter's names and shapes, within what is finite."""
        return {
            name: ArraySpec("int16", array.shape, low=-LARGEST, high=LARGEST)
            for name, array in adapter.items()
        }

    def encode(self, arrays: Arrays) -> dict[str, Array]:
        """Round each number."""
        return {name: _rounded(array) for name, array in arrays.items()}

    def decode(self, encoded: Arrays) -> dict[str, Array]:
        """Put the numbers into float32, exactly."""
        return {name: _widened(array) for name, array in encoded.items()}


def _rounded(array: Array) -> Array:
    bits = np.asarray(array, np.float32).view(np.uint32)
    magnitude = bits & 0x7FFFFFFF
    # half of the last place that stays, and a bit less where that place is even
    upper = (magnitude + 0x7FFF + (magnitude >> 16 & 1)) >> 16
    within = np.minimum(upper, 0x7FFF).astype(np.int16)  # some that are no number would wrap
    signed: Array = np.where(bits >> 31, -within, within)
    return signed


def _widened(array: Array) -> Array:
    magnitude = np.asarray(np.abs(array.astype(np.int32)).astype(np.uint32) << 16)
    values = magnitude.view(np.float32)
    signed: Array = np.where(array < 0, -values, values)
    return signed
