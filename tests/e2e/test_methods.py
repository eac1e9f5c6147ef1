"""Every selection method, and methods put together, through the command line."""

import json

import pytest
import yaml
from small import CLIENTS, rows, small_config, write_rows
from typer.testing import CliRunner

from fedhds import registry
from fedhds.cli.main import app
from fedhds.files import read_json

SAMPLES = 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A config whose one round asks all clients, with everything that a method may need."""
    folder = tmp_path_factory.mktemp("methods")
    plain = small_config(folder, federation__rounds=1, federation__fraction=1.0)
    models = {"proxy": plain["model"]["name"], "scorer": "embedded"}  # room for a question
    plain["model"] |= models
    plain["selection"] = {
        "samples": SAMPLES,
        "knowledge": str(write_rows(folder / "public.jsonl", rows("task3", 30))),
    }
    (folder / "all.yaml").write_text(yaml.safe_dump(plain))
    return folder


def call(verb, folder, name, *overrides):
    """Run a verb in a folder of its own; return its summary and each client's coreset."""
    changes = [word for override in overrides for word in ("--set", f"selection.{override}")]
    out = folder / f"{verb}-{name}"
    done = CliRunner().invoke(app, [verb, str(folder / "all.yaml"), "--out", str(out), *changes])
    assert done.exit_code == 0, done.output
    files = sorted((out / "coresets").iterdir()) if verb == "select" else []
    texts = {file.stem: file.read_text(encoding="utf-8").splitlines() for file in files}
    chosen = {name: [json.loads(line)["id"] for line in lines] for name, lines in texts.items()}
    return read_json(out / "summary.json"), chosen


@pytest.fixture(scope="module")
def chosen(folder):
    """What each method chooses, by name."""
    return {
        name: call("select", folder, name, f"method={name}") for name in registry.names("selection")
    }


@pytest.mark.parametrize("name", registry.names("selection"))
def test_budget_is_kept_by(name, chosen):
    summary, coresets = chosen[name]
    wanted = summary["samples_total"] if name == "full" else SAMPLES
    assert sum(map(len, coresets.values())) == summary["samples_used"] == wanted


def test_no_two_methods_choose_the_same(chosen):
    found = {json.dumps(coresets, sort_keys=True): name for name, (_, coresets) in chosen.items()}
    # the proxy here is the tuned model itself, before any tuning
    assert set(chosen) - set(found.values()) <= {"fedhds", "fedhds-turbo"}


@pytest.mark.parametrize("name", registry.names("selection"))
def test_a_model_is_tuned_on_what_is_chosen_by(name, folder):
    summary, _ = call("run", folder, name, f"method={name}")
    assert summary["method"] == name
    assert summary["samples_used"] > 0


def test_filter_and_inner_method_are_named_in_the_runs_configuration(folder):
    composed = ["method=fedhds", "filter={method: ifd, keep: 0.6}", "within={method: zip}"]
    summary, coresets = call("select", folder, "composed", *composed)
    assert summary["samples_used"] == sum(map(len, coresets.values())) == SAMPLES
    kept = yaml.safe_load((folder / "select-composed" / "config.yaml").read_text())["selection"]
    assert kept["filter"] == {"method": "ifd", "keep": 0.6}
    assert kept["within"]["minimum_bytes"] == 64  # the inner method's defaults are filled in


def test_results_name_the_whole_composition(folder):
    composed = ["method=fedhds", "filter={method: ifd}", "within={method: random}"]
    summary, _ = call("run", folder, "named", *composed)
    assert summary["method"] == "fedhds (filter ifd, within random)"


def test_run_whose_knowledge_changed_is_not_gone_on_with(folder, tmp_path):
    base = write_rows(tmp_path / "public.jsonl", rows("task3", 30))
    arguments = ["select", str(folder / "all.yaml"), "--out", str(tmp_path / "run"), "--resume"]
    arguments += ["--set", "selection.method=recost", "--set", f"selection.knowledge={base}"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    (tmp_path / "run" / "summary.json").unlink()  # as of a run that was killed near its end
    write_rows(base, rows("task5", 30))
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 2
    assert "selection.knowledge holds something else since" in again.output


def test_knowledge_that_nothing_is_found_in_is_warned_of(folder, tmp_path):
    base = write_rows(tmp_path / "far.jsonl", [{"text": "Quite other words."}])
    arguments = ["select", str(folder / "all.yaml"), "--out", str(tmp_path / "run")]
    arguments += ["--set", "selection.method=recost", "--set", f"selection.knowledge={base}"]
    done = CliRunner().invoke(app, arguments)
    assert "warning: 111 of 111 samples are read without knowledge" in done.output


def test_what_a_filter_leaves_out_is_chosen_for_no_budget_and_the_record_says_so(folder):
    half = ["method=random", "samples=1000", "filter={method: perplexity, keep: 0.5}"]
    summary, _ = call("select", folder, "half", *half)
    # of each of the eight clients half, rounded up
    assert 0 <= 2 * summary["samples_used"] - summary["samples_total"] <= CLIENTS
    (line,) = (folder / "select-half" / "rounds.jsonl").read_text().splitlines()
    remark = f"only {summary['samples_used']} of the 1000 samples asked for could be chosen"
    assert json.loads(line)["remarks"] == [remark]
