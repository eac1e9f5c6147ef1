"""``fedhds superlink`` and ``supernode``: Flower's own programs, closed where they are open."""

from __future__ import annotations

import typer

from fedhds.cli.shared import session

PASSED_ON = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
"""Everything on the command line is Flower's, ``--help`` as well."""


def superlink(context: typer.Context) -> None:
    """Run flower-superlink (its options), with its operator's interface on this machine alone."""
    with session(False, False) as progress:
        from fedhds.federation.superlink import run_superlink

        if "--insecure" in context.args:
            progress.say("warning", "warning: nothing is encrypted, and anybody may be a site")
        run_superlink(context.args)


def supernode(context: typer.Context) -> None:
    """Run flower-supernode (its options), with this package's code alone on the site's data."""
    with session(False, False) as progress:
        from fedhds.deployment.apps import SUPEREXEC
        from fedhds.federation.supernode import run_supernode

        if "--insecure" in context.args:
            progress.say("warning", "warning: nothing that leaves this site is encrypted")
        run_supernode(context.args, SUPEREXEC)
