"""Reads rows from wherever ``data.train`` and ``data.eval`` point to."""

from __future__ import annotations

from pathlib import Path

from fedhds.data.files import Row, read_rows
from fedhds.data.hub import HUB, read_hub


def read_source(source: str, key: str) -> list[Row]:
    """Read all rows of a file, a folder, or a hub data set (see `read_rows`, `read_hub`).

    Parameters
    ----------
    source : str
        A path, or ``hub:`` and a data set.
    key : str
        The configuration key that named it, for messages.

    Raises
    ------
    UserError
        If it cannot be read or has no rows.
    """
    if source.startswith(HUB):
        return read_hub(source, key)
    return read_rows(Path(source), key)
