"""The example with a method in a package of its own, installed as pip would."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from small import small_config

from fedhds.files import read_json

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Lay out the example's package as in site-packages; pip itself would need an index."""
    folder = tmp_path_factory.mktemp("site-packages")
    about = tomllib.loads((EXAMPLES / "pyproject.toml").read_text())
    (module,) = about["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    shutil.copy(EXAMPLES / module, folder)
    project = about["project"]
    name, version = project["name"].replace("-", "_"), project["version"]
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {version}\n"
    )
    points = [
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in entries.items())
        for group, entries in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(points))
    return folder


def call(installed, *arguments):
    path = os.pathsep.join([str(installed), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path.rstrip(os.pathsep)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_installed_method_is_listed_with_its_source(installed):
    lines = call(installed, "fedhds", "methods").stdout.splitlines()
    (line,) = [line for line in lines if "most-typical" in line]
    assert line.startswith("selection\tmost-typical\tSorscher et al.")


def test_run_uses_it(installed, tmp_path):
    config = tmp_path / "small.yaml"
    plain = small_config(tmp_path, federation__rounds=1, evaluation__every=0)
    config.write_text(yaml.safe_dump(plain))
    sets = ["--set", "selection={method: most-typical, samples: 9, metric: cosine}"]
    done = call(installed, "fedhds", "run", config, "--out", tmp_path / "run", *sets)
    assert done.returncode == 0, done.stderr
    summary = read_json(tmp_path / "run" / "summary.json")
    assert (summary["method"], summary["samples_used"]) == ("most-typical", 9)


def test_it_keeps_to_the_contract(installed):
    tests = ["tests/contracts/test_selection_methods.py", "-k", "most-typical"]
    done = call(installed, "pytest", *tests, "-p", "no:cacheprovider", "-rN")
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
