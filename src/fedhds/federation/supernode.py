"""Flower's SuperNode, as a site should run it that does not trust the server.

Flower runs whatever code the server's app brings along. Here an app brings its experiment alone, as
text: what answers is the ClientApp of the package that is installed on the site, whose policy
nobody else can change.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from flwr.clientapp import ClientApp

from fedhds.federation.relay import SUPERNODE
from fedhds.files import write_text
from fedhds.types import UserError

SUPERNODE_PROGRAM = "flower-supernode"
CLIENTAPP_PROGRAM = "flwr-clientapp"
"""Flower's programs: the one that stays, and the one that it starts for each message."""


def programs_folder() -> Path:
    """Return where programs are put that Flower finds before its own.

    ``$FEDHDS_STATE``, or the user's folder for what lasts: a system clears temporary folders, and
    Flower would then find its own again.
    """
    if named := os.environ.get("FEDHDS_STATE"):
        return Path(named) / "programs"
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "fedhds" / "programs"


def become_supernode(arguments: Sequence[str], module: str) -> NoReturn:
    """Become ``flower-supernode`` with its own arguments, and never come back.

    Parameters
    ----------
    arguments : sequence of str
        What ``flower-supernode`` is given.
    module : str
        The module that is run in place of Flower's program for a message.

    Raises
    ------
    UserError
        If Flower is not installed as it should be.
    """
    supernode = shutil.which(SUPERNODE_PROGRAM, path=os.path.dirname(sys.executable))
    if supernode is None:
        raise UserError(f"'{SUPERNODE_PROGRAM}' is not beside {sys.executable}: install flwr there")
    programs = programs_folder()
    ours = programs / CLIENTAPP_PROGRAM
    write_text(ours, f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m {module} "$@"\n')
    ours.chmod(0o700)
    found = os.pathsep.join((os.fspath(programs.absolute()), os.path.dirname(supernode)))
    others = os.environ.get("PATH", os.defpath)
    environment = os.environ | {
        "PATH": f"{found}{os.pathsep}{others}",
        SUPERNODE: str(os.getpid()),  # it stays the same
    }
    os.execve(supernode, [supernode, *arguments], environment)


def answer_one_message(build: Callable[[Path], ClientApp]) -> None:
    """Do what ``flwr-clientapp`` does, with our ClientApp and not the one that Flower brought.

    Parameters
    ----------
    build : callable
        Makes the ClientApp, given the folder of what Flower brought.
    """
    from flwr.common.config import get_project_dir
    from flwr.supernode.cli.flwr_clientapp import flwr_clientapp
    from flwr.supernode.runtime import run_clientapp as flower

    def load(fab_id: str, fab_version: str, fab_hash: str) -> ClientApp:
        return build(Path(get_project_dir(fab_id, fab_version, fab_hash)))

    flower.get_load_client_app_fn = lambda **_: load  # type: ignore[attr-defined]
    flwr_clientapp()
