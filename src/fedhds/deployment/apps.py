"""The two apps that Flower runs, from the folder of what it brought.

Light until something is asked of them: the ClientApp is started anew for each message.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fedhds.federation.relay import ClientApp
    from fedhds.federation.server_app import ServerApp

EXPERIMENT = "experiment.yaml"
"""What an app's folder holds beside its two modules."""

WORKER, MESSAGE = "fedhds.deployment.worker", "fedhds.deployment.message"
"""The programs of a site."""


def client_app(folder: Path) -> ClientApp:
    """Build the ClientApp of a site for the experiment in ``folder``."""
    from fedhds.federation.relay import relay_app

    return relay_app(folder / EXPERIMENT, WORKER, own_app)


def own_app() -> ClientApp:
    """Build the ClientApp that answers from this process's own model and data."""
    from fedhds.deployment.site import open_guard, open_site
    from fedhds.federation.client_app import build_client_app

    return build_client_app(open_site, open_guard)


def server_app(folder: Path) -> ServerApp:
    """Build the ServerApp for the experiment in ``folder``."""
    from fedhds.deployment.server import lead
    from fedhds.federation.server_app import build_deployed_app

    return build_deployed_app(lambda run_config, play: lead(folder / EXPERIMENT, run_config, play))
