"""What a site keeps of a run, and where: light, as a process for a message needs it, too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedhds.federation.ledger import Ledger, error_entry


def state_folder(node_config: Mapping[str, Any], run: int) -> Path:
    """Say where a site keeps what outlives its processes of a run.

    The folder above it is made if it is not there, for the site's user alone.

    Parameters
    ----------
    node_config : mapping
        The SuperNode's: ``state``, or ``state`` beside the ``policy`` file.
    run : int
        The run's number.
    """
    beside = Path(str(node_config.get("policy", ""))).parent / "state"
    state = Path(str(node_config.get("state") or beside))
    if not state.exists():
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    return state / f"run-{run}"


def note(node_config: Mapping[str, Any], kind: str, run: int, round: int, reason: str) -> None:
    """Put an error reply into the ledger that no worker made."""
    ledger = Ledger(state_folder(node_config, run))
    ledger.keep(error_entry(reason, False, kind, round, 0.0))
