"""The server as Flower runs it: what it does with its clients is somebody else's to say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flwr.app import Context
from flwr.serverapp import Grid
from flwr.serverapp import ServerApp as ServerApp  # for those who may not import flwr

from fedhds.federation.clients import Clients
from fedhds.federation.polling import PollingGrid
from fedhds.types import Progress

Host = Callable[[ServerApp], None]
"""Runs a ServerApp over the clients of an engine."""


def build_server_app(
    lead: Callable[[Clients], None],
    progress: Progress,
    run: int = 0,
    deadline: float | None = None,
    meet: Callable[[Clients], None] = Clients.greet,
) -> ServerApp:
    """Build Flower's ServerApp.

    Parameters
    ----------
    lead : callable
        What the server does with its clients once it knows them.
    run : int
        The run's number.
    deadline : float or None
        Seconds that clients have for a message of a round.
    meet : callable
        How it gets to know them.
    """
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        clients = Clients(grid, progress, run, deadline)
        meet(clients)
        lead(clients)

    return app


def build_deployed_app(run: Callable[[Mapping[str, Any], Host], None]) -> ServerApp:
    """Build the ServerApp of a deployment, which learns from Flower what it is to run.

    Parameters
    ----------
    run : callable
        What it does, given Flower's run config and what hosts a ServerApp over the sites.
    """
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        run(context.run_config, lambda server_app: server_app(PollingGrid(grid), context))

    return app
