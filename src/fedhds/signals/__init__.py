"""Numbers per sample, private to the client, that selection methods read.

One signal per file: its stem is the signal's name and its ``compute(model, samples,
batch_size, progress)`` returns an array whose first axis is the samples.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence

from fedhds.models import LanguageModel
from fedhds.types import Progress, Sample, Signals


def compute(
    needs: tuple[str, ...],
    model: LanguageModel,
    samples: Sequence[Sample],
    batch_size: int,
    progress: Progress,
) -> Signals:
    """Compute the named signals of one client's samples.

    Parameters
    ----------
    needs : tuple of str
        Names of signals, as a selection method's ``needs()`` gives them.
    batch_size : int
        Samples per forward pass; it does not change the numbers.

    Returns
    -------
    Signals
        One array per name, first axis ``len(samples)``.

    Raises
    ------
    ValueError
        If there is no signal of a name; nothing is computed then.
    """
    known = {module.name for module in pkgutil.iter_modules(__path__)}
    for name in needs:
        if name not in known:
            raise ValueError(f"unknown signal '{name}'; there are: {', '.join(sorted(known))}")
    arrays = {
        name: importlib.import_module(f"{__name__}.{name}").compute(
            model, samples, batch_size, progress
        )
        for name in needs
    }
    return Signals(len(samples), arrays)
