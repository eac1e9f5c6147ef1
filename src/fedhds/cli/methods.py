"""``fedhds methods``: what there is to choose from."""

from __future__ import annotations

import sys
from typing import Any

from fedhds.cli.shared import results, session


def methods() -> None:
    """List the methods of every kind with their sources, and what an aggregation holds."""
    with session(quiet=True, json_log=False):
        from rich.table import Table

        from fedhds import registry

        rows = [
            (kind, name, registry.source(kind, name), _held(registry.load(kind, name)))
            for kind in registry.KINDS
            for name in registry.names(kind)
        ]
        if not sys.stdout.isatty():
            print("\n".join("\t".join(row) for row in rows))
            return
        table = Table("kind", "name", "source", "server holds")
        for row in rows:
            table.add_row(*row)
        results().print(table)


def _held(method: Any) -> str:
    """Return what the server holds for an aggregation at a time; other kinds say nothing."""
    return str(getattr(method, "holds", ""))
