"""``fedhds select``: the coresets alone."""

from __future__ import annotations

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


def select(
    config: ConfigFile,
    overrides: Overrides = None,
    out: Out = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json_log: JsonLog = False,
) -> None:
    """Play the rounds of selection with the adapter untouched and write the coresets."""
    with session(quiet, json_log, "; --resume goes on after the last finished round") as progress:
        from fedhds import config as configuration

        # before torch is imported, which takes seconds: a typing error is told at once
        checked = configuration.load(config, overrides or [])

        from fedhds import experiment, run_folder

        folder = out or run_folder.default(config.stem, "select")
        result = experiment.select(
            checked, folder, resume=resume, overwrite=overwrite, progress=progress
        )
        if json_log:
            progress.say("summary", "", out=str(result.out), **result.summary)
            return
        used, total = result.summary["samples_used"], result.summary["samples_total"]
        results().print(
            f"{used} of {total} samples chosen, in {result.out / 'coresets'}", soft_wrap=True
        )
