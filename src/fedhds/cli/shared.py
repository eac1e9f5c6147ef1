"""What the verbs share: options, output, and how mistakes end."""

from __future__ import annotations

import errno
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from fedhds.types import Progress

ConfigFile = Annotated[Path, typer.Argument(help="The experiment, a YAML file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", help="Set one key: key.key=value, the value in YAML. Repeatable."),
]
Out = Annotated[
    Path | None,
    typer.Option(help="The run folder; in runs/, after CONFIG, by default.", show_default=False),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the last finished round.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Remove an earlier run first.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results only.")]
JsonLog = Annotated[
    bool, typer.Option("--json-log", help="Print one JSON object a line instead of text.")
]

USER_MISTAKE, FAILURE, INTERRUPTED = 2, 1, 130
"""Exit statuses."""


@contextmanager
def session(quiet: bool, json_log: bool, hint: str = "") -> Iterator[Progress]:
    """Run a verb: give it its progress, and turn errors into one sentence and a status.

    Parameters
    ----------
    hint : str
        What to say after an interruption.
    """
    from fedhds.cli.progress import JsonProgress, QuietProgress, TextProgress
    from fedhds.types import RunFailed, UserError

    progress = JsonProgress() if json_log else QuietProgress() if quiet else TextProgress()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield progress
    except UserError as error:
        _fail(progress, str(error), USER_MISTAKE)
    except RunFailed as error:
        _fail(progress, str(error), FAILURE)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        _fail(progress, f"the disk is full ({error.strerror}){hint}", FAILURE)
    except KeyboardInterrupt:
        _fail(progress, f"interrupted{hint}", INTERRUPTED)
    finally:
        progress.close()


def results() -> Console:
    """Return the console for results: standard output, wide enough for tables in a pipe.

    Names of tasks and folders are printed as they are, brackets and colons included.
    """
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 120, markup=False, emoji=False)


def _fail(progress: Any, sentence: str, status: int) -> None:
    progress.say("error", f"fedhds: {sentence}", status=status)
    raise typer.Exit(status)


def _interrupt(number: int, frame: object) -> None:
    """Treat SIGTERM like Ctrl-C: the last finished round is kept either way."""
    raise KeyboardInterrupt
