"""``fedhds report``: one page of runs, whole in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedhds.cli.shared import JsonLog, Quiet, session


def report(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, and folders of comparisons.")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="The page; report.html by default, in the folder if there is but one.",
            show_default=False,
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            help="The method that the others are compared with; random, or else the first.",
            show_default=False,
        ),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            help="A folder for the figures (PNG, SVG) and the table (Markdown, CSV, LaTeX).",
            show_default=False,
        ),
    ] = None,
    with_text: Annotated[
        bool,
        typer.Option("--with-text", help="Show samples' texts: on the machine of the data only."),
    ] = False,
    quiet: Quiet = False,
    json_log: JsonLog = False,
) -> None:
    """Write one self-contained page: what was compared, what came out, what it cost."""
    with session(quiet, json_log) as progress:
        import fedhds

        page = fedhds.write_report(
            runs, out, reference=reference, with_text=with_text, export_to=export
        )
        progress.say("done", f"the page is {page}", page=str(page))
        if export is not None:
            progress.say("exported", f"figures and tables are in {export}", folder=str(export))
