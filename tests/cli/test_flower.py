"""``fedhds superlink`` and ``supernode``: Flower's arguments go through, plain text is told."""

import importlib
import os
import sys

import pytest
from flwr.superlink import extensions
from typer.testing import CliRunner

from fedhds.cli.main import app
from fedhds.federation.superlink import OperatorIsLocal

PLAIN = {
    "superlink": "warning: nothing is encrypted, and anybody may be a site",
    "supernode": "warning: nothing that leaves this site is encrypted",
}


@pytest.fixture
def begun(monkeypatch, tmp_path):
    """Keep Flower's programs from running; return what they would have been given."""
    told = []
    for name in ("PATH", "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    monkeypatch.setenv("FEDHDS_STATE", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setattr(extensions, "get_middleware", extensions.get_middleware)
    monkeypatch.setattr(os, "execve", lambda program, arguments, _: told.append(arguments[1:]))
    superlink = importlib.import_module("flwr.superlink.cli.flower_superlink")
    monkeypatch.setattr(superlink, "flower_superlink", lambda: told.append(sys.argv[1:]))
    return told


@pytest.mark.parametrize("verb", PLAIN)
@pytest.mark.parametrize("flowers", [["--insecure"], ["--root-certificates", "ca.crt"], ["--help"]])
def test_flowers_arguments_go_through_and_plain_text_is_warned_of(begun, verb, flowers):
    done = CliRunner().invoke(app, [verb, "--a-new-option", "a b", *flowers])
    assert done.exit_code == 0, done.output
    assert begun == [["--a-new-option", "a b", *flowers]]
    assert (PLAIN[verb] in done.output) == ("--insecure" in flowers)


def test_a_superlink_is_closed_to_other_machines(begun):
    assert CliRunner().invoke(app, ["superlink"]).exit_code == 0
    assert [each.cls for each in extensions.get_middleware()] == [OperatorIsLocal]
