"""What was read with a frozen model, kept on the client's own disk and never read again.

An entry's name is a digest of everything that its numbers depend on: the samples (text,
prompt and tokens), the model's weights and settings, the batches, the number type, the
device, the threads and the versions. So whether an entry is there changes how long a run
takes and nothing else. Numbers are kept in half precision where they fit into it, unless
there are but few a sample, and a first read is rounded in the same way.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors import SafetensorError

from fedhds.files import read_arrays, write_arrays
from fedhds.models import LanguageModel
from fedhds.types import Array, Sample

log = logging.getLogger(__name__)

FORMAT = 2
"""To be raised when a signal's numbers change with the code."""

NOT_KEPT = frozenset({"text"})
"""Signals that are no numbers but what the samples say, of which no copy is to be made."""

FEW = 2
"""Numbers a sample that are kept whole: samples are ranked by such, so small differences count."""


def folder() -> Path:
    """Return where entries are kept: ``$FEDHDS_CACHE``, else in the user's cache folder."""
    if named := os.environ.get("FEDHDS_CACHE"):
        return Path(named) / "signals"
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "fedhds" / "signals"


def check() -> None:
    """Refuse a folder that cannot be written to, without making it.

    Raises
    ------
    PermissionError
        If it, or what it would be made in, is no folder or not this user's to write to.
    """
    nearest = next(path for path in (folder(), *folder().absolute().parents) if path.exists())
    if not (nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(nearest))


def key(name: str, model: LanguageModel, samples: Sequence[Sample], batch_size: int) -> str:
    """Digest everything that a signal's numbers depend on."""
    # the texts, too: tokens are cut where the model's positions end, and words are not
    examples = [sample.example for sample in samples]
    held = [(sample.prompt, sample.response, sample.uninstructed) for sample in samples]
    told = [(example.instruction, example.input, example.output) for example in examples]
    place = str(model.device), torch.get_num_threads(), batch_size, model.filler
    versions = FORMAT, torch.__version__, transformers.__version__, np.__version__
    said = repr((name, model.fingerprint, place, versions, held, told))
    return sha256(said.encode()).hexdigest()


def remembered(key: str, compute: Callable[[], Array]) -> Array:
    """Return the entry of ``key`` as float32; where there is none, compute it and keep it."""
    path = folder() / key[:2] / f"{key}.safetensors"
    try:
        kept = read_arrays(path)["signal"]
    except (OSError, SafetensorError, KeyError):  # absent, or broken: it is made again
        kept = _rounded(compute())
        try:
            # these are private numbers: nobody else on this machine is to read them
            folder().mkdir(parents=True, exist_ok=True)
            folder().chmod(0o700)
            write_arrays(path, {"signal": kept})
        except OSError as error:  # a full disk, say, costs time and not the run
            log.warning("what was read cannot be kept in %s: %s", folder(), error)
    return kept.astype(np.float32)


def _rounded(array: Array) -> Array:
    """Round to half precision, unless a number is too large for it or there are but `FEW`."""
    if array[:1].size <= FEW:
        return array
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    return half if np.isfinite(half).all() else array
