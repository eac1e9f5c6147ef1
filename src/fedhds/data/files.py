"""Reads rows (one dictionary a sample) from JSONL, JSON, CSV and Parquet files or folders."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fedhds.types import UserError

Row = dict[str, Any]

LONGEST_FIELD = 2**31 - 1
"""The most characters in one CSV field; Python's default of 131,072 refuses long documents."""


def read_rows(path: Path, key: str) -> list[Row]:
    """Read all rows of a file, or of every file with a known ending in a folder, by name.

    Parameters
    ----------
    path : Path
        A ``.jsonl``, ``.json`` (a list of objects), ``.csv`` or ``.parquet`` file, the text
        formats also as ``.gz``; or a folder of such files (subfolders are not entered).
    key : str
        The configuration key that named ``path``, for messages.

    Returns
    -------
    list of dict
        The rows in the file's order, with every column. Values of a CSV are text, the
        empty string included; columns that a short CSV line leaves out are None.

    Raises
    ------
    UserError
        If there is nothing at ``path``, or if a file is of no known kind, broken or without
        rows.
    """
    if not path.is_dir():
        return _read_file(path, key)
    files = sorted(file for file in path.iterdir() if file.is_file() and _ending(file))
    if not files:
        raise UserError(f"{key}: the folder '{path}' has no file that ends in {_known()}")
    return [row for file in files for row in _read_file(file, key)]


def _read_file(path: Path, key: str) -> list[Row]:
    """Read one file, naming it and ``key`` in every error."""
    where = f"{key}: '{path}'"
    if not path.exists():
        raise UserError(f"{key}: there is no file or folder '{path}'")
    ending = _ending(path)
    if ending is None:
        raise UserError(f"{where} does not end in {_known()}")
    rows = _READERS[ending](path, where)
    if not rows:
        raise UserError(f"{where} has no rows")
    return rows


def _ending(path: Path) -> str | None:
    """Return the known ending of a file's name, if it has one."""
    return next((ending for ending in _READERS if path.name.lower().endswith(ending)), None)


def _known() -> str:
    return ", ".join(_READERS)


def _read_text(path: Path, where: str) -> str:
    """Read a text file, plain or gzipped, in UTF-8 with or without a byte order mark."""
    try:
        data = path.read_bytes()
        if path.name.lower().endswith(".gz"):
            data = gzip.decompress(data)
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UserError(f"{where} line {line} is not UTF-8") from error
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{where} cannot be read ({error})") from error


def _read_jsonl(path: Path, where: str) -> list[Row]:
    # Not splitlines(): it would also split at U+2028 and others that are legal inside JSON.
    lines = _read_text(path, where).split("\n")
    return [
        _as_row(_parse(line, where, number), f"{where} line {number}")
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]


def _read_json(path: Path, where: str) -> list[Row]:
    text = _read_text(path, where)
    if not text.strip():
        return []
    values = _parse(text, where, 1)
    if not isinstance(values, list):
        raise UserError(f"{where} is not a list of objects")
    return [_as_row(value, f"{where} item {n}") for n, value in enumerate(values, start=1)]


def _parse(text: str, where: str, line: int) -> Any:
    """Parse JSON that begins at ``line`` of its file."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line += error.lineno - 1
        raise UserError(f"{where} line {line} is not JSON ({error.msg})") from error
    except (ValueError, RecursionError) as error:  # a number of too many digits, deep nesting
        raise UserError(f"{where} line {line} is not JSON that can be read ({error})") from error


def _as_row(value: Any, where: str) -> Row:
    if not isinstance(value, dict):
        raise UserError(f"{where} is not an object with named columns")
    return value


def _read_csv(path: Path, where: str) -> list[Row]:
    # Strict, because otherwise a quote that is never closed swallows the rest of the file.
    reader = csv.DictReader(io.StringIO(_read_text(path, where), newline=""), strict=True)
    before = csv.field_size_limit(LONGEST_FIELD)
    try:
        header = list(reader.fieldnames or ())
        if len(set(header)) < len(header):
            raise UserError(f"{where} names a column twice in its header: {', '.join(header)}")
        rows = []
        for row in reader:
            if None in row:
                raise UserError(f"{where} line {reader.line_num} has more fields than the header")
            rows.append(row)
        return rows
    except csv.Error as error:
        line = reader.line_num + 1  # where the record begins; line_num ends the one before
        raise UserError(f"{where} line {line} is not CSV ({error})") from error
    finally:
        csv.field_size_limit(before)


def _read_parquet(path: Path, where: str) -> list[Row]:
    import pyarrow.parquet

    try:
        # Not read_table(): it would add columns for folder names such as ``lang=en``.
        rows: list[Row] = pyarrow.parquet.ParquetFile(path).read().to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise UserError(f"{where} is not a readable Parquet file ({error})") from error
    return rows


_READERS: dict[str, Callable[[Path, str], list[Row]]] = {
    ".jsonl": _read_jsonl,
    ".jsonl.gz": _read_jsonl,
    ".json": _read_json,
    ".json.gz": _read_json,
    ".csv": _read_csv,
    ".csv.gz": _read_csv,
    ".parquet": _read_parquet,
}
