"""``fedhds init``: the files of a federation across machines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedhds.cli.shared import JsonLog, Quiet, session


def init(
    folder: Annotated[Path, typer.Argument(help="The server's folder; it is made.")],
    sites: Annotated[str, typer.Option(help="The sites' names, with commas between.")],
    host: Annotated[
        str, typer.Option(help="Names or addresses of the server as sites reach it, with commas.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The server's port.", min=1, max=65535)] = 8000,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Plain text, and anybody may be a site.")
    ] = False,
    quiet: Quiet = False,
    json_log: JsonLog = False,
) -> None:
    """Write a federation's Flower app, certificates, keys, policies and the commands to run it."""
    with session(quiet, json_log) as progress:
        from fedhds.config import check_sites
        from fedhds.deployment.kit import write_kit

        names = [name.strip() for name in sites.split(",")]
        hosts = [name.strip() for name in host.split(",")]
        check_sites(names, "--sites")
        write_kit(folder, names, hosts, port, encrypted=not insecure)
        if insecure:
            sentence = "warning: nothing will be encrypted, and anybody may be a site"
            progress.say("warning", sentence, insecure=True)
        progress.say("done", f"what to do on the server and on each site is in {folder}/README.md")
