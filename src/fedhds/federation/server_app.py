"""The server: greets the clients, then plays the rounds."""

from __future__ import annotations

from collections.abc import Callable

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from fedhds.federation.clients import Clients
from fedhds.types import Progress


def build_server_app(
    lead: Callable[[Clients], None],
    progress: Progress,
    run: int = 0,
    deadline: float | None = None,
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
    """
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        clients = Clients(grid, progress, run, deadline)
        clients.greet()
        lead(clients)

    return app
