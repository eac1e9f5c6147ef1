"""Every number as it is: four bytes.

Source: IEEE 754, binary32

Deviations: none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fedhds.types import Array, Arrays, ArraySpec, Codec, Schema


@dataclass(frozen=True)
class Float32(Codec):
    """Change nothing."""

    exact: ClassVar[bool] = True

    def schema(self, adapter: Arrays) -> Schema:
        """Ask for float32 of the adapter's names and shapes."""
        return {name: ArraySpec("float32", array.shape) for name, array in adapter.items()}

    def encode(self, arrays: Arrays) -> dict[str, Array]:
        """Return the same arrays."""
        return dict(arrays)

    def decode(self, encoded: Arrays) -> dict[str, Array]:
        """Return the same arrays."""
        return dict(encoded)
