"""A table of how representative a coreset is, beside chance and what could be reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

Row = Mapping[str, Any]


def show(found: Mapping[str, Any], space: str) -> Table:
    """Lay out one judging space of what `fedhds.judge` returns."""
    rows, in_all = found["spaces"][space], found["in_all"]
    kinds = [kind for kind in ("tasks", "data_sets") if kind in in_all]
    table = Table(title=f"{found['size']:,} of {found['samples']:,} samples, {space} space")
    table.add_column("")
    names = [kind.replace("_", " ") for kind in kinds]
    for name in ("coverage", "gain over random", "of ceiling's gain", "redundancy", *names):
        table.add_column(name, justify="right")
    titles = {
        "method": found["method"],
        "random draws": f"random ({found['draws']})",
        "coreset-cent": "coreset-cent",
        "ceiling": "ceiling",
    }
    for key, title in titles.items():
        row = rows[key]
        form = ",.1f" if key == "random draws" else ","
        counts = (f"{_cell(row, kind, form)} of {in_all[kind]:,}" for kind in kinds)
        table.add_row(
            title,
            _cell(row, "coverage", ".4f"),
            _cell(row, "gain", "+.4f"),
            _cell(row, "share", ".0%"),
            _cell(row, "redundancy", ".4f"),
            *counts,
        )
    return table


def _cell(row: Row, name: str, form: str) -> str:
    """Write a number with its standard deviation where there is one; a dash for none."""
    value, spread = row.get(name), row.get(f"{name}_sd")
    if value is None:
        return "–"
    return f"{value:{form}}" + ("" if spread is None else f" ± {spread:{form}}")
