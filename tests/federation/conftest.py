"""Fixtures of the tests that start workers."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedhds.federation.in_process import flower_identity


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give sockets a folder of a short name, programs the tests' modules, messages a sender."""
    found = [str(Path(__file__).parents[1]), *filter(None, sys.path)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(found))
    with tempfile.TemporaryDirectory(prefix="fedhds-") as name, flower_identity():
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        yield Path(name)
