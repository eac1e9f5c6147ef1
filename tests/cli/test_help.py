"""What the command line says of itself."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from fedhds import registry
from fedhds.cli.main import app

VERBS = ("demo", "run", "select", "eval", "methods", "policy", "audit")


def test_help_lists_every_verb():
    told = CliRunner().invoke(app, ["--help"])
    assert told.exit_code == 0
    assert all(f" {verb} " in told.output for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_says_what_it_does(verb):
    told = CliRunner().invoke(app, [verb, "--help"], terminal_width=100)
    assert told.exit_code == 0
    assert f"Usage: root {verb}" in told.output or f"{verb} [OPTIONS]" in told.output


def test_help_loads_nothing_heavy():
    code = (
        "import sys\nfrom fedhds.cli.main import app\nsys.argv = ['fedhds', '--help']\n"
        "try:\n    app()\nfinally:\n    print('\\nLOADED', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split("LOADED")[1].split()
    assert not {"torch", "transformers", "pydantic", "sklearn", "flwr", "numpy"} & set(loaded)


def test_methods_in_a_pipe_are_lines_for_other_programs():
    done = subprocess.run(
        [sys.executable, "-c", "from fedhds.cli.main import main; main()", "methods"],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    expected = [(kind, name) for kind in registry.KINDS for name in registry.names(kind)]
    assert [(kind, name) for kind, name, *_ in rows] == expected
    held = {name: holds for kind, name, _, holds in rows if kind == "aggregation"}
    assert held == {"fedavg": "one adapter", "uniform": "one adapter", "flexlora": "all adapters"}
    assert all(name == name.lower() and source for _, name, source, _ in rows)
    assert done.stderr == ""
