"""Methods beside each other: a run for each method, size and seed, on the same partitions.

Each run (a cell) has a folder and a process of its own: what one takes of memory is its own, and
one that dies takes no other with it. Several processes may share a comparison's folder: a cell
that another one is at is left to it.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from fedhds import config as configuration
from fedhds import run_folder
from fedhds.cells import Cell, Plan, failure_file, folder_of, is_comparison, read_plan
from fedhds.config import Config
from fedhds.files import write_json
from fedhds.run_folder import Busy, OtherExperiment
from fedhds.types import Progress, RunFailed, Silent, UserError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

T = TypeVar("T")

TOLD_ONCE = frozenset({"notice", "data", "dropped", "noted"})
"""Events that are told before the first cell and not again by each."""

Outcome = Literal["finished", "failed", "busy"]


def carry_out(
    planned: Plan, out: Path, progress: Progress, *, resume: bool = False, overwrite: bool = False
) -> dict[Cell, Outcome]:
    """Run all cells that are not finished; one that fails is kept as such, and the rest goes on.

    Raises
    ------
    UserError
        If the folder, the data or the models are at fault.
    """
    if multiprocessing.parent_process() is not None:
        raise UserError("a comparison begins its runs anew: call it under __name__ == '__main__'")
    _check(planned, out, resume, overwrite)
    _tell_once(planned, progress)
    if resume:
        _tell_unplanned(planned, out, progress)
    _begin(planned, out, overwrite)
    outcomes: dict[Cell, Outcome] = {}
    for number, cell in enumerate(planned.cells, start=1):
        config, folder = planned.config_of(cell), folder_of(out, cell)
        if run_folder.is_finished(folder):
            outcomes[cell] = "finished"
            continue
        progress.say("cell", f"{number} of {len(planned.cells)}: {cell.name}", **asdict(cell))
        outcome, reason = _in_own_process(config, folder, cell, progress)
        outcomes[cell] = outcome
        reason = reason.replace(str(folder), cell.name)  # a page is for others, too
        _keep_failure(out, cell, reason if outcome == "failed" else None)
        if outcome != "finished":
            progress.say("warning", f"{cell.name}: {reason}", outcome=outcome, **asdict(cell))
    return outcomes


def _keep_failure(out: Path, cell: Cell, reason: str | None) -> None:
    if reason is None:
        failure_file(out, cell).unlink(missing_ok=True)
    else:
        write_json(failure_file(out, cell), {"reason": reason})


def _check(planned: Plan, out: Path, resume: bool, overwrite: bool) -> None:
    """Refuse what stands in the way while the folder's plan is still the old one."""
    if resume and overwrite:
        raise UserError("--resume and --overwrite exclude each other")
    if out.exists() and not out.is_dir():
        raise UserError(f"'{out}' is a file, so it cannot be a comparison's folder")
    if out.exists() and any(out.iterdir()):
        if not is_comparison(out):
            raise UserError(f"'{out}' is not a comparison's folder, so it is left alone")
        if not resume and not overwrite:
            raise UserError(
                f"'{out}' is not empty: say --resume to go on or --overwrite to start again"
            )
    for cell in planned.cells if resume else ():
        try:
            run_folder.check(folder_of(out, cell), planned.config_of(cell), "run", True, False)
        except OtherExperiment:
            raise
        except UserError:  # a damaged folder is its cell's failure, and the rest goes on
            continue


def _tell_unplanned(planned: Plan, out: Path, progress: Progress) -> None:
    """Say which finished runs of an earlier plan the new one leaves out."""
    if not is_comparison(out):
        return
    gone = [cell for cell in read_plan(out).cells if cell not in planned.cells]
    names = [cell.name for cell in gone if run_folder.is_finished(folder_of(out, cell))]
    if names:
        progress.say("warning", f"left as they are, and shown no longer: {', '.join(names)}")


