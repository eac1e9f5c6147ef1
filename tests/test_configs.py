"""Every shipped configuration is valid, and its header holds the command that runs it."""

import re
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


def test_the_readmes_config_is_valid(tmp_path):
    (block,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    path = tmp_path / "mine.yaml"
    path.write_text(block)
    config = configuration.load(path)
    assert config.partition_method.by == "hospital"


def test_the_readmes_commands_are_of_verbs_that_there_are():
    commands = re.findall(r"^fedhds (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert set(commands) == {"run", "select", "eval", "methods"}
