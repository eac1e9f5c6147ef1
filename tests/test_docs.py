"""What the documents name is there: files, tests, settings, methods."""

import re
from pathlib import Path

import pytest

from fedhds import config as configuration
from fedhds import registry

ROOT = Path(__file__).parent.parent
METHODS = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`([^`]+)`", METHODS)))
FILES = [name for name in NAMED if re.fullmatch(r"[\w/]+\.py", name)]
SETTINGS = [name for name in NAMED if re.match(r"[a-z]+(\.\w+)?=", name)]
NEEDED = {
    "selection.method=fedhds-turbo": ["model.proxy=gpt2"],
    "model.proxy": ["selection.method=fedhds-turbo"],
    "data.preset": ["data.train=x"],
    "data.holdout": ["data.train=x"],
}
"""Settings that go with others only."""


@pytest.mark.parametrize("name", FILES)
def test_named_file_is_there(name):
    folder = "tests" if Path(name).name.startswith("test_") else "src/fedhds"
    assert (ROOT / folder / name).is_file()


@pytest.mark.parametrize("setting", SETTINGS)
def test_named_setting_is_one(setting):
    beside = [
        also for start, others in NEEDED.items() if setting.startswith(start) for also in others
    ]
    loaded = configuration.load(None, [*beside, setting])
    notices = [notice for notice in configuration.notices(loaded) if "not used" in notice]
    unused = [notice for notice in notices if setting.split("=")[0] in notice]
    assert unused == []


@pytest.mark.parametrize("kind", registry.KINDS)
def test_every_method_is_in_the_table(kind):
    for name in registry.names(kind):
        assert f"`{name}`" in METHODS
