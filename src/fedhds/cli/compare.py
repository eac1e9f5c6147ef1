"""``fedhds compare``: methods beside each other, as tables and a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedhds.cli.shared import (
    FAILURE,
    ConfigFile,
    JsonLog,
    Overrides,
    Overwrite,
    Quiet,
    results,
    session,
)


def compare(
    config: ConfigFile,
    methods: Annotated[
        str, typer.Option(help="Selection methods, with commas between.", show_default=False)
    ],
    overrides: Overrides = None,
    seeds: Annotated[
        int, typer.Option(help="Seeds, from the config's on; each has a partition for all methods.")
    ] = 3,
    sizes: Annotated[
        str | None,
        typer.Option(
            help="Values of selection.samples, with commas between; the config's by default.",
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
    out: Annotated[
        Path | None,
        typer.Option(
            help="The folder; in runs/, CONFIG-comparison, by default.", show_default=False
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Run what is not finished yet; plans may grow.")
    ] = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json_log: JsonLog = False,
) -> None:
    """Run each method with each size and seed; say which differences are real."""
    hint = "; --resume goes on with what is not finished"
    with session(quiet, json_log, hint) as progress:
        from fedhds import config as configuration

        plain = configuration.read(config, overrides or [])
        numbers = [_number(size) for size in _split(sizes or "")]
        folder = out or Path("runs") / f"{config.stem}-comparison"

        import fedhds

        compared = fedhds.compare(
            plain,
            _split(methods),
            folder,
            seeds=seeds,
            sizes=numbers,
            reference=reference,
            resume=resume,
            overwrite=overwrite,
            progress=progress,
        )
        if json_log:
            told = {"words": compared.report.words, "groups": compared.report.rows}
            progress.say("comparison", "", out=str(folder), **told)
        else:
            for sentence in compared.report.words:
                results().print(sentence)
        progress.say("done", f"the page is {folder / 'report.html'}")
        missing = [o for o in compared.outcomes.values() if o != "finished"]
        if missing:
            sentence = f"{len(missing)} of {len(compared.outcomes)} runs are not finished"
            progress.say("error", f"fedhds: {sentence}", status=FAILURE)
            raise typer.Exit(FAILURE)


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _number(text: str) -> int:
    from fedhds.types import UserError

    if not text.isdecimal():
        raise UserError(f"--sizes are whole numbers, not '{text}'")
    return int(text)
