"""What the partitions share: labels of examples, groups of equal labels, names of clients."""

from __future__ import annotations

from collections.abc import Sequence

from fedhds.types import Example, UserError


def labels(examples: Sequence[Example], by: str) -> list[str]:
    """Return each example's value of the column ``by`` as text.

    ``task`` is the example's task, whatever column it was read from.

    Raises
    ------
    UserError
        If the column is missing, or if any example has no value in it: such an example
        would belong to no client.
    """
    values = [example.task if by == "task" else example.row.get(by) for example in examples]
    without = sum(value is None or value == "" for value in values)
    if not without:
        return [str(value) for value in values]
    if by == "task":
        raise UserError(
            f"data.columns.task: {without} of {len(values)} examples have no task, so they belong "
            "to no client: name the column of the tasks, or choose another partition.kind"
        )
    there = dict.fromkeys(column for example in examples for column in example.row)
    if by not in there:
        raise UserError(f"partition.by: there is no column '{by}'; there are: {', '.join(there)}")
    raise UserError(
        f"partition.by: {without} of {len(values)} examples have no value in the column '{by}', "
        "so they belong to no client"
    )


def group(keys: Sequence[str]) -> list[tuple[str, list[int]]]:
    """Return the positions of each distinct key, ascending, sorted by key."""
    groups: dict[str, list[int]] = {}
    for position, key in enumerate(keys):
        groups.setdefault(key, []).append(position)
    return sorted(groups.items())


def client_names(count: int) -> list[str]:
    """Return the names ``client-000`` and on, all equally long so that they sort."""
    digits = max(3, len(str(count - 1)))
    return [f"client-{number:0{digits}d}" for number in range(count)]


def check_enough(examples: Sequence[Example], clients: int) -> None:
    """Refuse more clients than examples."""
    if clients > len(examples):
        raise UserError(
            f"partition.clients: {clients} clients cannot share {len(examples)} examples"
        )
