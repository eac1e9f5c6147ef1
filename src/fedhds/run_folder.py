"""The run folder: what it holds, when it may be written to, and how it is begun."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from fedhds import config as configuration
from fedhds.config import Config
from fedhds.federation.messages import COUNT_LIMIT
from fedhds.files import TEMPORARY, read_json, write_json, write_text
from fedhds.models import save_adapter, set_adapter_arrays
from fedhds.preparation import Experiment
from fedhds.pretrained import locate
from fedhds.types import Arrays, UserError

Verb = Literal["run", "select"]

OWNED = (
    "config.yaml",
    "summary.json",
    "rounds.jsonl",
    "failure.json",
    "unseen.json",
    "samples.json",
    "evaluation.json",
    "judgement.json",
    "adapter",
    "adapter.unfinished",
    "checkpoint",
    "clients",
    "coresets",
    "tracking",
)
"""What a run folder holds beside ``run.json``; nothing else in it is ever removed.

``run.json`` tells that it is one, and ``config.yaml`` that it was begun to the end: a
process killed in between leaves a folder that can be resumed or overwritten.
"""


class Busy(UserError):
    """Another process has the run folder."""


class OtherExperiment(UserError):
    """The run folder is of another configuration."""


def check(folder: Path, config: Config, verb: Verb, resume: bool, overwrite: bool) -> None:
    """Refuse to write over what is there, or to resume what is another experiment.

    Raises
    ------
    UserError
        Saying what stands in the way.
    """
    if resume and overwrite:
        raise UserError("--resume and --overwrite exclude each other")
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise UserError(f"'{nearest}' is a file, so '{folder}' cannot be a run folder")
    # a killed run may leave temporary files, and nothing else
    if not folder.exists() or all(path.name.startswith(TEMPORARY) for path in folder.iterdir()):
        return
    if not resume and not overwrite:
        raise UserError(
            f"'{folder}' is not empty: say --resume to go on or --overwrite to start again"
        )
    # many a folder that is not ours has a config.yaml
    if not (folder / "run.json").is_file():
        raise UserError(f"'{folder}' is not a run folder (it has no run.json), so it is left alone")
    if resume:
        _check_same_experiment(folder, config, verb)


def check_data(folder: Path, fingerprint: str) -> None:
    """Refuse to go on with, or to judge, a run whose data changed since it began."""
    if _record(folder)["data"] != fingerprint:
        raise UserError(f"the data changed since '{folder}' was begun")


def check_knowledge(folder: Path, knowledge: str | None) -> None:
    """Refuse to go on with a run whose public knowledge changed since it began."""
    if _record(folder).get("knowledge") != knowledge:
        raise UserError(f"selection.knowledge holds something else since '{folder}' was begun")


def default(name: str, verb: Verb) -> Path:
    """Return the run folder of a config's name where the user gives none."""
    return Path("runs") / (name if verb == "run" else f"{name}-{verb}")


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Make the run folder, and keep it from other processes until the block ends or we die.

    Raises
    ------
    UserError
        If it cannot be made.
    Busy
        If another process has it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the folder '{folder}' cannot be made: {error.strerror}") from error
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy(f"another process is running in '{folder}'") from error
        yield
    finally:
        os.close(descriptor)


def is_begun(folder: Path) -> bool:
    """Tell whether there is a run to go on with."""
    return (folder / "config.yaml").is_file()


def is_finished(folder: Path) -> bool:
    """Tell whether a run came to its end here: its summary is the last that it writes."""
    return (folder / "summary.json").is_file()


def has_rounds(folder: Path) -> bool:
    """Tell whether a round was finished here; each has a checkpoint before it has its line."""
    lines = folder / "rounds.jsonl"
    return lines.is_file() and lines.stat().st_size > 0


def number(folder: Path) -> int:
    """Return the run's number, by which servers and clients tell runs apart; 0 in old folders."""
    return int(_record(folder).get("number", 0))


def begin(folder: Path, experiment: Experiment, verb: Verb) -> None:
    """Make the run folder, or clear what an earlier run left in it."""
    clear_temporaries(folder)
    for name in OWNED:
        _remove(folder / name)
    data = experiment.data
    record = {
        "verb": verb,
        # names the run, also among those of one configuration; nothing is computed from it
        "number": 1 + secrets.randbelow(COUNT_LIMIT - 1),
        "data": data.fingerprint,
        "knowledge": experiment.knowledge,
    }
    clients = [
        {
            "name": client.name,
            "samples": len(client.train),
            "validation": len(client.validation),
            "tasks": Counter(sample.example.task for sample in client.train),
        }
        for client in data.clients
    ]
    write_json(folder / "run.json", record | {"skew": data.skew, "clients": clients})
    write_text(folder / "config.yaml", experiment.config.to_yaml())


def enrol(
    folder: Path, names: Sequence[str], samples: Mapping[int, int], validation: Mapping[int, int]
) -> None:
    """Write down the clients of a deployment, which told only now how much data they have.

    One that takes no part has none.
    """
    found = [
        {
            "name": name,
            "samples": samples.get(n, 0),
            "validation": validation.get(n, 0),
            "tasks": {},
        }
        for n, name in enumerate(names)
    ]
    write_json(folder / "run.json", _record(folder) | {"clients": found})


def clients(folder: Path) -> list[dict[str, Any]]:
    """Return what a run folder says of the run's clients."""
    found: list[dict[str, Any]] = _record(folder).get("clients", [])
    return found


def clear_temporaries(folder: Path) -> None:
    """Remove the files that a killed process was writing, and its scratch folders."""
    for leftover in sorted(folder.rglob(f"{TEMPORARY}*")):  # listed before any of them is gone
        _remove(leftover)


def write_adapter(folder: Path, experiment: Experiment, adapter: Arrays, card: str) -> None:
    """Write an adapter in peft's format with its model card to ``folder/adapter``, at once."""
    set_adapter_arrays(experiment.model.model, adapter)
    unfinished = folder / "adapter.unfinished"
    _remove(unfinished)
    save_adapter(experiment.model.model, unfinished, locate(experiment.config.model.name))
    write_text(unfinished / "README.md", card)  # in place of peft's, which is a form to fill in
    _remove(folder / "adapter")
    unfinished.rename(folder / "adapter")


def _check_same_experiment(folder: Path, config: Config, verb: Verb) -> None:
    if not is_begun(folder):
        return  # killed while it was begun, so it is begun again
    kept = configuration.load(folder / "config.yaml").resolved()  # with keys that are new since
    differing = _first_difference(kept, config.resolved())
    if differing:
        raise OtherExperiment(
            f"'{folder}' is of another experiment: {differing} differs; "
            "say --overwrite or another --out"
        )
    if (other := _record(folder)["verb"]) != verb:
        raise UserError(
            f"'{folder}' was begun by 'fedhds {other}'; say --overwrite or another --out"
        )


def _record(folder: Path) -> dict[str, Any]:
    """Read what the run folder says of itself."""
    try:
        record: dict[str, Any] = read_json(folder / "run.json")
    except ValueError as error:
        raise UserError(f"'{folder / 'run.json'}' is broken: say --overwrite") from error
    return record


def _first_difference(one: Any, other: Any) -> str | None:
    """Return the dotted key at which two nested mappings first differ, or None."""
    if not isinstance(one, Mapping) or not isinstance(other, Mapping):
        return None if one == other else ""
    for key in [*one, *(key for key in other if key not in one)]:
        below = _first_difference(one.get(key), other.get(key))
        if below is not None:
            return f"{key}.{below}".rstrip(".")
    return None


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
