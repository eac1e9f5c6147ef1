"""``fedhds run``: the main job."""

from __future__ import annotations

from typing import Annotated

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


def run(
    config: ConfigFile,
    overrides: Overrides = None,
    out: Out = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything but the weights; write nothing.")
    ] = False,
    quiet: Quiet = False,
    json_log: JsonLog = False,
) -> None:
    """Choose coresets with the clients, tune the adapter on them, and evaluate it."""
    with session(quiet, json_log, "; --resume goes on after the last finished round") as progress:
        from fedhds import config as configuration

        # before torch is imported, which takes seconds: a typing error is told at once
        checked = configuration.load(config, overrides or [])

        from fedhds import experiment, run_folder
        from fedhds.report.comparison import compare

        folder = out or run_folder.default(config.stem, "run")
        if dry_run:
            from fedhds.cli.doctor import tell
            from fedhds.diagnosis import diagnose

            if out or resume or overwrite:  # else it may be the folder of an earlier run
                run_folder.check(folder, checked, "run", resume, overwrite)
            tell(diagnose(checked, progress), progress, json_log)
            return
        result = experiment.run(
            checked, folder, resume=resume, overwrite=overwrite, progress=progress
        )
        if json_log:
            progress.say("summary", "", out=str(result.out), **result.summary)
            return
        results().print(compare([result.summary]))
        progress.say("done", f"the adapter is in {result.out / 'adapter'}")
