"""Flower's SuperNode, as a site should run it that does not trust the server.

Flower runs whatever code the server's app brings along, in any of several kinds of process. Here
three programs of this package stand in for Flower's: the SuperNode itself, which starts our
SuperExec and no other; our SuperExec, which starts a program for a ClientApp's message and for
nothing else; and that program, which unpacks nothing that was brought, reads the experiment out of
it as text, and lets the ClientApp answer that is installed on the site. Where Flower changes what
they lean on, they fail to start, and nothing of the server's runs in their place.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable, Sequence
from types import SimpleNamespace
from typing import Any

from flwr.clientapp import ClientApp

from fedhds.federation.relay import SUPERNODE
from fedhds.types import UserError

FORBIDDEN = {
    "--isolation": "who starts the site's programs is not Flower's to say",
    "--allow-runtime-dependency-installation": "it installs what the server's app names",
}
"""Options of Flower's SuperNode that would let code in that the site did not install, and why."""

EXPERIMENT_FILE = "experiment.yaml"
"""What an app's folder holds beside its two modules."""

LARGEST_EXPERIMENT = 2**20
"""Bytes of an experiment's text; what says more is none."""


def run_supernode(arguments: Sequence[str], superexec: str) -> None:
    """Run ``flower-supernode`` with its own arguments, in this process, until it ends.

    Parameters
    ----------
    superexec : str
        The module that is run in place of Flower's SuperExec.

    Raises
    ------
    UserError
        If an option would let the server's code in.
    """
    from flwr.supernode import start_client_internal as flower
    from flwr.supernode.cli.flower_supernode import flower_supernode

    for argument in arguments:
        option = argument.split("=")[0]
        for name, why in FORBIDDEN.items():
            if len(option) > len("--i") and name.startswith(option):  # argparse takes beginnings
                raise UserError(f"'{argument}' is not for 'fedhds supernode': {why}")

    def start(command: Sequence[str]) -> subprocess.Popen[bytes]:
        program, *options = command
        if program != "flower-superexec":
            raise RuntimeError(f"Flower's SuperNode was about to start '{program}'")
        return subprocess.Popen([sys.executable, "-m", superexec, *options])

    _replace(flower, "subprocess", SimpleNamespace(Popen=start))
    os.environ[SUPERNODE] = str(os.getpid())
    sys.argv = ["flower-supernode", *arguments]
    flower_supernode()


def run_superexec(message: str) -> None:
    """Run ``flower-superexec`` with the command line's arguments, for ClientApps alone.

    Parameters
    ----------
    message : str
        The module that is run for each message.
    """
    from flwr.supercore.cli import flower_superexec
    from flwr.supercore.superexec import run_superexec as flower

    _replace(flower, "get_executor", lambda *_, **__: _OnlyClientApps(message))
    sys.argv = ["flower-superexec", *sys.argv[1:]]
    flower_superexec()


class _OnlyClientApps:
    """Flower's interface of what starts programs: here one, for one kind of task."""

    def __init__(self, message: str) -> None:
        self._message = message

    def get_eligible_capacity(
        self, supported: Iterable[Any], **_: Any
    ) -> tuple[set[Any], set[str]]:
        """Ask for no other kind of task."""
        from flwr.supercore.constant import TaskType

        return set(supported) & {TaskType.CLIENT_APP}, set()

    def wait_for_capacity(self, *_: Any, **__: Any) -> None:
        """Return at once: there is no limit to wait for."""

    def launch(self, spec: Any) -> Any:
        """Start the program for a message; anything else is not started."""
        from flwr.supercore.constant import TaskType
        from flwr.supercore.superexec.executor.types import LaunchResult

        if spec.task_type != TaskType.CLIENT_APP:
            return LaunchResult.failed(f"a site runs no {spec.task_type}")
        command = [sys.executable, "-m", self._message]
        command += ["--runtime-api-address", spec.runtime_api_address, "--token", spec.token]
        if spec.insecure:
            command += ["--insecure"]
        elif spec.root_certificates_path is not None:
            command += ["--root-certificates", spec.root_certificates_path]
        if spec.parent_pid is not None:
            command += ["--parent-pid", str(spec.parent_pid)]
        subprocess.Popen(command)
        return LaunchResult.accepted()

    def reconcile(self) -> None:
        """Do nothing: there is no pool to maintain."""

    def close(self) -> None:
        """Do nothing: programs end by themselves."""


def answer_one_message(build: Callable[[str], ClientApp]) -> None:
    """Do what ``flwr-clientapp`` does, with our ClientApp and not the one that Flower brought.

    Parameters
    ----------
    build : callable
        Makes the ClientApp, given the experiment's text.
    """
    from flwr.supernode.cli.flwr_clientapp import flwr_clientapp
    from flwr.supernode.runtime import run_clientapp as flower

    brought: list[str] = []

    def take(content: bytes, **_: Any) -> None:
        brought.append(experiment_in(content))

    _replace(flower, "install_from_fab", take)
    _replace(flower, "get_load_client_app_fn", lambda **_: lambda *_: build(brought[0]))
    flwr_clientapp()


def experiment_in(content: bytes) -> str:
    """Read the experiment out of what Flower brought, and nothing else of it.

    Raises
    ------
    ValueError
        If there is none, or more than `LARGEST_EXPERIMENT` bytes of it.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as brought, brought.open(EXPERIMENT_FILE) as file:
            text = file.read(LARGEST_EXPERIMENT + 1)
    except (zipfile.BadZipFile, KeyError) as error:
        raise ValueError("the server's app brings no experiment") from error
    if len(text) > LARGEST_EXPERIMENT:
        raise ValueError("the server's experiment is too long")
    return text.decode()


def _replace(module: Any, name: str, ours: Any) -> None:
    """Put ours in place of what a module of Flower uses, which must be there."""
    getattr(module, name)  # what is not used any more cannot be replaced
    setattr(module, name, ours)
