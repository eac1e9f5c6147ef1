"""Hands a run to a deployment's SuperLink, follows it, and ends as it ended.

Flower's own ``flwr run`` returns at once, or with ``--stream`` ends well whatever became of the
run. Its files and settings are kept apart from the user's: a SuperLink of another project must not
serve this run.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from fedhds.config import Config
from fedhds.config.text import to_yaml
from fedhds.deployment.events import BEGIN, END, EventReader
from fedhds.deployment.kit import CONNECTION, write_app, write_connection
from fedhds.files import scratch_folder, write_text
from fedhds.run_folder import Verb
from fedhds.types import Progress, RunFailed, UserError

BETWEEN_LOOKS = 0.2
"""Seconds between two looks at what the ServerApp tells."""

BETWEEN_QUESTIONS = 10.0
"""Seconds between two questions to Flower whether a run may still begin: each is a process."""


def submit(
    config: Config, folder: Path, verb: Verb, resume: bool, overwrite: bool, progress: Progress
) -> None:
    """Run an experiment on the SuperLink that it names, and wait for it.

    The ServerApp runs on the SuperLink's machine, which must be this one: it writes ``folder``.

    Raises
    ------
    UserError
        If there is no such SuperLink, or as in `run`.
    RunFailed
        If the run failed, was stopped, or its SuperLink is gone.
    """
    with scratch_folder(None) as scratch:
        events, experiment = scratch / "events.jsonl", scratch / "experiment.yaml"
        settings = {
            "verb": verb,
            "out": os.fspath(folder),
            "resume": resume,
            "overwrite": overwrite,
            "folder": os.getcwd(),
            "experiment": os.fspath(experiment),
            "events": os.fspath(events),
        }
        write_text(experiment, config.to_yaml())
        write_app(scratch / "app", "fedhds-run", served(config))
        federation = config.federation
        known_by = federation.certificate
        certificate = None if known_by is None else Path(known_by).absolute()
        write_connection(scratch / "flower", federation.superlink, certificate)
        flower = _Flower(scratch)
        number = flower.start(settings)
        progress.say("submitted", f"the SuperLink runs it as run {number}", run=number)
        try:
            _follow(flower, number, EventReader(events), progress)
        except KeyboardInterrupt:
            flower.ask("stop", number, CONNECTION)
            raise


def served(config: Config) -> str:
    """Return what sites are told of an experiment: not where the server has what, or tells whom."""
    plain = config.resolved()
    hidden = {
        "model": ("name", "revision", "proxy", "scorer", "device", "threads"),
        "data": ("train", "eval", "columns"),
        "federation": ("superlink", "certificate"),
        "selection": ("knowledge",),
    }
    for section, keys in hidden.items():
        plain[section] = {key: value for key, value in plain[section].items() if key not in keys}
    return to_yaml({key: value for key, value in plain.items() if key != "tracking"})


def _follow(flower: _Flower, number: str, events: EventReader, progress: Progress) -> None:
    """Pass on what the ServerApp tells until it ends, or is gone without a word."""
    process, asked = None, time.monotonic()
    while True:
        gone = process is not None and not _works(process)
        if process is None and time.monotonic() - asked > BETWEEN_QUESTIONS:
            gone, asked = flower.is_over(number), time.monotonic()
        for event, text, facts in events.new():  # after the look: its last word may be there now
            if event == END:
                _end(int(facts["status"]), text)
                return
            if event == BEGIN:
                process = int(facts["process"])
            else:
                progress.say(event, text, **facts)
        if gone:
            raise RunFailed("the server's process is gone, or its SuperLink; --resume goes on")
        time.sleep(BETWEEN_LOOKS)


def _works(process: int) -> bool:
    """Tell whether a process is there and no zombie: Flower may not look at those it started."""
    try:
        return bool(psutil.Process(process).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _end(status: int, sentence: str) -> None:
    if status == 2:
        raise UserError(sentence)
    if status:
        raise RunFailed(sentence)


def _reason(told: str) -> str:
    """Return the reason that Flower gives in its JSON, if it does."""
    try:
        return str(json.loads(told)["error-message"])
    except (ValueError, KeyError, TypeError):
        return ""


@dataclass(frozen=True)
class _Flower:
    """Flower's command line, on files of its own below ``scratch``."""

    scratch: Path

    def start(self, settings: Mapping[str, Any]) -> str:
        """Start a run and return its number."""
        given = " ".join(f"{key}={json.dumps(value)}" for key, value in settings.items())
        told = self.ask("run", os.fspath(self.scratch / "app"), CONNECTION, "--run-config", given)
        try:
            return str(json.loads(told.stdout)["run-id"])
        except (ValueError, KeyError, TypeError) as error:
            reason = _reason(told.stdout) or told.stderr.strip() or "it said nothing"
            last = reason.strip().splitlines()[-1].removeprefix("Error: ")
            raise UserError(f"the SuperLink did not take the run: {last}") from error

    def is_over(self, number: str) -> bool:
        """Tell whether a run that has not begun never will: it failed, or nobody knows of it."""
        told = self.ask("list", CONNECTION, "--run-id", number)
        try:
            return str(json.loads(told.stdout)["runs"][0]["status"]).startswith("finished")
        except (ValueError, KeyError, IndexError, TypeError):
            return True

    def ask(self, verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Carry out one of Flower's commands."""
        program = shutil.which("flwr", path=os.path.dirname(sys.executable)) or "flwr"
        return subprocess.run(
            [program, verb, *arguments, "--format", "json"],
            env={**os.environ, "FLWR_HOME": os.fspath(self.scratch / "flower")},
            capture_output=True,
            text=True,
            check=False,
        )
