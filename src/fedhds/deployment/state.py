"""Where a site keeps what outlives its processes."""

from __future__ import annotations

import os
from pathlib import Path


def state_folder() -> Path:
    """Return where sites keep their state: ``$FEDHDS_STATE``, or the user's state folder."""
    if named := os.environ.get("FEDHDS_STATE"):
        return Path(named)
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "fedhds"
