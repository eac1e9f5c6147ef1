"""Comparisons and reports through the command line."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import yaml
from small import small_config
from typer.testing import CliRunner

from fedhds.cli.main import app
from fedhds.files import read_json

pytest.importorskip("vl_convert", reason="the extra 'report' is not installed")
TABLES = ["table.csv", "table.md", "table.tex"]


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    plain = small_config(folder, federation__rounds=2)
    (folder / "mine.yaml").write_text(yaml.safe_dump(plain))
    return folder / "mine.yaml"


@pytest.fixture(scope="module")
def compared(config):
    """A finished comparison: its folder, and what was printed."""
    out = config.parent / "out"
    methods = ("--methods", "random,full", "--sizes", "4,8", "--seeds", "2")
    done = call("compare", config, *methods, "--out", out)
    assert done.exit_code == 0, done.output
    return out, done.output


def test_every_cell_is_a_run_folder(compared):
    out, _ = compared
    names = {f"{m}-seed-{s}" for m in ("random-4", "random-8", "full") for s in (0, 1)}
    assert {path.name for path in (out / "runs").iterdir()} == names
    assert all((out / "runs" / name / "adapter").is_dir() for name in names)


def test_words_name_the_reference_and_every_group(compared):
    _, printed = compared
    told = " ".join(printed.split())
    assert "random 8 on unseen loss with 2 seeds and 2 tasks" in told
    assert "full: unseen Rouge-L" in told


def test_page_and_tables_are_written(compared):
    out, _ = compared
    assert sorted(path.name for path in out.glob("table.*")) == TABLES
    rows = (out / "table.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == ["random 4", "full", "random 8"]
    page = (out / "report.html").read_text()
    assert "2 seeds and 2 tasks" in page
    assert page.rstrip().endswith("</html>")


def test_a_page_holds_no_text_unless_asked_for(compared, tmp_path):
    out, _ = compared
    said = [f"task{c} {n}" for c in range(8) for n in range(12)]
    assert not any(text in (out / "report.html").read_text() for text in said)
    page = tmp_path / "private.html"
    assert call("report", out, "--out", page, "--with-text").exit_code == 0
    assert any(text in page.read_text() for text in said)


def test_texts_are_refused_where_the_data_are_others(config, compared, tmp_path):
    out, _ = compared
    copy = tmp_path / "run"
    shutil.copytree(out / "runs" / "random-4-seed-0", copy)
    record = read_json(copy / "run.json")
    (copy / "run.json").write_text(json.dumps(record | {"data": "other"}))
    done = call("report", copy, "--with-text")
    assert done.exit_code == 2
    assert "the data changed" in done.output


def test_figures_and_tables_are_exported(compared, tmp_path):
    out, _ = compared
    done = call("report", out, "--out", tmp_path / "page.html", "--export", tmp_path / "figures")
    assert done.exit_code == 0, done.output
    names = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert [name for name in names if name.startswith("table")] == TABLES
    figures = {name.split(".")[0] for name in names} - {"table"}
    assert {"differences", "learning_curves", "samples_map", "costs"} <= figures
    assert all({f"{name}.png", f"{name}.svg"} <= set(names) for name in figures)


def test_runs_of_anywhere_make_a_page(compared, tmp_path):
    out, _ = compared
    runs = sorted((out / "runs").glob("*-seed-0"))
    page = tmp_path / "page.html"
    assert call("report", *runs, "--out", page, "--reference", "full").exit_code == 0
    assert "with 1 seed and 2 tasks" in page.read_text()


def test_finished_cells_stay_and_methods_may_be_added(config, compared):
    out, _ = compared
    before = {path: path.stat().st_mtime_ns for path in out.glob("runs/*/summary.json")}
    methods = ("--methods", "random,zip,full", "--sizes", "8", "--seeds", "2")
    done = call("compare", config, *methods, "--out", out, "--resume", "--json-log")
    assert done.exit_code == 0, done.output
    assert {path: path.stat().st_mtime_ns for path in before} == before
    events = [json.loads(line) for line in done.output.splitlines() if line.startswith("{")]
    warned = next(event for event in events if event["event"] == "warning")
    assert "shown no longer: random-4-seed-0, random-4-seed-1" in warned["text"]
    told = next(event for event in events if event["event"] == "comparison")
    assert [group["label"] for group in told["groups"]] == ["random", "zip", "full"]
    assert "random on unseen loss with 2 seeds and 2 tasks" in " ".join(told["words"])


def test_a_failed_cell_is_shown_and_the_rest_goes_on(config, tmp_path):
    """A filter and a tiny client leave nothing out; a learning rate without end does."""
    settings = ("--set", "tuning.lr=1e30", "--set", "tuning.clip=1e30")
    out = tmp_path / "out"
    methods = ("--methods", "random,zip", "--sizes", "4", "--seeds", "1")
    done = call("compare", config, *methods, *settings, "--out", out)
    assert done.exit_code == 1
    assert "2 of 2 runs are not finished" in done.output
    page = (out / "report.html").read_text()
    assert "failed" in page
    assert "cannot be evaluated" in page


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--methods", "rondom", "--sizes", "4"), "rondom"),
        (("--methods", "zip", "--sizes", "four"), "'four'"),
        (("--methods", "zip", "--sizes", "4", "--reference", "full"), "--reference 'full'"),
        (("--methods", "zip", "--sizes", "4", "--set", "data.train=gone.jsonl"), "gone.jsonl"),
        (("--methods", "zip"), "needs a budget"),
    ],
)
def test_mistakes_are_one_sentence_and_leave_nothing(config, tmp_path, arguments, problem):
    done = call("compare", config, *arguments, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert problem in done.output
    assert not (tmp_path / "out" / "runs").exists()


def test_report_of_what_is_no_run_is_one_sentence(tmp_path):
    done = call("report", tmp_path)
    assert done.exit_code == 2
    assert "is no run's folder" in done.output


@pytest.mark.timeout(600)  # three processes that import torch, on a busy machine
def test_interrupted_comparison_goes_on_where_it_was(config, tmp_path):
    out = tmp_path / "out"
    arguments = ["compare", str(config), "--methods", "random,zip,full", "--sizes", "4"]
    arguments += ["--seeds", "1", "--out", str(out)]
    started = {"stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    # a shell's background jobs ignore interrupts, and so would what they start
    started["preexec_fn"] = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen([sys.executable, "-m", "fedhds", *arguments], **started)
    first = out / "runs" / "random-4-seed-0" / "summary.json"
    limit = time.monotonic() + 300
    while not first.is_file() and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "--resume" in said
    before = first.stat().st_mtime_ns
    assert call(*arguments, "--resume", "--quiet").exit_code == 0
    assert first.stat().st_mtime_ns == before
    assert (out / "report.html").is_file()
