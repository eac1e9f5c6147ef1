"""Fixtures of the tests that need a model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tiny import ARCHITECTURES, random_samples, tiny_language_model

from fedhds.models import LanguageModel
from fedhds.types import Sample

EASIEST = '''"""The easiest samples, as the untuned base (or a proxy) sees them.

Source: nobody
"""
from dataclasses import dataclass
import numpy as np
from fedhds.types import Coreset, SelectionMethod

@dataclass(frozen=True)
class Easiest(SelectionMethod):
    budget = "required"
    signal_model = "base"

    def needs(self):
        return ("loss_with_prompt",)

    def pick(self, signals, received, memory, rng):
        order = np.argsort(signals.arrays["loss_with_prompt"], kind="stable")
        return Coreset.of(order[: int(received["quota"][0])])
'''


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the tests that take minutes, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--long"):
        for item in items:
            if "long" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="takes minutes; give --long"))


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what frozen models read out of the user's cache, here and in processes begun here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEDHDS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def model() -> LanguageModel:
    """Build a fresh tiny Llama with LoRA and dropout."""
    return tiny_language_model()


@pytest.fixture(params=ARCHITECTURES)
def any_model(request: pytest.FixtureRequest) -> LanguageModel:
    """Build a fresh tiny model of each architecture with LoRA, without dropout."""
    return tiny_language_model(request.param, dropout=0.0)


@pytest.fixture
def samples() -> list[Sample]:
    """Draw seven samples of different lengths."""
    return random_samples(7)


@pytest.fixture
def easiest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Install a selection method that reads with the frozen base, and return its name."""
    folder = tmp_path / "site-packages"
    info = folder / "easiest-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "easiest.py").write_text(EASIEST)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: easiest\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[fedhds.selection]\neasiest = easiest:Easiest\n")
    monkeypatch.syspath_prepend(folder)
    return "easiest"
