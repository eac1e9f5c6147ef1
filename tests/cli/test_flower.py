"""``fedhds superlink`` and ``supernode``: Flower's arguments go through, plain text is told."""

import importlib
import os
import sys
from types import SimpleNamespace

import pytest
from flwr.superlink import extensions
from flwr.supernode import start_client_internal
from typer.testing import CliRunner

from fedhds.cli.main import app
from fedhds.federation.relay import SUPERNODE
from fedhds.federation.superlink import OTHER_DOORS, SWITCHES, OperatorIsLocal

PLAIN = {
    "superlink": "warning: nothing is encrypted, and anybody may be a site",
    "supernode": "warning: nothing that leaves this site is encrypted",
}


@pytest.fixture
def begun(monkeypatch):
    """Keep Flower's programs from running; return what they would have been given."""
    told = []
    for name in ("PATH", SUPERNODE, *SWITCHES, *OTHER_DOORS):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setattr(extensions, "get_middleware", extensions.get_middleware)
    monkeypatch.setattr(start_client_internal, "subprocess", SimpleNamespace())
    for name in ("superlink", "supernode"):
        module = importlib.import_module(f"flwr.{name}.cli.flower_{name}")
        monkeypatch.setattr(module, f"flower_{name}", lambda: told.append(sys.argv[1:]))
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


def test_a_supernode_that_would_let_other_code_in_is_a_mistake(begun):
    done = CliRunner().invoke(app, ["supernode", "--isolation", "process"])
    assert done.exit_code == 2
    assert "'--isolation' is not for 'fedhds supernode'" in done.output
    assert begun == []
