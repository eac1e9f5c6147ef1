"""Checks that several kinds of adapters share."""

from __future__ import annotations


def check_positive(options: object, *names: str) -> None:
    """Refuse options below 1 (None is left alone), naming the first.

    Raises
    ------
    ValueError
        Starting with the option's name.
    """
    for name in names:
        number = getattr(options, name)
        if number is not None and number < 1:
            raise ValueError(f"{name} must be at least 1, not {number}")
