"""``fedhds policy``: what a site's policy says."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from fedhds.cli.shared import USER_MISTAKE, JsonLog, Overrides, results, session

policy = typer.Typer(name="policy", help="A site's policy.", no_args_is_help=True)


@policy.callback()
def _policy() -> None:
    """Tell what a site's policy says."""


@policy.command()
def check(
    policy: Annotated[Path, typer.Argument(help="The site's policy, a YAML file.")],
    config: Annotated[
        Path | None, typer.Argument(help="An experiment to hold against it.", show_default=False)
    ] = None,
    overrides: Overrides = None,
    json_log: JsonLog = False,
) -> None:
    """Explain a site's policy, and say whether it allows an experiment (if not, exit with 2)."""
    with session(quiet=False, json_log=json_log) as progress:
        from fedhds import config as configuration
        from fedhds.federation.policy import explain, listed, refusal

        checked = configuration.load_policy(policy)
        allowed = configuration.allowed_by_default(checked)
        progress.say("policy", "", **asdict(checked), allowed_by_default=allowed)
        if not json_log:
            for sentence in explain(checked):
                results().print(f"- {sentence}", soft_wrap=True)
            told = f"- methods that it allows with their default options: {listed(allowed)}"
            results().print(told, soft_wrap=True)
        if config is None and not overrides:
            return
        asked = configuration.asked(configuration.load(config, overrides or []))
        reason = refusal(checked, asked)
        progress.say("verdict", "", allowed=reason is None, reason=reason)
        if not json_log:
            verdict = "the experiment is allowed" if reason is None else f"refused: {reason}"
            results().print(verdict, soft_wrap=True)
        if reason is not None:
            raise typer.Exit(USER_MISTAKE)
