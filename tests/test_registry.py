"""Methods are found by their files, and those of other packages by their entry points."""

import inspect
from pathlib import Path

import pytest

from fedhds import config, registry
from fedhds.types import UserError

METHODS = [(kind, name) for kind in registry.KINDS for name in registry.names(kind)]

PLUGIN = '''"""A method of another package.

Source: nobody
"""
from dataclasses import dataclass
from fedhds.types import Aggregation

@dataclass(frozen=True)
class Median(Aggregation):
    trim: int = 1

    def aggregate(self, trained):
        return dict(next(iter(trained))[0])
'''

PRESET = '''"""A data preset of another package.

Source: nobody
"""
from dataclasses import dataclass
from fedhds.data.columns import ColumnsPreset

@dataclass(frozen=True)
class Quiz(ColumnsPreset):
    columns = {"instruction": "question", "output": "answer"}
'''


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a distribution with the given entry point of a method on the path."""

    def put(point: str, module: str, kind: str = "aggregation", text: str = PLUGIN) -> None:
        (tmp_path / f"{module}.py").write_text(text)
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[fedhds.{kind}]\n{point}\n")
        monkeypatch.syspath_prepend(tmp_path)

    return put


def test_every_kind_has_its_methods():
    assert {"fedhds", "random", "full"} <= set(registry.names("selection"))
    assert {"fedavg", "uniform"} <= set(registry.names("aggregation"))
    assert {"lora", "prefix-tuning", "p-tuning", "prompt-tuning"} == set(registry.names("adapter"))
    assert {"task", "iid", "dirichlet", "column"} <= set(registry.names("partition"))
    assert {"alpaca", "dolly", "messages", "natural-instructions", "p3", "toy"} <= set(
        registry.names("preset")
    )
    assert {"tensorboard", "mlflow"} <= set(registry.names("tracker"))


@pytest.mark.parametrize(("kind", "name"), METHODS)
def test_file_of_a_method_has_its_name_and_its_source(kind, name):
    method = registry.load(kind, name)
    assert Path(inspect.getfile(method)).stem.replace("_", "-") == name == name.lower()
    assert registry.source(kind, name)
    assert "Deviations" not in registry.source(kind, name)


def test_source_of_several_lines_is_told_whole():
    told = registry.source("selection", "k-center")
    assert told.startswith('Sener and Savarese, "Active Learning')
    assert told.endswith("greedy as Gonzalez 1985")


@pytest.mark.parametrize("kind", registry.KINDS)
def test_names_are_sorted_and_leave_out_helpers(kind):
    names = registry.names(kind)
    assert list(names) == sorted(names)
    assert not any(name.startswith(("_", "-")) for name in names)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("fedavgg", "unknown aggregation 'fedavgg'; did you mean 'fedavg'?"),
        ("_mean", "unknown aggregation '_mean'; there are: fedavg, flexlora, uniform"),
        ("", "unknown aggregation ''; there are: fedavg, flexlora, uniform"),
        ("a\nb", r"unknown aggregation 'a\nb'; there are: fedavg, flexlora, uniform"),
    ],
)
def test_unknown_method_gets_a_hint(name, hint):
    with pytest.raises(UserError) as raised:
        registry.load("aggregation", name)
    assert str(raised.value) == hint


def test_method_of_another_package_is_one_like_ours(install):
    install("median = fedhds_median_plugin:Median", "fedhds_median_plugin")
    assert registry.names("aggregation") == ("fedavg", "flexlora", "median", "uniform")
    assert registry.source("aggregation", "median") == "nobody"
    loaded = config.load(None, ["aggregation={method: median, trim: 2}"])
    assert loaded.aggregation_method.trim == 2


def test_preset_of_another_package_reads_its_own_columns(install):
    install("quiz = fedhds_quiz_plugin:Quiz", "fedhds_quiz_plugin", "preset", PRESET)
    preset = config.load(None, ["data={train: a, preset: quiz}"]).data_preset
    found = preset.to_examples([{"question": "2+2?", "answer": "4"}], {}, "a")
    assert [(e.instruction, e.output) for e in found.examples] == [("2+2?", "4")]


@pytest.mark.parametrize("target", ["fedhds_absent_plugin:Median", "fedhds_broken_plugin:Absent"])
def test_broken_package_is_named(install, target):
    install(f"median = {target}", "fedhds_broken_plugin")
    with pytest.raises(UserError, match="'median' of another package cannot be loaded: "):
        registry.load("aggregation", "median")
