"""Frozen dataclasses of options built from plain values, and one sentence for each mistake."""

from __future__ import annotations

import dataclasses
import difflib
import re
import reprlib
from collections.abc import Mapping
from types import NoneType
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from fedhds import registry
from fedhds.types import UserError

T = TypeVar("T")


def build(cls: type[T], given: Any, section: str) -> T:
    """Build a frozen dataclass of options from a mapping (errors as in `load`)."""
    if not isinstance(given, Mapping):
        raise UserError(no_mapping(section, given))
    unknown = [key for key in given if key not in fields_of(cls)]
    if unknown:
        raise UserError(unknown_key(unknown[0], fields_of(cls), section))
    values = {key: check_option(cls, key, value, section) for key, value in given.items()}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        without = field.default is field.default_factory is dataclasses.MISSING
        if without and field.name not in values:
            raise UserError(f"{section}.{field.name} has no default and must be set")
    try:
        return cls(**values)
    except ValueError as error:
        raise UserError(f"{section}.{error}") from error


def check_option(cls: type[Any], key: str, value: Any, section: str) -> Any:
    """Check the type of one option of a dataclass."""
    kind = get_type_hints(cls)[key]
    try:
        return TypeAdapter(kind, config=ConfigDict(strict=True)).validate_python(value)
    except ValidationError as error:
        raise UserError(sentence_of(error, cls, f"{section}.{key}")) from error


def build_method(kind: str, name: str, options: Mapping[str, Any]) -> Any:
    """Build the method of a name from those of the options that are its own."""
    cls = registry.load(kind, name)
    own = {key: value for key, value in options.items() if key in fields_of(cls)}
    return build(cls, own, kind)


def fields_of(cls: type[Any]) -> list[str]:
    """Return the names of a dataclass's options."""
    return [field.name for field in dataclasses.fields(cls)]


def sentence_of(error: ValidationError, cls: type[Any], section: str) -> str:
    """Put the first of pydantic's errors into one sentence that names the key."""
    place = _place(error.errors()[0])
    beneath = [e for e in error.errors() if _place(e)[: len(place)] == place]
    first = max(beneath, key=lambda each: len(_place(each)))  # the most telling of them
    problem, expected = first["type"], first.get("ctx", {}).get("expected", "")
    parts = _place(first)
    key = ".".join([section, *parts] if section else parts)
    if parts[-1:] == ["[key]"]:
        return unknown_key(parts[-2], re.findall(r"'(\w+)'", expected), ".".join(parts[:-2]))
    if problem in ("extra_forbidden", "invalid_key"):
        model = cls
        for part in parts[:-1]:
            kind = model.model_fields[part].annotation
            model = next((each for each in get_args(kind) if each is not NoneType), kind)
        return unknown_key(parts[-1], list(model.model_fields), ".".join(parts[:-1]))
    if problem == "missing":
        return f"{key} has no default and must be set"
    if problem == "model_type":
        return no_mapping(key, first["input"])
    # a value of several possible kinds gives one error for each
    wishes = (str(e["msg"]) for e in error.errors() if _place(e) == parts)
    messages = dict.fromkeys(re.sub(r"^\w+ (?=should)", "", wish) for wish in wishes)
    return f"{key} {' or '.join(messages)} (it is {reprlib.repr(first['input'])})"


def _place(problem: ErrorDetails) -> list[str]:
    """Return the keys that lead to an error, without pydantic's names of possible kinds."""
    parts = map(str, problem["loc"])
    return [part for part in parts if not re.match(r"constrained-|literal\[|list\[", part)]


def no_mapping(section: str, given: Any) -> str:
    """Say that a section is no mapping."""
    return f"{section} must be a mapping of its keys, not {reprlib.repr(given)}"


def unknown_key(key: str, known: list[str], section: str) -> str:
    """Say that a key is unknown and which one may have been meant."""
    prefix = f"{section}." if section else ""
    near = difflib.get_close_matches(str(key), known, n=1)
    hint = f"did you mean '{prefix}{near[0]}'?" if near else f"there are: {', '.join(known)}"
    return f"unknown key {f'{prefix}{key}'!r}; {hint}"
