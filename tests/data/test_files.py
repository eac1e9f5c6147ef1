import csv
import gzip
import json
from pathlib import Path

import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedhds.data.files import read_rows
from fedhds.types import UserError

ROWS = [
    {"instruction": "Grüße \u2028 {x}", "output": ""},
    {"instruction": 'a "b",\nc', "output": "2"},
]


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    """Write rows in the format of the path's ending."""
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif name.endswith(".csv"):
        with path.open("w", newline="", encoding="utf-8-sig") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text(lines if name.endswith(".jsonl") else json.dumps(rows), "utf-8-sig")
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(path.read_bytes()))
    return path


@pytest.mark.parametrize(
    "name",
    ["a.jsonl", "a.jsonl.gz", "a.json", "a.json.gz", "a.csv", "a.csv.gz", "A.JSONL", "a.parquet"],
)
def test_every_format_reads_the_same_rows(tmp_path: Path, name: str) -> None:
    if name.endswith(".JSONL"):
        write(tmp_path / "a.jsonl", ROWS).rename(tmp_path / name)
    else:
        write(tmp_path / name, ROWS)
    assert read_rows(tmp_path / name, "data.train") == ROWS


def test_folder_is_read_by_name_without_other_files_and_subfolders(tmp_path: Path) -> None:
    for name in ("b.csv", "a.jsonl"):
        write(tmp_path / name, [{"name": name}])
    (tmp_path / "README.md").write_text("not data")
    (tmp_path / "c.jsonl").mkdir()
    assert read_rows(tmp_path, "data.train") == [{"name": "a.jsonl"}, {"name": "b.csv"}]


def test_folder_names_add_no_columns(tmp_path: Path) -> None:
    folder = tmp_path / "lang=en"
    folder.mkdir()
    assert read_rows(write(folder / "a.parquet", ROWS), "data.train") == ROWS


def test_blank_lines_and_windows_line_ends_are_no_rows(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"a": 1}\r\n\r\n{"a": 2}\r\n')
    assert read_rows(tmp_path / "a.jsonl", "data.train") == [{"a": 1}, {"a": 2}]


def test_csv_keeps_huge_fields_and_pythons_own_limit(tmp_path: Path) -> None:
    rows = [{"text": "x" * 300_000}]
    before = csv.field_size_limit()
    assert read_rows(write(tmp_path / "a.csv", rows), "data.train") == rows
    assert csv.field_size_limit() == before


def test_short_csv_line_has_null_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1\n")
    assert read_rows(tmp_path / "a.csv", "data.train") == [{"a": "1", "b": None}]


@given(st.lists(st.text(), min_size=1))
def test_any_text_survives_jsonl(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    rows = [{"text": text} for text in texts]
    path = tmp_path_factory.mktemp("data") / "a.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    assert read_rows(path, "data.train") == rows


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.jsonl", b'{"a": 1}\n{"a": \n', "line 2 is not JSON"),
        ("a.jsonl", b'{"a": 1}\n[1]\n', "line 2 is not an object"),
        ("a.jsonl", b'{"a": 1}\n{"a": "\xff"}\n', "line 2 is not UTF-8"),
        ("a.jsonl", b"[" * 100_000, "line 1 is not JSON"),
        ("a.jsonl", b"1" * 10_000, "line 1 is not JSON"),
        ("a.jsonl", b"\n", "has no rows"),
        ("a.json", b"", "has no rows"),
        ("a.json", b"[]", "has no rows"),
        ("a.json", b'[\n{"a": 1},\n]', "line 3 is not JSON"),
        ("a.json", b'{"a": 1}', "is not a list of objects"),
        ("a.json", b'[{"a": 1}, 2]', "item 2 is not an object"),
        ("a.csv", b"", "has no rows"),
        ("a.csv", b"a,b\n", "has no rows"),
        ("a.csv", b"a,b\n1,2\n1,2,3\n", "line 3 has more fields than the header"),
        ("a.csv", b'a,b\n1,"2\n3,4\n', "line 2 is not CSV"),
        ("a.csv", b"a,a\n1,2\n", "names a column twice"),
        ("a.parquet", b"PAR1 or not", "is not a readable Parquet file"),
        ("a.jsonl.gz", b"no gzip", "cannot be read"),
        ("a.jsonl.gz", gzip.compress(b'{"a": 1}', mtime=0)[:-9], "cannot be read"),
        ("a.txt", b"text", "does not end in .jsonl"),
    ],
)
def test_broken_file_is_named(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=problem) as raised:
        read_rows(tmp_path / name, "data.train")
    assert str(raised.value).startswith(f"data.train: '{tmp_path / name}' ")


def test_absent_path_and_empty_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data.train: there is no file or folder '.*nowhere'"):
        read_rows(tmp_path / "nowhere", "data.train")
    with pytest.raises(UserError, match=r"data.train: the folder '.*' has no file that ends in"):
        read_rows(tmp_path, "data.train")
