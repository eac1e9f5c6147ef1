"""Writing files so that a killed process never leaves half of one behind."""

from __future__ import annotations

import contextlib
import json
import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save

from fedhds.types import Array, Arrays

TEMPORARY = ".fedhds-tmp-"
"""How the names of files and folders begin that are there for a while only."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that takes its place when the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY)
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def scratch_folder(parent: Path | None) -> Iterator[Path]:
    """Give an empty folder that is gone after the block (None: where the system has its own)."""
    with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=parent) as name:
        yield Path(name)


def write_quickly(path: Path, data: bytes) -> None:
    """Write a file that a killed process leaves whole or not at all, but a power cut may tear.

    Nothing waits for the disk, which takes longer than everything else about a small file.
    """
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f"{TEMPORARY}{os.getpid()}-{name}")
    if not os.path.isdir(folder):
        os.makedirs(folder, exist_ok=True)
    try:
        with open(temporary, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def append_lines(path: Path, lines: Iterable[str]) -> None:
    """Add lines to a text file, which a power cut may tear."""
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in lines))


def append_durably(path: Path, line: str) -> None:
    """Add a line to a text file and wait until it is on the disk.

    It begins a line of its own even where a crash tore the one before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        begun = file.tell() > 0
        if begun:
            file.seek(-1, os.SEEK_END)
            line = line if file.read(1) == b"\n" else f"\n{line}"
        file.write(f"{line}\n".encode())
        file.flush()
        os.fsync(file.fileno())
    if not begun:  # its name must be on the disk, too
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically; not-a-number is refused, as JSON has none."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def to_bytes(arrays: Arrays) -> bytes:
    """Write named arrays as the bytes of a safetensors file."""
    return save({name: np.asarray(array, order="C") for name, array in arrays.items()})


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Write named arrays as safetensors, atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(to_bytes(arrays))


def read_arrays(path: Path) -> dict[str, Array]:
    """Read named arrays from safetensors."""
    arrays: dict[str, Array] = load_file(path)
    return arrays


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object a line (see `json_line`), atomically."""
    write_text(path, "".join(f"{json_line(row)}\n" for row in rows))


def json_line(value: Any) -> str:
    """Write any value as one line of JSON: not-a-number as null, unknown types as text."""
    return json.dumps(_finite(value), ensure_ascii=False, default=str)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def public_name(name: str) -> str:
    """Return what others may read of a name: of a folder here its last part, a hub id whole."""
    path = os.path.expanduser(name)
    here = os.path.isabs(path) or name.startswith(".") or os.path.exists(path)
    return os.path.basename(os.path.abspath(path)) if here else name
