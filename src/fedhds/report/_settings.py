"""The configurations behind a page: what differs between its groups, and each as a whole."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from fedhds.report.runs import Group

PATHS = ("model", "data", "selection")
"""Sections whose texts may be paths of the machine that ran."""
FILES = ("train", "eval", "knowledge")
"""Keys whose texts are paths, unless they begin with ``hub:``; of models, they may be hub ids."""


def public(value: Any, key: str = "") -> Any:
    """Return what others may read of a value: of a path on a machine its last part."""
    if not isinstance(value, str) or value.startswith("hub:"):
        return value
    if key in FILES or os.path.isabs(value) or value.startswith((".", "~")):
        return os.path.basename(os.path.normpath(value))
    return value


def shown(config: Mapping[str, Any]) -> dict[str, Any]:
    """Take out of a configuration what a page for others should not tell.

    Of paths the last part stays, and of trackers, whose addresses may hold passwords, the name.
    """
    found: dict[str, Any] = {}
    for name, value in config.items():
        if name == "tracking":
            found[name] = sorted(value or {})
        elif name in PATHS and isinstance(value, Mapping):
            found[name] = {key: public(below, key) for key, below in value.items()}
        else:
            found[name] = value
    return found


def differing(groups: Sequence[Group]) -> list[tuple[str, list[str]]]:
    """Return the dotted keys that are not the same in all groups, with each group's value."""
    flat = [dict(_flat(shown(group.runs[0].config), "")) for group in groups]
    keys = dict.fromkeys(key for one in flat for key in one if key != "seed")
    rows = [(key, [_text(one.get(key, "–")) for one in flat]) for key in keys]
    return [(key, values) for key, values in rows if len(set(values)) > 1]


def whole(group: Group) -> str:
    """Write the configuration of a group's first run as YAML."""
    text: str = yaml.safe_dump(_plain(shown(group.runs[0].config)), sort_keys=False, width=88)
    return text


def _flat(values: Mapping[str, Any], before: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _text(value: Any) -> str:
    return "none" if value is None else str(value)


def _plain(value: Any) -> Any:
    """Leave mappings and lists only, which is all that YAML's safe form knows."""
    if isinstance(value, Mapping):
        return {str(key): _plain(below) for key, below in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
