"""Which group each group is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fedhds.report.runs import Group
from fedhds.types import UserError

DEFAULT = "random"


def references(groups: Sequence[Group], reference: str | None = None) -> Mapping[str, str]:
    """Name each group's reference.

    Parameters
    ----------
    groups : sequence of Group
        With unique labels, in any order unless ``reference`` is None.
    reference : str or None
        A method: each group is compared with the method's group of the same size, and a group
        without a size with that of the largest; a reference without a size is everyone's. Or the
        label of one group, which is everyone's. None is ``random`` where it is among the groups,
        and else the first group's method.

    Returns
    -------
    mapping of str to str
        Labels to labels, in the order of ``groups``. The references themselves are left out, and
        groups of a size that the reference has not.

    Raises
    ------
    UserError
        If no group has that label or method.
    """
    name = _default(groups) if reference is None else reference
    chosen = [group for group in groups if group.method == name]
    if chosen:
        return _of_same_size(groups, chosen)
    if any(group.label == name for group in groups):
        return {group.label: name for group in groups if group.label != name}
    known = ", ".join(dict.fromkeys(group.method for group in groups))
    raise UserError(f"reference: there is no {name!r} among what is compared ({known})")


def _default(groups: Sequence[Group]) -> str:
    methods = [group.method for group in groups]
    return methods[0] if methods and DEFAULT not in methods else DEFAULT


def _of_same_size(groups: Sequence[Group], chosen: Sequence[Group]) -> dict[str, str]:
    # Of several of one size the first by label is taken, in whatever order they are given.
    ordered = sorted(chosen, key=lambda group: group.label, reverse=True)
    of_size = {group.size: group.label for group in ordered}
    # A reference without a size, such as full, is everyone's.
    otherwise = of_size.get("")
    of_size.setdefault("", max(chosen, key=_magnitude).label)
    found = {group.label: of_size.get(group.size, otherwise) for group in groups}
    taken = set(of_size.values())
    return {label: to for label, to in found.items() if to is not None and label not in taken}


def _magnitude(group: Group) -> tuple[bool, float]:
    """Order sizes: counts by number, then shares by percent."""
    return group.size.endswith("%"), float(group.size.rstrip("%") or 0)
