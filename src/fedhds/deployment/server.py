"""The ServerApp's half of a deployed run: from Flower's run config to a run folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedhds import config as configuration
from fedhds import run_folder
from fedhds.deployment.events import BEGIN, END, EventFile
from fedhds.experiment import conduct
from fedhds.federation.server_app import Host
from fedhds.run_folder import Verb
from fedhds.types import RunFailed, UserError


@dataclass(frozen=True)
class RunConfig:
    """Flower's run config, whose keys stand in the app's ``pyproject.toml``, too.

    Attributes
    ----------
    verb : {"run", "select"}
    out : str
        The run folder; its default if empty.
    resume, overwrite : bool
    folder : str
        Where relative paths begin; where the SuperLink was started if empty.
    experiment : str
        A file with the whole experiment, of which sites are sent a part; theirs if empty.
    events : str
        A file to tell events to; none if empty.
    """

    verb: Verb = "run"
    out: str = ""
    resume: bool = False
    overwrite: bool = False
    folder: str = ""
    experiment: str = ""
    events: str = ""


def run_deployed(served: Path, run_config: Mapping[str, Any], host: Host) -> None:
    """Run an experiment over a deployment's sites, and tell how it ended.

    Parameters
    ----------
    served : Path
        The experiment's file, as Flower brought it.
    run_config : mapping
        Flower's (see `RunConfig`).
    host : callable
        Hosts a ServerApp over the sites.

    Raises
    ------
    RunFailed
        If the run did: Flower then calls it failed, too.
    """
    events = str(run_config.get("events", ""))
    progress = EventFile(Path(events) if events else None)
    progress.say(BEGIN, "", process=os.getpid())
    status, sentence = 1, "the run ended without a word"
    try:
        settings = configuration.build(RunConfig, dict(run_config), "run-config")
        if settings.folder:
            os.chdir(settings.folder)
        config = configuration.load(settings.experiment or served)
        folder = Path(settings.out or run_folder.default("deployed", settings.verb))
        how = settings.verb, settings.resume, settings.overwrite
        conduct(config, folder, *how, progress, host)
        status, sentence = 0, ""
    except UserError as error:
        status, sentence = 2, str(error)
    except (RunFailed, OSError) as error:
        sentence = str(error)
    except Exception as error:
        sentence = f"an error of fedhds itself, told in Flower's log ({type(error).__name__})"
        raise
    finally:
        progress.say(END, sentence, status=status)
    if status:
        raise RunFailed(sentence)
