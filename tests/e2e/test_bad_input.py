"""Mistakes on the real command line: status 2, one sentence, nothing left behind."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from small import UNSEEN, rows, small_config, write_rows
from tiny import POSITIONS, tiny_tokenizer
from typer.testing import CliRunner

from fedhds.cli.main import app


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Make a folder with a small experiment in ``small.yaml``, with its model and its data."""
    folder = tmp_path_factory.mktemp("small")
    config = small_config(folder, federation__rounds=1, evaluation__every=0)
    (folder / "small.yaml").write_text(yaml.safe_dump(config))
    return folder


@pytest.fixture(scope="module")
def finished(folder) -> Path:
    """A run of the small experiment, not to be changed."""
    out = folder / "finished"
    assert call("run", folder / "small.yaml", "--out", out).exit_code == 0
    return out


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def told(stderr: str) -> str:
    """Return the only sentence on standard error."""
    lines = stderr.splitlines()
    assert len(lines) == 1, stderr
    assert lines[0].startswith("fedhds: ")
    return lines[0].removeprefix("fedhds: ")


def refusal(folder: Path, *overrides: str, options=(), out: Path | None = None, verb="run") -> str:
    """Run the small experiment with a mistake in it and return what is said of it."""
    place = out or folder / "never"
    sets = [part for override in overrides for part in ("--set", override)]
    done = call(verb, folder / "small.yaml", "--out", place, *sets, *options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert out or not place.exists()
    return told(done.stderr)


def snapshot(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# --- the configuration --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        (
            "federation.round=3",
            "unknown key 'federation.round'; did you mean 'federation.rounds'?",
        ),
        ("federation.rounds=x", "federation.rounds should be a valid integer (it is 'x')"),
        ("tuning.lr=0", "tuning.lr must be a finite number above 0, not 0.0"),
        (
            "selection.method=fedhdx",
            "selection.method: unknown selection 'fedhdx'; did you mean 'fedhds'?",
        ),
        ("data.train=absent.jsonl", "data.train: there is no file or folder 'absent.jsonl'"),
        ("model.name=absent/", "model.name: there is no model folder 'absent/'"),
        (
            "partition={kind: iid, clients: 1000}",
            "partition.clients: 1000 clients cannot share 124 examples",  # 8 * 12 + 0 + ... + 7
        ),
        (
            "data.max_length=8",
            "data.train: nothing is left after filtering: 124 response_cut_away",
        ),
    ],
)
def test_mistake_in_a_key_is_one_sentence(folder, override, sentence):
    assert refusal(folder, override) == sentence


def test_verb_needs_a_config_that_is_there(folder):
    done = call("run", folder / "absent.yaml", "--out", folder / "never")
    assert done.exit_code == 2
    assert told(done.stderr) == f"there is no config file '{folder / 'absent.yaml'}'"


def test_json_log_tells_the_mistake_as_an_event(folder):
    done = call("run", folder / "small.yaml", "--set", "seed=x", "--json-log")
    event = json.loads(done.stdout)
    assert (done.exit_code, done.stderr) == (2, "")
    assert (event["event"], event["status"]) == ("error", 2)
    assert event["text"] == "fedhds: seed should be a valid integer (it is 'x')"


@pytest.mark.parametrize("override", ["federation.rond=3", "model.name=./absent"])
def test_process_ends_with_the_sentence_and_the_status(folder, override):
    out = folder / "never"
    arguments = ["run", folder / "small.yaml", "--out", out, "--set", override]
    code = "from fedhds.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert override.partition("=")[0] in told(done.stderr)
    assert not out.exists()


# --- the data -----------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["data.train", "data.eval"])
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "has no rows"),
        ('{"instruction": "a", "output": "b"}\n{"instruction": \n', "line 2 is not JSON"),
        ('{"instruction": "a", "output": "b"}\n[1]\n', "line 2 is not an object"),
    ],
)
def test_broken_file_is_named_with_its_line(folder, key, content, problem):
    path = folder / "broken.jsonl"
    path.write_text(content)
    assert refusal(folder, f"{key}={path}").startswith(f"{key}: '{path}' {problem}")


def test_missing_column_lists_those_there_are(folder):
    assert refusal(folder, "data.columns.output=answer") == (
        f"data.columns.output: {folder / 'train.jsonl'} has no column 'answer'; "
        "there are: instruction, input, output, task, id"
    )


@pytest.mark.parametrize("key", ["data.train", "data.eval"])
def test_file_without_any_answer_counts_what_was_dropped(folder, key):
    path = write_rows(folder / "no-answers.jsonl", [r | {"output": None} for r in rows("t", 3)])
    sentence = f"{key}: nothing is left of '{path}' (3 no_output)"
    assert refusal(folder, f"{key}={path}") == sentence


# --- the model ----------------------------------------------------------------------------------


def test_tokenizer_without_eos_is_refused(folder):
    model = folder / "no-eos"
    shutil.copytree(folder / "model", model)
    tokenizer = tiny_tokenizer()
    tokenizer.eos_token = None
    tokenizer.save_pretrained(model)
    assert refusal(folder, f"model.name={model}") == (
        f"model.name: the tokenizer of '{model}' has no EOS token, so no response could ever end"
    )


def test_samples_longer_than_the_model_are_refused(folder):
    model = folder / "model"
    assert refusal(folder, f"data.max_length={POSITIONS + 1}") == (
        f"data.max_length is 65, but the model '{model}' has 64 positions"
    )


