"""What trackers are told: numbers and settings, never data or where data lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fedhds.files import public_name
from fedhds.types import Setting

FINAL = (
    *("rouge_l_before", "rouge_l_after", "loss_before", "loss_after"),
    *("samples_total", "samples_used", "sample_passes", "best_round"),
    *("failures", "skipped_steps", "peak_rss_mb"),
)
"""The summary's figures that are told at the end, with ``final/`` before their names."""

HIDDEN = ("data.train", "data.eval", "tracking")
"""Settings not told: where data lie, and trackers' addresses, which may hold passwords."""


def of_round(record: Mapping[str, Any]) -> dict[str, float]:
    """Take the numbers out of a line of ``rounds.jsonl``; of clients and failures the count."""
    evaluation = record["evaluation"] or {}
    parts = {name: record[name] for name in ("selection", "seconds", "bytes")}
    parts |= {name: evaluation.get(name) for name in ("unseen", "validation")}
    found = {name: number for name, number in _numbers(record).items() if name != "round"}
    found |= {"clients": len(record["clients"]), "failures": len(record["failed"])}
    for part, values in parts.items():
        found |= {f"{part}/{name}": number for name, number in _numbers(values or {}).items()}
    return found


def of_summary(summary: Mapping[str, Any]) -> dict[str, float]:
    """Take the headline figures out of a run's ``summary.json``, those there are."""
    headline = _numbers({name: summary[name] for name in FINAL})
    return {f"final/{name}": number for name, number in headline.items()}


def settings(config: Mapping[str, Any]) -> dict[str, Setting]:
    """Flatten a resolved configuration to dotted names; of a folder's path the last part."""
    return {name: _setting(value) for name, value in _flat(config, "") if name not in HIDDEN}


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Leave the numbers, whatever they are: one that is not finite is worth knowing."""
    return {
        name: value
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _flat(values: Mapping[str, Any], before: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping) and name not in HIDDEN:
            yield from _flat(value, f"{name}.")
        else:
            yield name, value


def _setting(value: Any) -> Setting:
    if isinstance(value, str):
        return public_name(value)
    return value if isinstance(value, int | float | None) else str(value)
