"""How numbers are written in every table; a dash where there is none."""

from __future__ import annotations

NOTHING = "-"


def seconds(number: float) -> str:
    """Write a duration."""
    return f"{number:,.1f} s"


def kilobytes(count: float) -> str:
    """Write a number of bytes."""
    return f"{count / 1000:,.1f} kB"


def megabytes(number: float) -> str:
    """Write an amount of memory that is given in MB."""
    return f"{number:,.0f} MB"


def score(number: float) -> str:
    """Write a Rouge-L or a loss."""
    return f"{number:.3f}"


def used(samples: float, of_all: float) -> str:
    """Write how many samples were used, and which share that is."""
    return f"{samples:,.0f} of {of_all:,.0f} ({samples / max(of_all, 1):.1%})"


def with_interval(difference: float, low: float, high: float) -> str:
    """Write a difference and the interval around it."""
    return f"{difference:+.3f} [{low:+.3f}, {high:+.3f}]"
