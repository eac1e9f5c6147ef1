"""``fedhds demo``: the main job on the embedded default, beside training on everything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedhds.cli.shared import JsonLog, Overwrite, Quiet, Resume, results, session


def demo(
    out: Annotated[
        Path, typer.Option(help="The run folder; the run on all samples goes to OUT-full.")
    ] = Path("runs/demo"),
    resume: Resume = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json_log: JsonLog = False,
) -> None:
    """Tune the embedded tiny Llama on the toy federation, chosen samples against all."""
    with session(quiet, json_log, "; --resume goes on after the last finished round") as progress:
        from importlib.resources import files

        from fedhds import config as configuration
        from fedhds import experiment
        from fedhds.report.comparison import compare, verdict

        source = Path(str(files("fedhds") / "assets" / "demo.yaml"))
        named = out if out.name not in ("", "..") else out.resolve()
        full = named.with_name(f"{named.name}-full")
        summaries = []
        for folder, method in ((out, "fedhds"), (full, "full")):
            progress.say("demo", f"{method} into {folder}", method=method)
            checked = configuration.load(source, [f"selection.method={method}"])
            result = experiment.run(
                checked, folder, resume=resume, overwrite=overwrite, progress=progress
            )
            summaries.append(result.summary)
        if json_log:
            progress.say("summaries", "", summaries=summaries)
            return
        results().print(compare(summaries))
        results().print(verdict(*summaries), highlight=False)
