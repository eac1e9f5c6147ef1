"""``fedhds audit``: every message that left a site."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedhds.cli.shared import JsonLog, results, session

if TYPE_CHECKING:
    from rich.table import Table

    from fedhds.federation.ledger import Entry, Ledger
    from fedhds.types import Progress

PREFIX = 12
"""Characters shown of a hash."""


def audit(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs on this site.")],
    json_log: JsonLog = False,
) -> None:
    """List every message that left this site in a run: kind, fields, sizes, hashes, refusals."""
    with session(quiet=False, json_log=json_log) as progress:
        from fedhds.federation.ledger import MESSAGES, Ledger
        from fedhds.types import UserError

        ledgers = [Ledger(run) for run in runs]
        for run, ledger in zip(runs, ledgers, strict=True):
            if not ledger.path.is_file():
                raise UserError(
                    f"'{run}' is not the folder of a run on a site: it has no {MESSAGES}"
                )
        for run, ledger in zip(runs, ledgers, strict=True):
            if len(runs) > 1 and not json_log:
                results().print(f"{run}")
            _tell(ledger, progress, json_log)


def _tell(ledger: Ledger, progress: Progress, json_log: bool) -> None:
    """Tell what one run's ledger holds."""
    entries, torn = ledger.entries()
    for number in torn:
        progress.say(
            "warning",
            f"warning: line {number} of '{ledger.path}' is torn: the site died while it was "
            "written, before its message left",
            line=number,
        )
    for entry in entries:
        progress.say("message", "", **{"sent_at": entry.time, **_without_time(entry)})
    for kind, (messages, size, errors, refused) in _totals(entries).items():
        counts = {"messages": messages, "bytes": size, "errors": errors, "refused": refused}
        progress.say("total", "", kind=kind, **counts)
    if json_log:
        return
    results().print(_listed(entries))
    results().print(_summed(entries))
    for (refused, reason), count in Counter((e.refused, e.reason) for e in entries).items():
        if reason is not None:
            told = f"{'refused' if refused else 'failed'} {count} time(s): {reason}"
            results().print(told, soft_wrap=True)


def _without_time(entry: Entry) -> dict[str, object]:
    return {name: value for name, value in asdict(entry).items() if name != "time"}


def _listed(entries: Sequence[Entry]) -> Table:
    """Show each message, a field a row."""
    from rich.table import Table

    table = Table("time (UTC)", "kind", "round", "fields", "bytes", "sha256")
    for entry in entries:
        about: tuple[str, ...] = entry.time[:19], entry.kind, str(entry.round)
        for field in _fields(entry):
            table.add_row(*about, *field)
            about = "", "", ""
    return table


def _fields(entry: Entry) -> list[tuple[str, str, str]]:
    """Return what a message held: what it is, its bytes, and the beginning of its hash."""
    if entry.reason is not None:
        return [("refusal" if entry.refused else "error", f"{entry.bytes:,}", "")]
    arrays = [
        (f"{a.record}/{a.name}: {a.dtype} {a.shape}", f"{a.bytes:,}", a.sha256[:PREFIX])
        for a in entry.arrays
    ]
    others = entry.bytes - sum(array.bytes for array in entry.arrays)
    named = f"facts: {', '.join(entry.facts)}"
    return [(named, f"{others:,}", (entry.facts_sha256 or "")[:PREFIX]), *arrays]


def _summed(entries: Sequence[Entry]) -> Table:
    from rich.table import Table

    table = Table("kind", "messages", "bytes", "errors", "refused")
    for kind, counts in _totals(entries).items():
        table.add_row(kind, *(f"{count:,}" for count in counts))
    return table


def _totals(entries: Sequence[Entry]) -> dict[str, tuple[int, int, int, int]]:
    """Return messages, bytes, errors and refusals (which are errors) by kind."""
    by_kind = {kind: [e for e in entries if e.kind == kind] for kind in _kinds(entries)}
    return {
        kind: (
            len(own),
            sum(entry.bytes for entry in own),
            sum(entry.reason is not None for entry in own),
            sum(entry.refused for entry in own),
        )
        for kind, own in by_kind.items()
    }


def _kinds(entries: Sequence[Entry]) -> list[str]:
    return list(dict.fromkeys(entry.kind for entry in entries))