def _begin(planned: Plan, out: Path, overwrite: bool) -> None:
    """Make the comparison's folder, or go on in it; methods, sizes and seeds may be added."""
    if overwrite:
        for folder in sorted(path for path in (out / "runs").glob("*") if path.is_dir()):
            with run_folder.alone(folder):
                shutil.rmtree(folder)
        shutil.rmtree(out / "failed", ignore_errors=True)
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / "comparison.json", asdict(planned))
    except OSError as error:
        raise UserError(f"the folder '{out}' cannot be written: {error.strerror}") from error


def _tell_once(planned: Plan, progress: Progress) -> None:
    """Read the data once, so that a mistake in them is told before the first run."""
    from fedhds import requirements
    from fedhds.preparation import read_inputs

    told: set[str] = set()
    for cell in planned.cells:
        config = planned.config_of(cell)
        requirements.check(config)
        told |= {notice for notice in configuration.notices(config) if "not private" in notice}
    for notice in sorted(told):
        progress.say("notice", notice)
    first = planned.config_of(planned.cells[0])
    read_inputs(first, _Without("notice", progress), selects=False)


def _in_own_process(
    config: Config, folder: Path, cell: Cell, progress: Progress
) -> tuple[Outcome, str]:
    """Run a cell in a process of its own; return how it ended, and why if not well."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fedhds.experiment"])
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(
        target=_run, args=(theirs, json.dumps(config.resolved()), folder), daemon=True
    )
    with _ended(process):
        theirs.close()  # so that its end is heard of here
        try:
            while True:
                kind, *told = ours.recv()
                if kind != "say":
                    return kind, told[0]
                event, text, facts = told
                progress.say(event, text and f"{cell.name}: {text}", cell=cell.name, **facts)
        except EOFError:
            process.join()
            return "failed", f"its process died ({_death(process.exitcode)})"


@contextmanager
def _ended(process: Any) -> Iterator[None]:
    """Start a process, and see to it that it has ended after the block."""
    process.start()
    try:
        yield
        process.join()
    finally:
        if process.is_alive():
            process.terminate()
            process.join()


def _death(status: int | None) -> str:
    if status is not None and status < 0:
        hint = ", as when memory runs out" if status == -9 else ""
        return f"signal {-status}{hint}"
    return f"exit status {status}"


def _run(pipe: Connection, config: str, folder: Path) -> None:
    """Run a cell and tell of it through ``pipe``: the whole of a cell's process."""
    from fedhds import experiment

    Thread(target=_end_with_parent, daemon=True).start()
    try:
        told = _Relay(pipe)
        experiment.run(json.loads(config), folder, resume=True, progress=told)
        pipe.send(("finished", ""))
    except Busy as error:
        pipe.send(("busy", str(error)))
    except (UserError, RunFailed) as error:
        pipe.send(("failed", str(error)))
    except KeyboardInterrupt:
        pass  # whoever interrupted us interrupted those whom we would tell
    except Exception as error:  # whose words may quote data, and the page shows the reason
        traceback.print_exc()
        pipe.send(("failed", f"{type(error).__name__}; standard error has said more"))


def _end_with_parent() -> None:
    """Die as soon as the process that began us has: a run without it would be in the way."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class _Relay(Silent):
    """Progress that is told in another process."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def say(self, event: str, text: str, **facts: Any) -> None:
        """Send it, but for what was told before the first cell."""
        if event not in TOLD_ONCE:
            self._pipe.send(("say", event, text, facts))


@dataclass(frozen=True)
class _Without:
    """Progress without one kind of event."""

    event: str
    progress: Progress

    def track(self, items: Iterable[T], description: str, total: int) -> Iterator[T]:
        """Yield ``items`` while showing how many there are."""
        return self.progress.track(items, description, total)

    def say(self, event: str, text: str, **facts: Any) -> None:
        """Tell everything else."""
        if event != self.event:
            self.progress.say(event, text, **facts)
