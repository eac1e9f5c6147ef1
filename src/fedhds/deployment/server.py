"""The ServerApp's half of a deployed run: from Flower's run config to a run folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedhds import config as configuration
from fedhds import run_folder
from fedhds.config import Config
from fedhds.deployment.events import BEGIN, END, EventFile
from fedhds.experiment import conduct
from fedhds.federation.server_app import Play
from fedhds.types import Progress, RunFailed, UserError


def lead(experiment: Path, run_config: Mapping[str, Any], play: Play) -> None:
    """Run an experiment over a deployment's sites, and tell how it ended.

    Parameters
    ----------
    experiment : Path
        Its file, as Flower brought it.
    run_config : mapping
        Flower's: ``folder`` (where relative paths begin; the SuperLink's own if empty), ``out``,
        ``verb``, ``resume``, ``overwrite``, and ``events`` (a file to tell them to, or empty).
    play : callable
        Plays a ServerApp over the sites.

    Raises
    ------
    RunFailed
        If the run did: Flower then calls it failed, too.
    """
    events = str(run_config["events"])
    progress = EventFile(Path(events) if events else None)
    progress.say(BEGIN, "", process=os.getpid())
    status, sentence = 1, "the run ended without a word"
    try:
        if run_config["folder"]:
            os.chdir(str(run_config["folder"]))
        _conduct(configuration.load(experiment), run_config, progress, play)
        status, sentence = 0, ""
    except UserError as error:
        status, sentence = 2, str(error)
    except (RunFailed, OSError) as error:
        sentence = str(error)
    except Exception as error:
        sentence = f"an error of fedhds itself, told in Flower's log ({type(error).__name__})"
        raise
    finally:
        progress.say(END, sentence and f"fedhds: {sentence}", status=status)
    if status:
        raise RunFailed(sentence)


def _conduct(config: Config, run_config: Mapping[str, Any], progress: Progress, play: Play) -> None:
    verb: run_folder.Verb = "select" if run_config["verb"] == "select" else "run"
    resume, overwrite = bool(run_config["resume"]), bool(run_config["overwrite"])
    folder = Path(str(run_config["out"]) or run_folder.default("deployed", verb))
    conduct(config, folder, verb, resume, overwrite, progress, play)
