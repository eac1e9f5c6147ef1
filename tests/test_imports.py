"""Imports go one way, and heavy libraries stay where they belong."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import fedhds

ROOT = Path(fedhds.__file__).parent
STAGES = (
    *("data", "signals", "selection", "tuning", "aggregation", "evaluation", "codecs"),
    "federation",
)
SHARED = {
    "types",
    "rng",
    "models",
    "losses",
    "pretrained",
    "adapters",
    "batching",
    "key_values",
    "registry",
    "files",
}
LIGHT = {"types", "rng", "registry", "files"}
"""What is shared and does not import torch."""
HEAVY = (
    "torch",
    "transformers",
    "peft",
    "flwr",
    "sklearn",
    "pydantic",
    "numpy",
    "mlflow",
    "tensorboard",
)


def name_of(path: Path) -> str:
    return ".".join(("fedhds", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(
        ".__init__"
    )


FILES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def imports(name: str) -> set[str]:
    """Return the modules that a module imports anywhere in its file."""
    found = set()
    for node in ast.walk(ast.parse(FILES[name].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, f"{name} has a relative import"
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (below & FILES.keys()) or {node.module}
    return found


def ours(name: str) -> set[str]:
    """Return the parts of fedhds (folders, or modules at its root) that a module imports."""
    return {part.split(".")[1] for part in imports(name) if part.startswith("fedhds.")}


def libraries(name: str) -> set[str]:
    """Return the libraries of others that a module imports."""
    known = {*sys.stdlib_module_names, "fedhds"}
    return {part.split(".")[0] for part in imports(name)} - known


def inside(*parts: str) -> list[str]:
    return [name for name in FILES if name.split(".")[1:2] and name.split(".")[1] in parts]


def loaded_by(*modules: str) -> set[str]:
    """Import modules in a fresh process and return the heavy libraries that came along."""
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split()) & set(HEAVY)


@pytest.mark.parametrize("stage", STAGES)
def test_stage_imports_only_the_stages_before_it(stage):
    before = {*STAGES[: STAGES.index(stage) + 1], *SHARED}
    assert inside(stage)
    assert {n: ours(n) - before for n in inside(stage) if ours(n) - before} == {}


def test_what_is_shared_imports_no_stage():
    assert {n: ours(n) - SHARED for n in inside(*SHARED) if ours(n) - SHARED} == {}


@pytest.mark.parametrize("part", ["report", "trackers"])
def test_what_only_tells_of_a_run_imports_no_stage(part):
    allowed = {part, *LIGHT}
    assert {n: ours(n) - allowed for n in inside(part) if ours(n) - allowed} == {}


def test_report_imports_no_model():
    assert not set().union(*map(libraries, inside("report"))) & {"torch", "transformers", "peft"}


def test_no_module_imports_itself_in_a_loop():
    graph = {name: imports(name) & FILES.keys() - {"fedhds", name} for name in FILES}
    graph["fedhds"] = set()  # it loads the stages on first use
    assert len(list(TopologicalSorter(graph).static_order())) == len(FILES)


def test_only_the_federation_imports_flower():
    for name in set(FILES) - set(inside("federation")):
        assert "flwr" not in libraries(name), name
        assert name.startswith("fedhds.data.partition.") or "flwr_datasets" not in libraries(name)


def test_adapters_import_no_stage_and_load_no_model():
    for name in inside("adapters"):
        assert libraries(name) <= {"peft", "torch", "transformers"}, name
        assert ours(name) <= {"adapters", "types"}, name
    assert loaded_by(*inside("adapters")) == set()


@pytest.mark.parametrize("stage", ["selection", "aggregation", "codecs"])
def test_methods_are_plain_numerical_code(stage):
    allowed = {"numpy", "scipy", "sklearn", "threadpoolctl"}
    for name in inside(stage):
        assert libraries(name) <= allowed, name
        assert ours(name) <= {stage, *LIGHT}, name


@pytest.mark.parametrize(
    ("modules", "allowed"),
    [
        (["fedhds"], set()),
        (["fedhds.cli.main"], set()),
        (inside("selection", "aggregation", "codecs", "rng", "types"), {"numpy", "sklearn"}),
        (["fedhds.config"], {"numpy", "pydantic"}),
        (inside("report", "trackers"), {"numpy"}),
    ],
    ids=["package", "command-line", "methods", "configuration", "report-and-trackers"],
)
def test_import_brings_no_heavy_library_along(modules, allowed):
    assert loaded_by(*modules) <= allowed
