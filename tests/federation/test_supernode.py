"""A SuperNode that runs the site's own program for each message."""

import os
import subprocess
import sys

import pytest

from fedhds.federation import supernode
from fedhds.federation.relay import SUPERNODE
from fedhds.federation.supernode import become_supernode, programs_folder
from fedhds.types import UserError

FLOWERS_SUPERNODE = """#!/bin/sh
echo started with "$@"
exec flwr-clientapp --token "two words"
"""
PYTHON = """#!/bin/sh
for argument in "$@"; do echo "<$argument>"; done
"""


class Became(Exception):
    """Instead of another program: what, with what arguments, in what environment."""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """An installation whose folder has a name that shells take apart."""
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    for name, text in (("python", PYTHON), ("flower-supernode", FLOWERS_SUPERNODE)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o700)

    def become(*arguments):
        raise Became(*arguments)

    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setattr(os, "execve", become)
    monkeypatch.setenv("FEDHDS_STATE", str(tmp_path / "state of it"))
    return folder


def became(*arguments):
    with pytest.raises(Became) as caught:
        become_supernode(arguments, "our.program")
    return caught.value.args


def test_what_flower_starts_for_a_message_is_our_program_with_flowers_arguments(installed):
    (installed / "flwr-clientapp").write_text("#!/bin/sh\necho Flower's own")
    (installed / "flwr-clientapp").chmod(0o700)
    program, arguments, environment = became("--superlink", "a:1")
    done = subprocess.run(
        arguments, executable=program, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "started with --superlink a:1",
        *("<-m>", "<our.program>", "<--token>", "<two words>"),
    ]


def test_what_is_started_knows_its_supernode_and_the_rest_of_the_path(installed, monkeypatch):
    monkeypatch.setenv("PATH", "/the/rest")
    _, _, environment = became()
    assert environment[SUPERNODE] == str(os.getpid())
    ours = str(programs_folder().absolute())
    assert environment["PATH"].split(os.pathsep) == [ours, str(installed), "/the/rest"]


def test_our_program_is_its_users_alone_and_may_be_there_already(installed):
    became()
    became()
    (program,) = programs_folder().iterdir()
    assert program.name == supernode.CLIENTAPP_PROGRAM
    assert program.stat().st_mode & 0o777 == 0o700


def test_without_flowers_program_it_says_where_flower_must_be(installed):
    (installed / "flower-supernode").unlink()
    with pytest.raises(UserError, match=r"'flower-supernode' is not beside .*install flwr there"):
        become_supernode([], "our.program")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"FEDHDS_STATE": "/s", "XDG_STATE_HOME": "/x"}, "/s/programs"),
        ({"XDG_STATE_HOME": "/x"}, "/x/fedhds/programs"),
        ({}, "/home/me/.local/state/fedhds/programs"),
    ],
)
def test_programs_are_where_things_last(monkeypatch, environment, expected):
    for name in ("FEDHDS_STATE", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", **environment}.items():
        monkeypatch.setenv(name, value)
    assert str(programs_folder()) == expected
