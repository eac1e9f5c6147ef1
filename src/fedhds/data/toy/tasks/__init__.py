"""The tasks of the toy federation, one module per family."""

from fedhds.data.toy.tasks import (
    arithmetic,
    classification,
    extraction,
    formats,
    lists,
    ordering,
    reading,
    rewriting,
)

TASKS = (
    classification.TASKS
    + extraction.TASKS
    + rewriting.TASKS
    + ordering.TASKS
    + arithmetic.TASKS
    + lists.TASKS
    + reading.TASKS
    + formats.TASKS
)

__all__ = ["TASKS"]
