"""Configurations as YAML text, with dotted overrides: the only place that knows YAML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from fedhds.types import UserError


def read_yaml(path: str | Path | None, what: str = "config") -> dict[str, Any]:
    """Read a YAML file that holds one mapping; None gives an empty one. ``what`` names it."""
    if path is None:
        return {}
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(f"there is no {what} file '{path}'") from error
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read the {what} file '{path}': {error}") from error
    return from_text(text, str(path), what)


def from_text(text: str, name: str, what: str = "config") -> dict[str, Any]:
    """Read YAML that holds one mapping; messages call it by ``name``."""
    plain = _from_yaml(text, f"{name}:")
    if plain is not None and not isinstance(plain, dict):
        raise UserError(f"{name}: a {what} is a mapping of keys, not a {type(plain).__name__}")
    return plain or {}


def override_key(plain: dict[str, Any], override: str) -> None:
    """Set one ``key.key=value`` in nested mappings (the value in YAML)."""
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise UserError(f"--set {override!r}: write it as key.key=value")
    value = _from_yaml(text, f"--set {override!r}: the value is")
    *parents, last = key.strip().split(".")
    for parent in parents:
        below = plain.get(parent)
        plain[parent] = dict(below) if isinstance(below, Mapping) else {}
        plain = plain[parent]
    plain[last] = value


def to_yaml(plain: Mapping[str, Any]) -> str:
    """Write nested mappings as YAML that reads as the same."""
    text: str = yaml.dump(dict(plain), Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text


def _from_yaml(text: str, what: str) -> Any:
    """Read YAML, naming ``what`` it is where it is none."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        problem = ", ".join(part for part in (error.context, error.problem) if part)
        line = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise UserError(f"{what} not valid YAML: {problem}{line}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a 13th month
        problem = str(error).splitlines()[0]
        raise UserError(f"{what} not valid YAML: {problem}") from error


class _Loader(yaml.SafeLoader):
    """YAML 1.1 with two repairs: 3e-4 is a number, and a key given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: list[Any] = []
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key}' stands twice", key_node.start_mark
                )
            seen.append(key)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Writes what `_Loader` reads: a text that looks like a number is quoted."""


for _side in (_Loader, _Dumper):
    _side.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(\d[\d_]*)(\.[\d_]*)?[eE][-+]?\d+$"),
        list("-+0123456789"),
    )
