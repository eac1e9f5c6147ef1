"""Every shipped configuration is valid, and its header holds the command that runs it."""

from importlib.resources import files
from pathlib import Path

import pytest

from fedhds import config as configuration

ROOT = Path(__file__).parent.parent
DEMO = Path(str(files("fedhds") / "assets" / "demo.yaml"))
SHIPPED = [*sorted(ROOT.glob("configs/**/*.yaml")), DEMO]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_config_is_valid_and_says_how_to_run_it(path):
    assert configuration.load(path).notices() == []
    header = [line for line in path.read_text().splitlines() if line.startswith("#")]
    assert any("fedhds run" in line or "fedhds demo" in line for line in header)
