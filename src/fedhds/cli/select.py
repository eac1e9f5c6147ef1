"""``fedhds select``: the coresets alone, and how representative they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedhds.cli.shared import (
    ConfigFile,
    JsonLog,
    Out,
    Overrides,
    Overwrite,
    Quiet,
    Resume,
    results,
    session,
)

if TYPE_CHECKING:
    from fedhds.types import Progress


def select(
    config: ConfigFile,
    overrides: Overrides = None,
    out: Out = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    judge: Annotated[
        bool,
        typer.Option("--judge", help="Compare the coreset with random ones and two references."),
    ] = False,
    encoder: Annotated[
        Path | None,
        typer.Option(help="A sentence encoder's folder, to judge with too.", show_default=False),
    ] = None,
    quiet: Quiet = False,
    json_log: JsonLog = False,
) -> None:
    """Play the rounds of selection with the adapter untouched and write the coresets."""
    with session(quiet, json_log, "; --resume goes on after the last finished round") as progress:
        from fedhds import config as configuration
        from fedhds.types import UserError

        # before torch is imported, which takes seconds: a typing error is told at once
        checked = configuration.load(config, overrides or [])
        if encoder and not judge:
            raise UserError("--encoder is for --judge: give both or neither")
        if judge and checked.federation.engine == "deployment":
            raise UserError("--judge reads all clients' texts, which stay at a deployment's sites")

        from fedhds import experiment, run_folder

        if encoder:
            from fedhds.pretrained import load_encoder

            load_encoder(encoder)  # a folder without a model is told before the selection
        folder = out or run_folder.default(config.stem, "select")
        result = experiment.select(
            checked, folder, resume=resume, overwrite=overwrite, progress=progress
        )
        if json_log:
            progress.say("summary", "", out=str(result.out), **result.summary)
        else:
            used, total = result.summary["samples_used"], result.summary["samples_total"]
            results().print(
                f"{used} of {total} samples chosen, in {result.out / 'coresets'}", soft_wrap=True
            )
        if judge:
            _judge(result.out, encoder, progress, json_log)


def _judge(out: Path, encoder: Path | None, progress: Progress, json_log: bool) -> None:
    """Judge a finished selection and print a table of each space."""
    from fedhds import judging
    from fedhds.report.judgement import show

    found = judging.judge(out, encoder, progress)
    if json_log:
        progress.say("judgement", "", out=str(out), **found)
        return
    for space in found["spaces"]:
        results().print(show(found, space))
