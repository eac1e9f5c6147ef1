"""``fedhds eval``: score a finished run's adapter again, or on other data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedhds.cli.shared import JsonLog, Overrides, Quiet, results, session


def evaluate(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run.")],
    overrides: Overrides = None,
    quiet: Quiet = False,
    json_log: JsonLog = False,
) -> None:
    """Score a finished run's adapter on the unseen tasks, task by task."""
    with session(quiet, json_log) as progress:
        from fedhds import experiment
        from fedhds.report.comparison import per_task

        found = experiment.evaluate_run(run, overrides or [], progress)
        if json_log:
            progress.say("evaluation", "", run=str(run), **found)
            return
        low, high = found["rouge_l_ci"]
        results().print(per_task(found["per_task"]))
        results().print(
            f"{found['n']} samples: Rouge-L {found['rouge_l']:.3f} (95 % interval {low:.3f} to "
            f"{high:.3f}), loss {found['loss']:.3f}; kept in {run / 'evaluation.json'}",
            highlight=False,
            soft_wrap=True,
        )
