"""The figures of a report: one pure function a file, from groups of runs to Vega-Lite."""

from __future__ import annotations

from collections.abc import Sequence

from fedhds.report.figures import (
    costs,
    differences,
    learning_curves,
    partition,
    samples_and_scores,
    samples_map,
    tasks,
)
from fedhds.report.figures._figure import Figure, Missing
from fedhds.report.paired import Comparison
from fedhds.report.runs import Group

__all__ = ["Figure", "Missing", "draw"]

OF_GROUPS = (learning_curves, samples_and_scores, tasks, costs, samples_map, partition)


def draw(groups: Sequence[Group], comparisons: Sequence[Comparison]) -> list[Figure | Missing]:
    """Draw every figure, in the order in which a page shows them."""
    first = differences.figure(comparisons)
    found: list[Figure | Missing] = [
        first or Missing(differences.NAME, differences.TITLE, differences.MISSING)
    ]
    for part in OF_GROUPS:
        found.append(part.figure(groups) or Missing(part.NAME, part.TITLE, part.MISSING))
    return found
