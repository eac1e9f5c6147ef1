"""Finds methods by name: one file per method, the file's stem is the method's name.

A method of another package is found through an entry point of the group
``fedhds.<kind>`` whose name is the method's and whose value is its class.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from dataclasses import is_dataclass
from importlib.metadata import entry_points
from typing import Any

from fedhds.types import UserError

KINDS = {
    "selection": "fedhds.selection",
    "aggregation": "fedhds.aggregation",
    "partition": "fedhds.data.partition",
}
"""Where the methods of each kind live."""


def names(kind: str) -> tuple[str, ...]:
    """Return the names of all methods of a kind, sorted, those of other packages included."""
    package = importlib.import_module(KINDS[kind])
    stems = [m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_")]
    own = {stem.replace("_", "-") for stem in stems}
    return tuple(sorted(own | {point.name for point in entry_points(group=f"fedhds.{kind}")}))


def load(kind: str, name: str) -> type[Any]:
    """Return the class of one method: the frozen dataclass its file defines.

    Raises
    ------
    UserError
        If there is no such method; the nearest name is suggested.
    """
    known = names(kind)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else f"; there are: {', '.join(known)}"
        raise UserError(f"unknown {kind} '{name}'{hint}")
    for point in entry_points(group=f"fedhds.{kind}"):
        if point.name == name:
            found: type[Any] = point.load()
            return found
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
    """Return the line after ``Source:`` in the docstring of the method's module."""
    module = inspect.getmodule(load(kind, name))
    lines = (inspect.getdoc(module) or "").splitlines()
    return next(
        (line.removeprefix("Source:").strip() for line in lines if line.startswith("Source:")), ""
    )
