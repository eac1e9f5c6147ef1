"""The declaration of one toy task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Make = Callable[[np.random.Generator], tuple[str, str]]


@dataclass(frozen=True)
class ToyTask:
    """One task: what is asked, and how its samples are made.

    Attributes
    ----------
    name : str
        Unique, in snake case, starting with the family.
    family : str
        The kind of task.
    phrasings : tuple of str
        Wordings of the instruction, all asking for the same answer.
    make : callable
        Draws one sample: its input and its output.
    unseen : bool
        Whether the task is kept for evaluation and never trained on.
    """

    name: str
    family: str
    phrasings: tuple[str, ...]
    make: Make
    unseen: bool = False
