"""Reports of real runs, and of run folders that something happened to."""

import json
import shutil

import pytest
from small import small_config

import fedhds
from fedhds import run_files
from fedhds.cells import plan
from fedhds.files import read_json, write_json
from fedhds.report.figures import draw
from fedhds.reporting import make, write_report
from fedhds.types import UserError

FILES = {
    "run.json": run_files.Record,
    "summary.json": run_files.Summary,
    "unseen.json": run_files.Unseen,
    "samples.json": run_files.Samples,
}
WRONG = (None, "x", -1, [], {"x": []}, [["x"]])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of each of two methods."""
    folder = tmp_path_factory.mktemp("runs")
    config = small_config(folder, federation__rounds=1)
    for method in ("random", "fedhds-aligned"):
        fedhds.run(config | {"selection": {"method": method, "samples": 8}}, folder / method)
    return [folder / "random", folder / "fedhds-aligned"]


def is_read(folder, name, text):
    """Tell whether a file of such a text is read; if not, it is told in one sentence."""
    (folder / name).write_text(text)
    try:
        run_files.read(folder / name, FILES[name])
    except UserError as error:
        return f"{name}' is broken" not in str(error)
    return True


@pytest.mark.parametrize("name", FILES)
def test_a_file_with_anything_else_in_it_is_told_or_does_no_harm(runs, tmp_path, name):
    broken = tmp_path / "broken"
    shutil.copytree(runs[1], broken)
    whole = read_json(broken / name)
    for text in ("", "{", "3", "null", "[]", '{"data": NaN}', "\x00", "[" * 99_999):
        assert not is_read(broken, name, text)
    harmless = {
        key: wrong
        for key in whole
        for wrong in WRONG
        if is_read(broken, name, json.dumps({**whole, key: wrong}))
    }
    write_json(broken / name, whole | harmless)
    found = make([runs[0], broken])
    draw(found.groups, found.comparisons)


@pytest.mark.parametrize("name", FILES)
def test_older_runs_lack_files_and_are_shown_all_the_same(runs, tmp_path, name):
    copy = tmp_path / "older"
    shutil.copytree(runs[1], copy)
    if name != "run.json":
        (copy / name).unlink()
    assert [group.label for group in make([runs[0], copy]).groups] == ["random", "fedhds-aligned"]


def test_lines_of_rounds_that_are_none_are_told(runs, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(runs[0], copy)
    (copy / "rounds.jsonl").write_text('{"round": "first"}\n')
    with pytest.raises(UserError, match=r"rounds\.jsonl' is broken: round"):
        make([copy])


def test_columns_of_different_lengths_are_told(runs, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(runs[0], copy)
    samples = read_json(copy / "samples.json")
    write_json(copy / "samples.json", samples | {"x": samples["x"][1:]})
    with pytest.raises(UserError, match="different lengths"):
        make([copy])


def test_reference_of_a_comparison_may_have_a_filter(tmp_path):
    given = {"selection": {"filter": {"method": "zip", "keep": 0.5}}}
    assert plan(given, ["random", "k-center"], 1, [4]).reference_name == "random (filter zip)"


@pytest.mark.parametrize("place", ["file", "file/in-it"])
def test_places_that_cannot_be_written_are_told_in_a_sentence(runs, tmp_path, place):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        write_report(runs, tmp_path / "page.html", export_to=tmp_path / place)
    with pytest.raises(UserError, match="cannot be written"):
        write_report(runs, tmp_path / "file" / "page.html")
