"""``fedhds doctor``: what is here, and what would go wrong."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedhds.cli.shared import USER_MISTAKE, JsonLog, Overrides, results, session

if TYPE_CHECKING:
    from fedhds.diagnosis import Diagnosis
    from fedhds.types import Progress


def doctor(
    config: Annotated[
        Path | None, typer.Argument(help="An experiment to look into.", show_default=False)
    ] = None,
    overrides: Overrides = None,
    json_log: JsonLog = False,
) -> None:
    """Tell versions and devices and, of an experiment, its memory and what would go wrong."""
    with session(quiet=False, json_log=json_log) as progress:
        from fedhds import config as configuration

        given = config is not None or overrides
        checked = configuration.load(config, overrides or []) if given else None

        from rich.table import Table

        from fedhds.diagnosis import diagnose, machine

        facts = machine()
        progress.say("machine", "", **facts)
        if not json_log:
            table = Table("this machine", "", show_header=False)
            for name, value in facts.items():
                table.add_row(name, value)
            results().print(table)
        if checked:
            tell(diagnose(checked, progress), progress, json_log)


def tell(found: Diagnosis, progress: Progress, json_log: bool) -> None:
    """Show a diagnosis, and end as after a mistake of the user's if anything would go wrong."""
    from fedhds.report import plan

    if json_log:
        progress.say("diagnosis", "", **asdict(found))
    else:
        if found.plan is not None:
            results().print(plan.show(asdict(found.plan)))
        for sentence in plan.verdict(found.problems, found.warnings):
            results().print(sentence, soft_wrap=True)
    if found.problems:
        raise typer.Exit(USER_MISTAKE)
