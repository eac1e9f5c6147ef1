"""Judging a finished selection: the coreset is found again, and its numbers are right."""

import json
import shutil

import numpy as np
import pytest
from small import CLIENTS, small_config
from tiny import sample, save_encoder

import fedhds
from fedhds.evaluation.coverage import coverage
from fedhds.evaluation.spaces import lexical
from fedhds.federation.client_app import coreset_row
from fedhds.files import read_json, write_jsonl
from fedhds.judging import _positions, labels_of
from fedhds.types import ClientData, Example, Sample, UserError


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """A finished selection among 8 clients of 12 to 19 samples, of which none are held out."""
    folder = tmp_path_factory.mktemp("small")
    changes = {"federation__rounds": 2, "federation__fraction": 0.5, "evaluation__validation": 0}
    fedhds.select(small_config(folder, **changes), out=folder / "run")
    return folder


@pytest.fixture(scope="module")
def found(experiment):
    return fedhds.judge(experiment / "run", save_encoder(experiment / "encoder"))


@pytest.fixture
def copy(experiment, tmp_path):
    """The same selection, to be changed."""
    return shutil.copytree(experiment / "run", tmp_path / "run")


def chosen_rows(run):
    return [
        json.loads(line)
        for path in sorted((run / "coresets").iterdir())
        for line in path.read_text().splitlines()
    ]


def test_judgement_is_written_and_counts_are_those_of_the_coreset(experiment, found):
    rows = chosen_rows(experiment / "run")
    assert read_json(experiment / "run" / "judgement.json") == found
    assert (found["size"], found["samples"]) == (len(rows), sum(range(12, 12 + CLIENTS)))
    assert found["in_all"] == {"tasks": CLIENTS}
    assert list(found["spaces"]) == ["lexical", "sentence encoder"]
    for space in found["spaces"].values():
        assert set(space) == {"method", "coreset-cent", "ceiling", "random draws"}
        assert space["method"]["tasks"] == len({row["task"] for row in rows})


def test_coverage_is_that_of_the_rows_in_the_files(experiment, found):
    keys, texts = [], []
    for line in (experiment / "train.jsonl").read_text().splitlines():
        row = json.loads(line)
        keys.append((row["task"], row["id"]))
        texts.append(f"{row['instruction']}\n{row['input']}\n{row['output']}")
    chosen = [keys.index((row["task"], row["id"])) for row in chosen_rows(experiment / "run")]
    expected = coverage(lexical(texts, seed=0), np.array(chosen))
    # rounded to six digits; other positions of the same text are as good
    assert found["spaces"]["lexical"]["method"]["coverage"] == pytest.approx(expected, abs=2e-6)


def test_ceiling_is_above_all_else(found):
    for space in found["spaces"].values():
        # greedy is no proof of the best, but on so few samples nothing comes near it
        assert max(row["coverage"] for row in space.values()) == space["ceiling"]["coverage"]
        assert space["random draws"]["coverage_sd"] > 0


def test_judging_again_says_the_same(experiment, found, copy):
    assert fedhds.judge(copy, experiment / "encoder") == found


# --- finding the coreset ------------------------------------------------------------------------


def client(*rows):
    samples = (Sample(Example("do", "", "it", "t", (), row), (1,), (2,)) for row in rows)
    return ClientData("ours", tuple(samples))


@pytest.mark.parametrize("chosen", [[], [0, 4], [1, 2, 3], [0, 1, 2, 3, 4]])
def test_rows_are_found_in_their_order_copies_and_our_columns_included(tmp_path, chosen):
    odd = {"client": "theirs", "group": 7, "score": float("nan"), "text": "a\u2028b\x85c\r\n"}
    data = client({"n": 1}, odd, {"n": 2}, {"n": 1}, {"n": 3})
    path = tmp_path / "ours.jsonl"
    write_jsonl(path, (coreset_row(data, i) | {"group": -1} for i in chosen))
    assert _positions(path, data) == chosen


def test_row_that_is_no_sample_is_named(tmp_path):
    path = tmp_path / "ours.jsonl"
    write_jsonl(path, [{"n": 1, "client": "ours", "group": 0}, {"n": 9, "client": "ours"}])
    with pytest.raises(UserError, match=r"line 2 is no training sample of 'ours'"):
        _positions(path, client({"n": 1}, {"n": 2}))


def test_data_sets_are_counted_where_rows_tell_them():
    named = [Example("do", "", "it", "t", (), {"dataset": name}) for name in ("a", None, "b")]
    assert labels_of(named)["data_sets"] == ["a", "", "b"]
    assert labels_of([sample([1], [2], task="t").example]) == {"tasks": ["t"]}
    assert labels_of([sample([1], [2], task="").example]) == {}


# --- what cannot be judged ----------------------------------------------------------------------


def test_selection_without_any_sample_is_one_sentence(copy):
    for path in (copy / "coresets").iterdir():
        path.write_text("")
    with pytest.raises(UserError, match=r"no sample was chosen in .* nothing to judge"):
        fedhds.judge(copy)


@pytest.mark.parametrize("name", ["config.yaml", "summary.json", "coresets"])
def test_folder_of_no_finished_selection_is_refused(copy, name):
    (copy / name).rename(copy / "elsewhere")
    with pytest.raises(UserError, match="not the folder of a finished 'fedhds select'"):
        fedhds.judge(copy)


def test_data_that_changed_are_refused(copy):
    (copy / "run.json").write_text('{"verb": "select", "data": "other"}')
    with pytest.raises(UserError, match="the data changed"):
        fedhds.judge(copy)
