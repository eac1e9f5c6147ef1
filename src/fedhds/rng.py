"""The only source of randomness: one independent stream per (seed, purpose, client, round).

Nothing in the package touches a global random state. A draw depends only on what it is
for, never on what was drawn before it, so a resumed run continues bit for bit and the
order in which clients are visited is irrelevant.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derive(seed: int, purpose: str, client: int = 0, round: int = 0) -> int:
    """Derive the 63-bit seed of one stream.

    Parameters
    ----------
    seed : int
        The experiment's seed.
    purpose : str
        What the numbers are for, e.g. ``"sample-clients"``.
    client, round : int
        The client and the round they are for; 0 where neither applies.

    Returns
    -------
    int
        A non-negative integer below 2**63, the same on every platform.
    """
    text = f"{seed}|{purpose}|{client}|{round}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1


def generator(seed: int, purpose: str, client: int = 0, round: int = 0) -> np.random.Generator:
    """Return NumPy's generator of one stream (parameters as in `derive`)."""
    return np.random.default_rng(derive(seed, purpose, client, round))


@contextmanager
def torch_stream(
    seed: int, purpose: str, client: int = 0, round: int = 0, device: torch.device | None = None
) -> Iterator[None]:
    """Run a block under torch's random state of one stream, then restore the caller's.

    Dropout and peft's initial values can only draw from torch's global state, so that
    state is forked and seeded (parameters as in `derive`; ``device`` is the CUDA device
    whose state is forked along).
    """
    import torch

    devices = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(derive(seed, purpose, client, round))
        yield
