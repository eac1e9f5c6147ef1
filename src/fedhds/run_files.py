"""What the files of a run folder must hold for a report to be made of them.

They may come from elsewhere, so they are checked when they are read. Keys that are not named here
may be there, too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fedhds.types import UserError

Count = Annotated[int, Field(ge=0, lt=2**53)]
Number = Annotated[float, Field(allow_inf_nan=False)]
MaybeNumber = Number | None
COLUMNS = {
    "unseen.json": ("tasks", "rouge_l", "loss_sums", "token_counts"),
    "samples.json": ("client", "task", "x", "y", "group", "chosen"),
}
"""What is to be of one length."""


class _Part(BaseModel):
    model_config = ConfigDict(strict=True)


class Client(_Part):
    """A client in ``run.json``."""

    name: str
    samples: Count
    validation: Count
    tasks: dict[str, Count]


class Record(_Part):
    """``run.json``."""

    data: str
    skew: dict[str, Number] | None = None
    clients: list[Client] | None = None


class Means(_Part):
    """An evaluation's means on validation samples."""

    loss: MaybeNumber
    rouge_l: MaybeNumber


class Validation(_Part):
    """Validation before tuning, and of the best adapter."""

    before: Means | None
    after: Means | None


class Task(_Part):
    """An unseen task in ``summary.json``."""

    n: Count
    rouge_l_before: MaybeNumber
    rouge_l_after: MaybeNumber
    loss_before: MaybeNumber
    loss_after: MaybeNumber


class Summary(_Part):
    """``summary.json``."""

    method: str
    clients: Count
    samples_total: Count
    samples_used: Count
    samples_validation: Count
    rouge_l_before: MaybeNumber
    rouge_l_after: MaybeNumber
    loss_before: MaybeNumber
    loss_after: MaybeNumber
    validation: Validation
    per_task: dict[str, Task]
    seconds: dict[str, Number]
    bytes: dict[str, Count]
    peak_rss_mb: Number
    dropped: dict[str, Count]
    noted: dict[str, Count]
    warnings: list[str]
    repeated_rounds: Count
    versions: dict[str, str]
    machine: dict[str, str | int | None]
    base_model: str | None = None


class Scores(_Part):
    """Scores of unseen samples, by column."""

    tasks: list[str]
    rouge_l: list[Number]
    loss_sums: list[Number]
    token_counts: list[Number]


class Unseen(_Part):
    """``unseen.json``."""

    before: Scores
    after: Scores


class Samples(_Part):
    """``samples.json``."""

    tasks: list[str]
    client: list[Count]
    task: list[Count]
    x: list[Number]
    y: list[Number]
    group: list[int]
    chosen: list[int]


class UnseenMeans(_Part):
    """An evaluation's means on unseen tasks."""

    rouge_l_mean: MaybeNumber
    loss_mean: MaybeNumber


class Evaluation(_Part):
    """An evaluation in a line of ``rounds.jsonl``."""

    unseen: UnseenMeans | None
    validation: Means | None


class Round(_Part):
    """A line of ``rounds.jsonl``."""

    round: Count
    evaluation: Evaluation | None
    failed: dict[str, str]
    dropped_replies: dict[str, dict[str, str]] = {}
    remarks: list[str]
    skipped_steps: Count


class Failure(_Part):
    """``failure.json``, or why a comparison's cell failed."""

    reason: str


def read(path: Path, kind: type[BaseModel]) -> Any:
    """Read a JSON file that need not be there, as it is.

    Raises
    ------
    UserError
        If it is not what it must be.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return check(json.loads(text), kind, path)
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError, too
        raise UserError(f"'{path}' is broken: {error}") from error


def read_lines(path: Path, kind: type[BaseModel]) -> tuple[Any, ...]:
    """Read a file of JSON lines that need not be there; what a power cut tore ends it."""
    if not path.is_file():
        return ()
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            break
        found.append(check(value, kind, path))
    return tuple(found)


def check(value: Any, kind: type[BaseModel], path: Path) -> Any:
    """Return a value of a file if it is of its kind (errors as in `read`)."""
    try:
        kind.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(f"'{path}' is broken: {place}: {first['msg']}") from error
    for part in value.values() if path.name == "unseen.json" else (value,):
        _check_lengths(part, path)
    return value


def _check_lengths(part: Mapping[str, Any], path: Path) -> None:
    lengths = {len(part[name]) for name in COLUMNS.get(path.name, ())}
    if len(lengths) > 1:
        raise UserError(f"'{path}' is broken: its columns are of different lengths")
