"""The two apps that Flower runs, from the folder of what it brought.

Light until something is asked of them: the ClientApp is started anew for each message.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fedhds.federation.relay import ClientApp
    from fedhds.federation.server_app import ServerApp

WORKER, ANSWERING = "fedhds.deployment.worker", "fedhds.deployment.answering"
SUPEREXEC = "fedhds.deployment.superexec"
"""The programs of a site."""


def client_app(folder: Path) -> ClientApp:
    """Build the ClientApp of a site for the experiment in ``folder``."""
    from fedhds.federation.supernode import EXPERIMENT_FILE

    return client_app_of((folder / EXPERIMENT_FILE).read_text(encoding="utf-8"))


def client_app_of(experiment: str) -> ClientApp:
    """Build the ClientApp of a site for an experiment's text."""
    from fedhds.deployment.state import note
    from fedhds.federation.relay import relay_app

    return relay_app(experiment, WORKER, own_app, note)


def own_app() -> ClientApp:
    """Build the ClientApp that answers from this process's own model and data."""
    from fedhds.deployment.site import open_guard, open_site
    from fedhds.federation.client_app import build_client_app

    return build_client_app(open_site, open_guard)


def server_app(folder: Path) -> ServerApp:
    """Build the ServerApp for the experiment in ``folder``."""
    from fedhds.deployment.server import run_deployed
    from fedhds.federation.server_app import build_deployed_app
    from fedhds.federation.supernode import EXPERIMENT_FILE

    path = folder / EXPERIMENT_FILE
    return build_deployed_app(lambda run_config, host: run_deployed(path, run_config, host))
