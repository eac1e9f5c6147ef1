"""Numbers (and texts) per sample, private to the client, that selection methods read.

One signal per file: its stem is the signal's name and its ``compute(model, samples,
batch_size, progress)`` returns an array whose first axis is the samples. It may have a
``check(model)``, too. Files that start with an underscore are shared steps.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from fedhds.models import LanguageModel, without_adapter
from fedhds.signals import _cache
from fedhds.signals._cache import check as check_cache
from fedhds.signals._cache import folder as cache_folder
from fedhds.signals._cache import remembered
from fedhds.types import Array, Progress, Sample

__all__ = ["Reader", "cache_folder", "check", "check_cache", "compute", "remembered"]


def compute(
    name: str, model: LanguageModel, samples: Sequence[Sample], batch_size: int, progress: Progress
) -> Array:
    """Compute one signal of one client's samples.

    Parameters
    ----------
    name : str
        A signal's name, as a selection method's ``needs()`` gives it.
    batch_size : int
        Samples per forward pass; it does not change the numbers beyond rounding.

    Returns
    -------
    ndarray
        First axis ``len(samples)``.

    Raises
    ------
    ValueError
        If there is no signal of that name.
    """
    signal: Array = _module(name).compute(model, samples, batch_size, progress)
    return signal


def check(name: str, model: LanguageModel) -> None:
    """Refuse a model that a signal cannot be read with, as far as shows before it is read.

    Raises
    ------
    UserError
        If it cannot; few signals ask for more than any model has.
    ValueError
        If there is no signal of that name.
    """
    if refuse := getattr(_module(name), "check", None):
        refuse(model)


def _module(name: str) -> Any:
    known = sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))
    if name not in known:
        raise ValueError(f"unknown signal '{name}'; there are: {', '.join(known)}")
    return importlib.import_module(f"{__name__}.{name}")


@dataclass(frozen=True)
class Reader:
    """What one client reads its signals with.

    Attributes
    ----------
    samples : sequence of Sample
        The client's training samples, in the tokens of ``model``.
    frozen : bool
        Read without any adapter inside the model's layers: so it never changes, and the numbers
        read with it are kept on this machine for good; texts never are.
    """

    model: LanguageModel
    samples: Sequence[Sample]
    batch_size: int
    frozen: bool
    progress: Progress

    def read(self, name: str) -> Array:
        """Compute a signal, or take it from this machine's cache (errors as in `compute`)."""
        if not self.frozen or name in _cache.NOT_KEPT:
            return self._compute(name)
        key = _cache.key(name, self.model, self.samples, self.batch_size)
        return _cache.remembered(key, lambda: self._compute(name))

    def _compute(self, name: str) -> Array:
        with without_adapter(self.model.model) if self.frozen else nullcontext():
            return compute(name, self.model, self.samples, self.batch_size, self.progress)
