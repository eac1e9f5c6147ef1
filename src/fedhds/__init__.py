"""Federated, data-efficient instruction tuning of LLMs.

Clients and server choose a small representative coreset together, without sharing raw
data, and tune an adapter on that alone.

>>> import fedhds
>>> result = fedhds.run({"federation": {"rounds": 3}}, out="runs/mine")  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fedhds.experiment import Result, evaluate_run, run, select
    from fedhds.judging import judge
    from fedhds.reporting import compare, write_report

__all__ = ["Result", "compare", "evaluate_run", "judge", "run", "select", "write_report"]


def __getattr__(name: str) -> Any:
    """Load the stages on first use: torch takes seconds, ``fedhds --help`` must not."""
    if name not in __all__:
        raise AttributeError(f"module 'fedhds' has no attribute '{name}'")
    home = {"judge": "judging", "compare": "reporting", "write_report": "reporting"}
    return getattr(import_module(f"fedhds.{home.get(name, 'experiment')}"), name)
