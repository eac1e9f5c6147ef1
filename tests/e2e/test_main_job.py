"""The verbs on a small experiment: what they write, and that others can use it."""

import json
import subprocess
import sys

import pytest
import yaml
from safetensors.numpy import load_file
from small import CLIENTS, UNSEEN, rows, small_config
from typer.testing import CliRunner

import fedhds
from fedhds.cli.main import app
from fedhds.files import read_json

KEYS = {
    *("method", "seed", "rounds", "resumed_from", "clients", "samples_total", "samples_used"),
    *("sample_passes", "rouge_l_before", "rouge_l_after", "rouge_l_ci", "loss_before"),
    *("loss_after", "per_task", "seconds", "bytes", "peak_rss_mb", "dropped", "versions", "config"),
}


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(small_config(folder)))
    return path


@pytest.fixture(scope="module", params=["fedhds", "random", "full"])
def finished(request, config, tmp_path_factory):
    """A run of each method: its name, folder and summary."""
    out = tmp_path_factory.mktemp(request.param) / "run"
    budget = ["--set", "selection.samples=9"] if request.param == "random" else []
    done = call("run", config, "--out", out, "--set", f"selection.method={request.param}", *budget)
    assert done.exit_code == 0, done.output
    return request.param, out, read_json(out / "summary.json")


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    out = tmp_path_factory.mktemp("one") / "run"
    assert call("run", config, "--out", out, "--quiet").exit_code == 0
    return out


def test_summary_has_every_key(finished):
    method, _, summary = finished
    assert set(summary) >= KEYS
    assert summary["method"] == summary["config"]["selection"]["method"] == method
    assert set(summary["seconds"]) == {
        "signals",
        "selection",
        "tuning",
        "aggregation",
        "evaluation",
    }
    assert set(summary["bytes"]) == {"summaries_up", "plans_down", "adapters_up", "adapters_down"}


def test_samples_are_accounted_for(finished):
    method, out, summary = finished
    # 12 + ... + 19 samples on eight clients, of which round(.1 n) are held out: 1 (12 to 14),
    # 2 (15 to 19; round(1.5) is 2)
    assert summary["samples_total"] + summary["samples_validation"] == sum(range(12, 20))
    assert summary["samples_validation"] == 3 * 1 + 5 * 2
    lines = [json.loads(line) for line in (out / "rounds.jsonl").read_text().splitlines()]
    assert summary["sample_passes"] == sum(line["passes"] for line in lines)
    assert 0 < summary["samples_used"] <= summary["sample_passes"]
    if method == "random":
        assert [line["samples"] for line in lines] == [9, 9, 9]


def test_scores_are_of_the_unseen_tasks(finished):
    _, _, summary = finished
    assert sorted(summary["per_task"]) == sorted(UNSEEN)
    assert {scores["n"] for scores in summary["per_task"].values()} == {4}
    low, high = summary["rouge_l_ci"]
    assert low <= summary["rouge_l_after"] - summary["rouge_l_before"] <= high


def test_only_methods_with_exchanges_send_summaries(finished):
    method, _, summary = finished
    assert (summary["bytes"]["summaries_up"] > 0) == (method == "fedhds")


