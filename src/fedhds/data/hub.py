"""Reads rows from a data set of the Hugging Face hub, with the library's own cache.

Data sets that need code of their own to load are refused: `datasets` runs none, and here
it is never asked to.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from fedhds.data.files import Row
from fedhds.types import UserError

HUB = "hub:"
"""How a data set of the hub begins where otherwise a path stands."""

_FORM = re.compile(
    r"hub:(?P<name>[^/@:]+/[^/@:]+)(/(?P<config>[^/@:]+))?(@(?P<revision>[^:]+))?(:(?P<split>.+))?"
)


def read_hub(source: str, key: str) -> list[Row]:
    """Read all rows of one split of a hub data set, or of a local folder of data files.

    Parameters
    ----------
    source : str
        ``hub:OWNER/NAME[/CONFIG][@REVISION][:SPLIT]`` or ``hub:FOLDER[:SPLIT]``. The split
        is ``train`` unless given, and may be anything that `datasets` takes, ``train[:10%]``
        for one.
    key : str
        The configuration key that named it, for messages.

    Returns
    -------
    list of dict
        The rows in the data set's order, with every column.

    Raises
    ------
    UserError
        If it is written in another way, cannot be loaded, or has no rows.
    """
    return _load(_arguments(source, key), f"{key}: '{source}'")


def _arguments(source: str, key: str) -> dict[str, Any]:
    """Take a source apart into what `datasets.load_dataset` takes."""
    folder, _, split = source.removeprefix(HUB).partition(":")
    if folder and Path(folder).is_dir():
        # Absolute, as a relative one such as "json" could be taken for something else.
        return {"path": str(Path(folder).absolute()), "split": split or "train"}
    form = _FORM.fullmatch(source)
    if form is None or folder[0] in "./~":
        raise UserError(
            f"{key}: '{source}' is neither a folder after '{HUB}' nor written as "
            f"{HUB}OWNER/NAME[/CONFIG][@REVISION][:SPLIT]"
        )
    return {
        "path": form["name"],
        "name": form["config"],
        "revision": form["revision"],
        "split": form["split"] or "train",
    }


def _load(arguments: dict[str, Any], where: str) -> list[Row]:
    """Load one split, putting whatever goes wrong into one sentence."""
    # Imported here as it takes seconds.
    import datasets

    datasets.disable_progress_bars()  # they would draw across our own
    datasets.utils.logging.set_verbosity(datasets.utils.logging.CRITICAL)  # so would these
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    try:
        rows: list[Row] = datasets.load_dataset(**arguments).to_list()
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        # This one says no more than that there was another.
        vague = isinstance(error, datasets.exceptions.DatasetGenerationError)
        cause = (error.__cause__ if vague else None) or error
        text = " ".join(str(cause).split()) or type(cause).__name__
        raise UserError(f"{where} cannot be loaded: {text}") from error
    return rows
