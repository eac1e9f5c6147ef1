"""One table of one or more runs: what each used, what it gained, what it cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.table import Table

from fedhds.report.formatting import (
    NOTHING,
    kilobytes,
    megabytes,
    score,
    seconds,
    used,
    with_interval,
)

Summary = Mapping[str, Any]
"""The content of a run's ``summary.json``."""


def compare(summaries: Sequence[Summary]) -> Table:
    """Lay runs side by side, one column a run."""
    table = Table()
    table.add_column("")
    for summary in summaries:
        table.add_column(str(summary["method"]), justify="right")
    for name, cell in ROWS.items():
        table.add_row(name, *(cell(summary) for summary in summaries))
    return table


def verdict(chosen: Summary, full: Summary) -> str:
    """Say in a sentence what choosing saved against training on everything, and its cost."""
    saved = 1 - chosen["sample_passes"] / full["sample_passes"]
    faster = full["seconds"]["tuning"] / max(chosen["seconds"]["tuning"], 1e-9)
    work = _local_seconds(full) / max(_local_seconds(chosen), 1e-9)
    cost = (
        f"{seconds(_choosing_seconds(chosen))} of choosing and "
        f"{kilobytes(_choosing_bytes(chosen))} more traffic"
    )
    if chosen["rouge_l_after"] is not None and full["rouge_l_after"] is not None:
        difference = chosen["rouge_l_after"] - full["rouge_l_after"]
        cost += f", and unseen Rouge-L is {difference:+.3f} against 'full'"
    return (
        f"Choosing saved {saved:.1%} of the training passes: tuning took 1/{faster:.1f} of the "
        f"time, the clients' whole work (signals, grouping, tuning) 1/{work:.1f}. It cost {cost}."
    )


def _local_seconds(summary: Summary) -> float:
    phases = summary["seconds"]
    return float(phases["signals"] + phases["selection"] + phases["tuning"])


def _choosing_seconds(summary: Summary) -> float:
    return float(summary["seconds"]["signals"] + summary["seconds"]["selection"])


def _choosing_bytes(summary: Summary) -> int:
    return int(summary["bytes"]["summaries_up"] + summary["bytes"]["plans_down"])


def _adapter_bytes(summary: Summary) -> int:
    return int(summary["bytes"]["adapters_up"] + summary["bytes"]["adapters_down"])


def _gain(summary: Summary) -> str:
    if summary.get("rouge_l_ci") is None:
        return NOTHING
    low, high = summary["rouge_l_ci"]
    gain = summary["rouge_l_after"] - summary["rouge_l_before"]
    return with_interval(gain, low, high)


def _change(before: str, after: str) -> Callable[[Summary], str]:
    def cell(summary: Summary) -> str:
        if summary.get(before) is None:
            return NOTHING
        return f"{score(summary[before])} -> {score(summary[after])}"

    return cell


def _validation(name: str) -> Callable[[Summary], str]:
    def cell(summary: Summary) -> str:
        found = summary.get("validation") or {"before": None, "after": None}
        if found["before"] is None or found["after"] is None:
            return NOTHING
        return f"{score(found['before'][name])} -> {score(found['after'][name])}"

    return cell


ROWS: Mapping[str, Callable[[Summary], str]] = {
    "rounds (best)": lambda s: f"{s['rounds']} ({s.get('best_round', '-')})",
    "distinct samples used": lambda s: used(s["samples_used"], s["samples_total"]),
    "training passes": lambda s: f"{s.get('sample_passes', 0):,}",
    "unseen Rouge-L": _change("rouge_l_before", "rouge_l_after"),
    "gain [95 % interval]": _gain,
    "unseen loss": _change("loss_before", "loss_after"),
    "validation Rouge-L": _validation("rouge_l"),
    "validation loss": _validation("loss"),
    "choosing: signals + selection": lambda s: seconds(_choosing_seconds(s)),
    "tuning": lambda s: seconds(s["seconds"]["tuning"]),
    "evaluation": lambda s: seconds(s["seconds"]["evaluation"]),
    "adapters sent": lambda s: kilobytes(_adapter_bytes(s)),
    "summaries and plans sent": lambda s: kilobytes(_choosing_bytes(s)),
    "peak memory": lambda s: megabytes(s["peak_rss_mb"]),
}
"""The table's rows; a dash where a run has no such figure."""


def per_task(scores: Mapping[str, Mapping[str, float]]) -> Table:
    """List the scores of each task, as `fedhds.evaluate_run` returns them."""
    table = Table()
    for column, justify in (
        ("task", "left"),
        ("n", "right"),
        ("Rouge-L", "right"),
        ("loss", "right"),
    ):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    for task, found in scores.items():
        row = (task or NOTHING, f"{found['n']}", score(found["rouge_l"]), score(found["loss"]))
        table.add_row(*row)
    return table
