"""What was dropped, failed or warned of in the runs, each thing once with where it happened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fedhds.report.figures._figure import called, several
from fedhds.report.runs import Group, Run

NAMED = 3
"""Most runs that are named rather than counted."""


@dataclass(frozen=True)
class LeftOut:
    """One thing: its kind, what it is, how often it happened in a run, and in which runs."""

    kind: str
    what: str
    often: str
    where: str


REMARK = "remark of a round"


def left_out(groups: Sequence[Group]) -> list[LeftOut]:
    """List all that the runs tell of, ended runs first; equal things of several runs are one."""
    runs = {called(group, run): run for group in groups for run in group.runs}
    found: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for name, run in runs.items():
        for kind, what, count in _of_run(run):
            found[kind, what][name] = found[kind, what].get(name, 0) + count
    listed = [
        LeftOut(kind, what, _range(list(counts.values())), _where(list(counts), len(runs)))
        for (kind, what), counts in found.items()
    ]
    return sorted(listed, key=lambda entry: KINDS.index(entry.kind))


KINDS = (
    "run that failed",
    "run that is not finished",
    "data left out",
    "data kept though odd",
    "warning",
    "client that failed in a round",
    "round that was played again",
    "training step skipped",
    "reply that was dropped",
    REMARK,
)


def _of_run(run: Run) -> Iterator[tuple[str, str, int]]:
    """Yield what a run tells of, in the order of `KINDS`, with how often."""
    reached = several(len(run.rounds), "round")
    if run.status == "failed":
        yield KINDS[0], f"after {reached}: {run.reason or 'no reason is known'}", 1
    if run.status == "unfinished":
        yield KINDS[1], f"after {reached}" if run.rounds else "no round is finished", 1
    summary = run.summary or {}
    for kind, name in ((KINDS[2], "dropped"), (KINDS[3], "noted")):
        for reason, count in (summary.get(name) or {}).items():
            if count:
                yield kind, str(reason).replace("_", " "), int(count)
    for warning in summary.get("warnings") or ():
        yield KINDS[4], str(warning), 1
    if again := summary.get("repeated_rounds"):
        yield KINDS[6], "too few clients got through it at first", int(again)
    yield from _of_rounds(run)


def _of_rounds(run: Run) -> Iterator[tuple[str, str, int]]:
    for line in run.rounds:
        for client, reason in (line.get("failed") or {}).items():
            yield KINDS[5], f"client {client}: {reason}", 1
        if skipped := line.get("skipped_steps"):
            yield KINDS[7], "it had no finite loss or no token to learn", int(skipped)
        for of, dropped in (line.get("dropped_replies") or {}).items():
            for client, reason in dropped.items():
                yield KINDS[8], f"{of}, client {client}: {reason}", 1
        for remark in line.get("remarks") or ():
            yield REMARK, str(remark), 1


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _where(names: Sequence[str], all_runs: int) -> str:
    if len(names) == all_runs:
        return "in every run" if all_runs > 1 else names[0]
    return "; ".join(names) if len(names) <= NAMED else f"in {len(names)} of {all_runs} runs"
