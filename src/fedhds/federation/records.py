"""How arrays lie in Flower's records: an adapter as vectors, every array in NumPy's format.

Flower takes as long for a small array as for a large one, so an adapter's many small ones
go end to end, and what NumPy writes before an array's bytes is looked up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from io import BytesIO
from operator import itemgetter
from typing import Any

import numpy as np
from flwr.app import Array as FlowerArray
from flwr.app import ArrayRecord

from fedhds.types import Array, Arrays

NUMPY = "numpy.ndarray"
"""What Flower calls NumPy's own format."""

Shapes = tuple[tuple[str, np.dtype[Any], tuple[int | str, ...]], ...]


@dataclass(frozen=True)
class Layout:
    """Where arrays of one type stand in their vector, whose name tells all names and shapes."""

    name: str
    dtype: np.dtype[Any]
    length: int
    places: tuple[tuple[str, int, int, tuple[int, ...]], ...]

    def join(self, arrays: Arrays) -> Array:
        """Put arrays end to end."""
        return np.concatenate([arrays[name].ravel() for name, *_ in self.places])

    def split(self, vector: Array) -> dict[str, Array]:
        """Take the arrays out of their vector again, as views."""
        return {name: vector[start:end].reshape(shape) for name, start, end, shape in self.places}


def join(arrays: Arrays) -> dict[str, Array]:
    """Put arrays end to end, in a vector for each type."""
    shapes = tuple((name, array.dtype, array.shape) for name, array in arrays.items())
    return {layout.name: layout.join(arrays) for layout in layouts(shapes)}


@lru_cache(maxsize=8)
def layouts(shapes: Shapes) -> tuple[Layout, ...]:
    """Lay arrays out by type and name; other names or shapes have vectors of other names."""
    by_type = {dtype: [each for each in shapes if each[1] == dtype] for _, dtype, _ in shapes}
    return tuple(_layout(dtype, same) for dtype, same in by_type.items())


def _layout(dtype: np.dtype[Any], shapes: Iterable[tuple[str, Any, tuple[Any, ...]]]) -> Layout:
    places: list[tuple[str, int, int, tuple[int, ...]]] = []
    end = 0
    for name, _, shape in sorted(shapes, key=itemgetter(0)):
        start, end = end, end + math.prod(shape)
        places.append((name, start, end, shape))
    digest = sha256(repr(places).encode()).hexdigest()[:16]
    return Layout(f"{dtype}-{digest}", dtype, end, tuple(places))


def to_record(arrays: Arrays) -> ArrayRecord:
    """Put named arrays into a record of Flower's."""
    return ArrayRecord({name: _flower(np.asarray(a, order="C")) for name, a in arrays.items()})


def _flower(array: Array) -> FlowerArray:
    """Do what Flower's own constructor does, but for looking up the header."""
    dtype, header = _header(array.dtype, array.shape)
    return FlowerArray(dtype, array.shape, NUMPY, b"".join((header, array.ravel().data)))


def read(packed: FlowerArray) -> Array:
    """Read an array: exactly the bytes that NumPy writes for what it claims to be, and no more.

    Raises
    ------
    ValueError
        For any others: behind an array, or in what precedes it, there is room for text.
    """
    shape = tuple(packed.shape)
    _, header = _header(np.dtype(packed.dtype), shape)
    if packed.stype != NUMPY or not packed.data.startswith(header):
        raise ValueError("the bytes are not what NumPy writes for what they claim to be")
    flat = np.frombuffer(packed.data, packed.dtype, offset=len(header))
    return flat.reshape(shape).copy()


@lru_cache(maxsize=256)
def _header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> tuple[str, bytes]:
    """Return a type's name, and what NumPy's format says before an array's bytes."""
    buffer = BytesIO()
    said = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, said)
    return str(dtype), buffer.getvalue()
