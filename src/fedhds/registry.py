"""Finds methods by name: one file per method, the file's stem is the method's name.

A method of another package is found through an entry point of the group
``fedhds.<kind>`` whose name is the method's and whose value is its class.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import pkgutil
import sys
from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from fedhds.types import UserError

KINDS = {
    "selection": "fedhds.selection",
    "aggregation": "fedhds.aggregation",
    "codec": "fedhds.codecs",
    "preset": "fedhds.data.presets",
    "partition": "fedhds.data.partition",
    "tracker": "fedhds.trackers",
    "adapter": "fedhds.adapters",
}
"""Where the methods of each kind live."""


def names(kind: str) -> tuple[str, ...]:
    """Return the names of all methods of a kind, sorted, those of other packages included."""
    return tuple(sorted(_own(kind) | _foreign(kind).keys()))


def load(kind: str, name: str) -> type[Any]:
    """Return the class of one method: the frozen dataclass its file defines.

    Raises
    ------
    UserError
        If there is no such method (the nearest name is suggested), or if the package that
        brings it is broken.
    """
    foreign = _foreign(kind)
    if name in foreign:
        return _load_foreign(foreign[name])
    if name not in _own(kind):
        known = names(kind)
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else f"; there are: {', '.join(known)}"
        raise UserError(f"unknown {kind} {name!r}{hint}")
    module = importlib.import_module(f"{KINDS[kind]}.{name.replace('-', '_')}")
    (method,) = (
        value
        for key, value in vars(module).items()
        if is_dataclass(value)
        and inspect.isclass(value)
        and value.__module__ == module.__name__
        and not key.startswith("_")
    )
    return method


def source(kind: str, name: str) -> str:
    """Return what follows ``Source:`` in the docstring of the method's module, up to a blank line.

    Deviations on the next line end it, too.
    """
    module = inspect.getmodule(load(kind, name))
    _, _, told = f"\n{inspect.getdoc(module) or ''}".partition("\nSource:")
    ends = told.replace("\nDeviations", "\n\n").split("\n\n")
    return " ".join(ends[0].split())


def _own(kind: str) -> set[str]:
    """Return the names of this package's methods, by their files."""
    package = importlib.import_module(KINDS[kind])
    stems = [m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_")]
    return {stem.replace("_", "-") for stem in stems}


def _foreign(kind: str) -> Mapping[str, EntryPoint]:
    """Return the entry points of other packages' methods, by name."""
    places = (os.path.abspath(entry) for entry in sys.path)
    return _points(kind, tuple((place, _changed(place)) for place in places))


@lru_cache(maxsize=len(KINDS))
def _points(kind: str, places: tuple[tuple[str, int], ...]) -> Mapping[str, EntryPoint]:
    """Read the entry points again where packages may have been added: it takes long."""
    return {point.name: point for point in entry_points(group=f"fedhds.{kind}")}


def _changed(place: str) -> int:
    try:
        return os.stat(place).st_mtime_ns
    except OSError:
        return 0


def _load_foreign(point: EntryPoint) -> type[Any]:
    try:
        found: type[Any] = point.load()
    except (ImportError, AttributeError) as error:
        raise UserError(f"'{point.name}' of another package cannot be loaded: {error}") from error
    return found