def test_the_adapter_loads_in_a_plain_script(run, config):
    base = yaml.safe_load(config.read_text())["model"]["name"]
    script = f"""
from peft import PeftModel
from transformers import AutoModelForCausalLM
base = AutoModelForCausalLM.from_pretrained({base!r})
model = PeftModel.from_pretrained(base, {str(run / "adapter")!r})
print(sum(p.abs().sum().item() for n, p in model.named_parameters() if "lora_B" in n))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) > 0  # LoRA's B starts at zero, so it was trained


def test_the_kept_config_gives_the_same_run_again(run, tmp_path):
    again = tmp_path / "again"
    assert call("run", run / "config.yaml", "--out", again, "--quiet").exit_code == 0
    first, second = (load_file(o / "adapter" / "adapter_model.safetensors") for o in (run, again))
    assert all((first[name] == second[name]).all() for name in first)


def test_another_seed_gives_another_adapter(run, config, tmp_path):
    out = tmp_path / "run"
    assert call("run", config, "--out", out, "--quiet", "--set", "seed=1").exit_code == 0
    first, second = (load_file(o / "adapter" / "adapter_model.safetensors") for o in (run, out))
    assert any((first[name] != second[name]).any() for name in first)


def test_overwrite_removes_the_old_run_and_nothing_else(run, config, tmp_path):
    out = tmp_path / "run"
    for method in ("full", "fedhds"):
        done = call(
            "run", config, "--out", out, "-q", "--overwrite", "--set", f"selection.method={method}"
        )
        assert done.exit_code == 0
        (out / "notes.txt").write_text("mine")
    assert read_json(out / "summary.json")["method"] == "fedhds"
    assert (out / "notes.txt").read_text() == "mine"


def test_select_writes_each_chosen_sample_once_with_all_its_columns(config, tmp_path):
    out = tmp_path / "coresets"
    assert call("select", config, "--out", out).exit_code == 0
    summary, seen = read_json(out / "summary.json"), 0
    for path in (out / "coresets").iterdir():
        chosen = [json.loads(line) for line in path.read_text().splitlines()]
        task = path.stem
        originals = {row["id"]: row for row in rows(task, 20)}
        assert len({row["id"] for row in chosen}) == len(chosen)
        for row in chosen:
            assert row.pop("client") == task
            assert isinstance(row.pop("group"), int)
            assert row == originals[row["id"]]
        seen += len(chosen)
    assert seen == summary["samples_used"] > 0
    assert summary["bytes"]["adapters_up"] == 0


def test_select_trains_nothing_and_leaves_no_adapter(config, tmp_path):
    out = tmp_path / "coresets"
    assert call("select", config, "--out", out, "--quiet").exit_code == 0
    assert not (out / "adapter").exists()
    assert read_json(out / "summary.json")["seconds"]["tuning"] == 0


def test_eval_repeats_the_runs_own_score(run):
    assert call("eval", run).exit_code == 0
    summary, found = read_json(run / "summary.json"), read_json(run / "evaluation.json")
    assert found["rouge_l"] == pytest.approx(summary["rouge_l_after"])
    assert found["loss"] == pytest.approx(summary["loss_after"], rel=1e-6)


def test_json_log_is_one_object_a_line(config, tmp_path):
    done = call("run", config, "--out", tmp_path / "run", "--json-log")
    events = [json.loads(line)["event"] for line in done.stdout.splitlines()]
    assert events.count("round") == 3
    assert events[-1] == "summary"


def test_python_does_the_same(run, config, tmp_path):
    plain = yaml.safe_load(config.read_text())
    result = fedhds.run(plain, out=tmp_path / "run")
    assert result.summary["rouge_l_after"] == read_json(run / "summary.json")["rouge_l_after"]
    assert result.out == tmp_path / "run"


def test_runs_without_unseen_tasks_are_judged_by_validation_alone(config, tmp_path):
    done = call("run", config, "--out", tmp_path / "run", "-q", "--set", "data.eval=null")
    assert done.exit_code == 0
    summary = read_json(tmp_path / "run" / "summary.json")
    assert summary["rouge_l_after"] is None
    assert summary["validation"]["after"]["samples"] > 0


@pytest.mark.parametrize(
    "changes",
    [
        ["partition.kind=iid", "partition.clients=4"],
        [
            "partition.kind=dirichlet",
            "partition.clients=4",
            "partition.alpha=1.0",
            "partition.min_size=5",
        ],
        ["partition.kind=column", "partition.by=input"],
    ],
)
def test_partitions_change_the_clients(config, tmp_path, changes):
    options = [word for change in changes for word in ("--set", change)]
    done = call(
        "run", config, "--out", tmp_path / "run", "-q", *options, "--set", "federation.rounds=1"
    )
    assert done.exit_code == 0, done.output
    # two values of `input`, "a" and "b"; CLIENTS by task otherwise
    expected = 2 if "column" in changes[0] else 4
    assert read_json(tmp_path / "run" / "summary.json")["clients"] == expected != CLIENTS
