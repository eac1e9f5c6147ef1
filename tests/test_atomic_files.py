"""Files appear whole or not at all."""

from contextlib import suppress

import numpy as np
import pytest

from fedhds.files import (
    TEMPORARY,
    append_durably,
    append_lines,
    read_arrays,
    read_json,
    replacing,
    scratch_folder,
    write_arrays,
    write_json,
    write_jsonl,
    write_quickly,
    write_text,
)


def test_failing_block_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with suppress(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_text("half of the n")
        raise ZeroDivisionError
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"


def test_old_file_is_there_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == path.parent  # elsewhere it could not be renamed at once
        assert temporary.name.startswith(TEMPORARY)
    assert path.read_text() == "new"


def test_folders_are_made_and_others_may_read(tmp_path):
    path = tmp_path / "b" / "c" / "a.txt"
    write_text(path, "ünï")
    assert path.read_bytes() == "ünï".encode()
    assert path.stat().st_mode & 0o777 == 0o644


def test_scratch_folder_is_gone_after_the_block_and_after_an_error(tmp_path):
    with suppress(ZeroDivisionError), scratch_folder(tmp_path) as scratch:
        write_text(scratch / "a.txt", "for a while")
        assert scratch.parent == tmp_path
        assert scratch.name.startswith(TEMPORARY)  # so that a killed run's is cleared away
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_json_has_no_such_number(tmp_path, number):
    path = tmp_path / "a.json"
    write_json(path, {"loss": 1.5})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"loss": number})
    assert read_json(path) == {"loss": 1.5}
    assert len(list(tmp_path.iterdir())) == 1


def test_jsonl_writes_as_text_what_json_cannot_hold(tmp_path):
    path = tmp_path / "a.jsonl"
    write_jsonl(path, [{"text": "日本\n"}, {"at": np.datetime64("2024-02-29")}])
    assert path.read_text("utf-8") == '{"text": "日本\\n"}\n{"at": "2024-02-29"}\n'


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.zeros((0, 2), np.float32),
        np.array(3, np.int64),
        np.arange(12, dtype=np.int64).reshape(3, 4).T,
        np.array([np.nan, np.inf], np.float32),
        np.array([True, False]),
    ],
    ids=["plain", "empty", "scalar", "transposed", "non-finite", "booleans"],
)
def test_arrays_come_back_as_they_were(tmp_path, array):
    write_arrays(tmp_path / "a.safetensors", {"name": array})
    back = read_arrays(tmp_path / "a.safetensors")["name"]
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert np.array_equal(back, array, equal_nan=array.dtype.kind == "f")


def test_no_arrays_come_back_as_none(tmp_path):
    write_arrays(tmp_path / "a.safetensors", {})
    assert read_arrays(tmp_path / "a.safetensors") == {}


def test_quick_files_are_whole_or_not_there(tmp_path):
    path = tmp_path / "b" / "a.bin"
    write_quickly(path, b"old")
    with pytest.raises(TypeError):
        write_quickly(path, "no bytes")
    assert path.read_bytes() == b"old"
    assert len(list(path.parent.iterdir())) == 1


def test_lines_are_added(tmp_path):
    append_lines(tmp_path / "a.jsonl", ["ä"])
    append_lines(tmp_path / "a.jsonl", [])
    append_lines(tmp_path / "a.jsonl", ["b", "c"])
    assert (tmp_path / "a.jsonl").read_text("utf-8") == "ä\nb\nc\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [(None, "b\n"), ("a\n", "a\nb\n"), ("a", "a\nb\n")],
    ids=["new", "whole", "torn"],
)
def test_a_line_is_added_as_a_line_of_its_own(tmp_path, before, after):
    path = tmp_path / "log" / "lines"
    if before is not None:
        path.parent.mkdir()
        path.write_text(before)
    append_durably(path, "b")
    assert path.read_text() == after
