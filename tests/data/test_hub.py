import json
from pathlib import Path

import datasets
import huggingface_hub
import pytest

from fedhds.data.hub import read_hub
from fedhds.data.sources import read_source
from fedhds.types import UserError

ROWS = [{"instruction": f"{n}", "output": ["a", "b"]} for n in range(4)]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """Keep the library's cache out of the home folder, and off the network."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Write a data set of two splits, as `datasets` knows them by their names."""
    for split, rows in (("train", ROWS), ("test", ROWS[:1])):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"{split}.jsonl").write_text(lines)
    return tmp_path


def refusal(source: str) -> str:
    with pytest.raises(UserError) as raised:
        read_hub(source, "data.train")
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    ("split", "rows"),
    [("", ROWS), (":train", ROWS), (":test", ROWS[:1]), (":train[1:3]", ROWS[1:3])],
)
def test_split_is_read_in_order_and_in_silence(folder, capfd, split, rows):
    capfd.readouterr()
    assert read_source(f"hub:{folder}{split}", "data.train") == rows
    assert capfd.readouterr() == ("", "")


def test_folder_is_left_as_it_was(folder):
    before = sorted(folder.rglob("*"))
    read_hub(f"hub:{folder}", "data.train")
    assert sorted(folder.rglob("*")) == before


def test_path_without_the_prefix_is_a_file(folder):
    assert read_source(str(folder / "test.jsonl"), "data.eval") == ROWS[:1]


@pytest.mark.parametrize(
    "source",
    ["hub:", "hub:squad", "hub:json", "hub:a/b/c/d", "hub:./absent/x", "hub:/absent", "hub:a/b@"],
)
def test_what_is_no_name_of_a_data_set_is_refused(source):
    sentence = refusal(source)
    assert sentence.startswith(f"data.train: '{source}' is neither a folder after 'hub:' nor ")
    assert sentence.endswith("hub:OWNER/NAME[/CONFIG][@REVISION][:SPLIT]")


@pytest.mark.parametrize("source", ["hub:owner/absent", "hub:owner/absent/config@v1.0:test"])
def test_data_set_that_cannot_be_reached_is_named(source):
    sentence = refusal(source)
    assert sentence.startswith(f"data.train: '{source}' cannot be loaded: ")
    assert "owner/absent" in sentence.removeprefix(f"data.train: '{source}'")


def test_unknown_split_is_named(folder):
    sentence = refusal(f"hub:{folder}:dev")
    assert sentence.startswith(f"data.train: 'hub:{folder}:dev' cannot be loaded: ")
    assert "dev" in sentence.partition("cannot be loaded")[2]


def test_split_without_rows_is_refused(tmp_path):
    (tmp_path / "train.csv").write_text("instruction,output\n")
    assert "no data" in refusal(f"hub:{tmp_path}").partition("cannot be loaded")[2]


def test_relative_folder_is_no_format_of_the_library(folder, monkeypatch):
    folder.rename(folder.parent / "json")
    monkeypatch.chdir(folder.parent)
    assert read_hub("hub:json", "data.train") == ROWS


def test_folder_without_data_is_named(tmp_path):
    assert refusal(f"hub:{tmp_path}").startswith(f"data.train: 'hub:{tmp_path}' cannot be loaded: ")


def test_broken_file_is_told_of_in_one_sentence_alone(tmp_path, capfd):
    (tmp_path / "train.jsonl").write_text("{")
    assert "JSON" in refusal(f"hub:{tmp_path}")
    assert capfd.readouterr() == ("", "")


def test_code_of_a_data_set_is_never_run(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "mine.py").write_text(f"open({str(tmp_path / 'trapped')!r}, 'w')")
    refusal(f"hub:{folder}")
    assert not (tmp_path / "trapped").exists()
