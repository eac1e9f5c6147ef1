"""Turns rows of any file into examples; what is dropped on the way is counted, by reason."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from fedhds.types import Example, UserError

COLUMNS: Mapping[str, str] = {
    "instruction": "instruction",
    "input": "input",
    "output": "output",
    "task": "task",
}
"""Which column holds which field unless the user says otherwise; P3's files are named so."""

_PLAIN_FIELDS = ("instruction", "input", "task")
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")


def to_examples(
    rows: Sequence[dict[str, Any]], columns: Mapping[str, str], source: str
) -> tuple[list[Example], Counter[str], Counter[str]]:
    """Map columns to fields and leave out what cannot be learnt from.

    Parameters
    ----------
    rows : sequence of dict
        One dictionary of column names and values a sample.
    columns : mapping of str to str
        The column of each field of `COLUMNS`; fields left out keep their own name.
    source : str
        Where the rows come from, for messages.

    Returns
    -------
    examples : list of Example
        In the order of ``rows``. Lone surrogates, which no tokenizer can encode, have
        become U+FFFD, in ``row`` too.
    dropped : Counter
        Rows left out: ``no_instruction`` (null, or blank with a blank input) and
        ``no_output`` (null or an empty list).
    noted : Counter
        Rows kept though odd: ``empty_response``.

    Raises
    ------
    UserError
        If no row has a column for the instruction or the output, or one that ``columns``
        names explicitly, or if a value is not text.
    """
    names = {**COLUMNS, **columns}
    _check_columns(rows, names, source)
    examples: list[Example] = []
    dropped: Counter[str] = Counter()
    noted: Counter[str] = Counter()
    for number, raw in enumerate(rows, start=1):
        row = without_surrogates(raw)
        where = f"{source} row {number}"
        text = {field: text_of(row.get(names[field]), field, where) for field in _PLAIN_FIELDS}
        references = _references(row.get(names["output"]), where)
        if (
            row.get(names["instruction"]) is None
            or not (text["instruction"] + text["input"]).strip()
        ):
            dropped["no_instruction"] += 1
        elif not references:
            dropped["no_output"] += 1
        else:
            noted["empty_response"] += not references[0].strip()
            fields = (text["instruction"], text["input"], references[0], text["task"])
            examples.append(Example(*fields, references, row))
    return examples, dropped, +noted


def _check_columns(
    rows: Sequence[Mapping[str, Any]], names: Mapping[str, str], source: str
) -> None:
    """Refuse a required or explicitly named column that no row has."""
    present = dict.fromkeys(column for row in rows for column in row)
    for field, column in names.items():
        required = field in ("instruction", "output") or column != COLUMNS[field]
        if rows and required and column not in present:
            raise UserError(
                f"data.columns.{field}: {source} has no column '{column}'; "
                f"there are: {', '.join(present)}"
            )


def _references(value: Any, where: str) -> tuple[str, ...]:
    """Return all accepted answers; none for null and for a list without any."""
    values = value if isinstance(value, list) else [value]
    return tuple(text_of(item, "output", where) for item in values if item is not None)


def text_of(value: Any, field: str, where: str) -> str:
    """Return the value of a field as text, null as the empty one; a list is a mistake."""
    if isinstance(value, (list, dict)):
        raise UserError(f"{where}: the {field} is a {type(value).__name__}, not text")
    return "" if value is None else str(value)


def without_surrogates(value: Any) -> Any:
    """Replace lone surrogates in text, however deep it lies in lists and dictionaries."""
    if isinstance(value, str):
        return _LONE_SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {without_surrogates(key): without_surrogates(item) for key, item in value.items()}
    return value
