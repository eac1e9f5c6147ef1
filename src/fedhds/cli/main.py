"""The ``fedhds`` command."""

from __future__ import annotations

import typer

from fedhds.cli.demo import demo
from fedhds.cli.evaluate import evaluate
from fedhds.cli.methods import methods
from fedhds.cli.run import run
from fedhds.cli.select import select

app = typer.Typer(
    help="Federated, data-efficient instruction tuning of LLMs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(demo)
app.command()(run)
app.command()(select)
app.command("eval")(evaluate)
app.command()(methods)


def main() -> None:
    """Run the command line."""
    app()