def test_samples_longer_than_virtual_tokens_leave_room_for_are_refused(folder):
    model = folder / "model"
    virtual = "adapter={kind: prompt-tuning, virtual_tokens: 20}"
    assert refusal(folder, virtual, "data.max_length=45") == (
        f"data.max_length is 45, but the model '{model}' has 64 positions, "
        "of which adapter.virtual_tokens takes 20"
    )
    assert refusal(folder, "adapter={kind: p-tuning, virtual_tokens: 64}") == (
        f"adapter.virtual_tokens is 64, but the model '{model}' has 64 positions"
    )


def test_quantised_model_without_a_gpu_is_refused(folder):
    overrides = ("model.quantization=4bit", "model.device=cpu")
    assert refusal(folder, *overrides, options=["--quiet"]) == (
        "model.quantization '4bit' needs a CUDA device, not 'cpu': "
        "set it to null, or model.device to one"
    )


def test_chat_needs_a_template(folder):
    assert refusal(folder, "data.prompt=chat") == (
        "data.prompt: 'chat' needs a tokenizer with a chat template; this has none"
    )


@pytest.mark.parametrize("override", ["adapter.target_modules=[absent]", "model.device=absent"])
def test_what_only_the_model_tells_comes_after_the_data_alone(folder, override):
    # quietly, for by then the data have been told of; nothing is written yet
    assert override.partition("=")[0] in refusal(folder, override, options=["--quiet"])


# --- the run folder -----------------------------------------------------------------------------


def test_run_is_never_written_over_by_accident(folder, finished):
    before = snapshot(finished)
    sentence = refusal(folder, out=finished)
    assert sentence.endswith("is not empty: say --resume to go on or --overwrite to start again")
    assert snapshot(finished) == before


@pytest.mark.parametrize(
    ("override", "verb", "problem"),
    [
        ("seed=1", "run", "is of another experiment: seed differs"),
        ("tuning.lr=1e-3", "run", "is of another experiment: tuning.lr differs"),
        ("selection.min_cluster_size=3", "run", "selection.min_cluster_size differs"),
        ("seed=0", "select", "was begun by 'fedhds run'"),
    ],
)
def test_another_experiment_is_not_resumed(folder, finished, override, verb, problem):
    before = snapshot(finished)
    assert problem in refusal(folder, override, options=["--resume"], out=finished, verb=verb)
    assert snapshot(finished) == before


@pytest.mark.parametrize("option", ["--overwrite", "--resume"])
@pytest.mark.parametrize("name", ["notes.txt", "config.yaml"])
def test_foreign_folder_is_left_alone(folder, tmp_path, option, name):
    for kept in (name, "clients/ours.py"):
        (tmp_path / kept).parent.mkdir(exist_ok=True)
        (tmp_path / kept).write_text("mine")
    before = snapshot(tmp_path)
    sentence = refusal(folder, options=[option], out=tmp_path)
    assert sentence.startswith(f"'{tmp_path}' is not a run folder")
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("inside", ["", "run", "deeper/run"])
def test_file_is_no_run_folder(folder, tmp_path, inside):
    (tmp_path / "file").write_text("mine")
    out = tmp_path / "file" / inside
    problem = f"'{tmp_path / 'file'}' is a file, so '{out}' cannot be a run folder"
    assert problem in refusal(folder, options=["--quiet"], out=out)
    assert (tmp_path / "file").read_text() == "mine"


def test_resuming_and_starting_again_exclude_each_other(folder, finished):
    options = ["--resume", "--overwrite"]
    assert refusal(folder, options=options, out=finished).endswith("exclude each other")


def test_folder_without_an_adapter_cannot_be_evaluated(tmp_path):
    done = call("eval", tmp_path)
    assert done.exit_code == 2
    assert told(done.stderr).endswith("is not the folder of a finished run: it has no adapter")


@pytest.mark.parametrize("option", ["--overwrite", "--resume"])
@pytest.mark.parametrize("removed", [["config.yaml", "checkpoint"], ["config.yaml", "adapter"]])
def test_run_killed_between_two_files_is_no_dead_end(folder, finished, tmp_path, option, removed):
    out = Path(shutil.copytree(finished, tmp_path / "run"))
    for name in (*removed, "summary.json"):
        shutil.rmtree(out / name) if (out / name).is_dir() else (out / name).unlink()
    assert call("run", folder / "small.yaml", "--out", out, option).exit_code == 0
    assert {"summary.json", "config.yaml", "adapter"} <= {path.name for path in out.iterdir()}


# --- what is only warned of ---------------------------------------------------------------------


def test_unseen_task_that_is_trained_on_is_warned_of(folder, tmp_path):
    unseen = write_rows(tmp_path / "unseen.jsonl", rows("task0", 2) + rows(UNSEEN[0], 2))
    sets = ["--set", f"data.eval={unseen}", "--set", "evaluation.validation=0"]
    done = call("run", folder / "small.yaml", "--out", tmp_path / "run", "--quiet", *sets)
    warnings = json.loads((tmp_path / "run" / "summary.json").read_text())["warnings"]
    assert done.exit_code == 0
    assert warnings == [
        "1 unseen task(s) are also trained on: task0",
        "2 unseen sample(s) are also among the training samples",
    ]
    assert done.stderr.splitlines() == [f"warning: {warning}" for warning in warnings]
