"""The ``fedhds`` command."""

from __future__ import annotations

import os

import typer

from fedhds.cli.audit import audit
from fedhds.cli.compare import compare
from fedhds.cli.demo import demo
from fedhds.cli.doctor import doctor
from fedhds.cli.evaluate import evaluate
from fedhds.cli.flower import PASSED_ON, superlink, supernode
from fedhds.cli.init import init
from fedhds.cli.methods import methods
from fedhds.cli.policy import policy
from fedhds.cli.report import report
from fedhds.cli.run import run
from fedhds.cli.select import select

# Threads that wait by spinning make a small model many times slower on busy cores; read by
# torch's OpenMP when it is loaded, which no verb has done yet.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

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
app.command()(compare)
app.command()(report)
app.command()(methods)
app.command()(doctor)
app.command()(init)
app.command(context_settings=PASSED_ON, add_help_option=False)(superlink)
app.command(context_settings=PASSED_ON, add_help_option=False)(supernode)
app.add_typer(policy)
app.command()(audit)


def main() -> None:
    """Run the command line."""
    app()
