"""A run's plan as a table: what would be done, and what it would take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

PARTS = {
    "weights": "weights of the base model",
    "frozen": "weights of proxy and scorer",
    "adapter": "adapter, gradients, optimizer",
    "training": "a training step beside them",
    "evaluation": "an evaluation batch beside them",
    "peak": "most at any time",
}
"""What each part of the memory is called."""


def verdict(problems: Sequence[str], warnings: Sequence[str]) -> list[str]:
    """Say in sentences what would go wrong, and what a person should know."""
    told = [f"mind: {warning}" for warning in warnings]
    told += [f"would go wrong: {problem}" for problem in problems]
    return told if problems else [*told, "nothing would go wrong that can be told beforehand"]


def show(plan: Mapping[str, Any]) -> Table:
    """Lay out the plain values of a plan (see `fedhds.planning.Plan`)."""
    table = Table("plan", "", show_header=False)
    exchanged = 2 * plan["adapter_bytes"] * plan["clients_per_round"] * plan["rounds"]
    rows = {
        "clients": f"{plan['clients']:,}, of which {plan['clients_per_round']:,} take part a round",
        "rounds": f"{plan['rounds']:,}",
        "training samples": f"{plan['samples']:,}, and {plan['validation']:,} held out"
        if plan["samples"]
        else "at the sites",
        "unseen samples": f"{plan['unseen']:,}",
        "parameters": f"{plan['parameters']:,}, of which an adapter trains {plan['trainable']:,}",
        "adapters sent": f"{_size(plan['adapter_bytes'])} each, {_size(exchanged)} in all rounds, "
        "evaluations apart",
    }
    waiting = f", up to {_size(plan['waiting_bytes'])} of disk" if plan["waiting_bytes"] else ""
    rows["merging them"] = f"about {_size(plan['merging_bytes'])} of the server's memory{waiting}"
    for name, value in rows.items():
        table.add_row(name, value)
    if plan["processes"] > 1:
        table.add_row("processes", f"{plan['processes']}, each with models of its own")
    table.add_section()
    for part, name in PARTS.items():
        if plan["memory"][part]:
            table.add_row(f"{plan['device']}: {name}", f"about {_size(plan['memory'][part])}")
    return table


def _size(count: int) -> str:
    return f"{count / 1e9:,.2f} GB" if count >= 1e8 else f"{count / 1e6:,.2f} MB"
