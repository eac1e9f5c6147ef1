"""The server: greets the clients, then plays the rounds."""

from __future__ import annotations

from collections.abc import Callable

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from fedhds.federation.clients import Clients
from fedhds.types import Progress


def build_server_app(lead: Callable[[Clients], None], progress: Progress) -> ServerApp:
    """Build Flower's ServerApp.

    Parameters
    ----------
    lead : callable
        What the server does with its clients once it knows them.
    """
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        clients = Clients(grid, progress)
        clients.greet()
        lead(clients)

    return app
