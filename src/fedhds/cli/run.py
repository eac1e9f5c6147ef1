"""``fedhds run``: the main job."""

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


def run(
    config: ConfigFile,
    overrides: Overrides = None,
    out: Out = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
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
        result = experiment.run(
            checked, folder, resume=resume, overwrite=overwrite, progress=progress
        )
        if json_log:
            progress.say("summary", "", out=str(result.out), **result.summary)
            return
        results().print(compare([result.summary]))
        progress.say("done", f"the adapter is in {result.out / 'adapter'}")
