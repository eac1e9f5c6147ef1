"""Plans and diagnoses of small experiments, and what the commands say of them."""

import json
from importlib.metadata import version

import pytest
import yaml
from small import CLIENTS, small_config, write_rows
from tiny import save_tiny, tiny_model
from typer.testing import CliRunner

from fedhds import config as configuration
from fedhds import diagnosis
from fedhds.cli.main import app
from fedhds.models import usable_cores
from fedhds.planning import plan
from fedhds.preparation import prepare
from fedhds.types import Silent

QUIET = Silent()


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(small_config(folder)))
    return path


def diagnose(source, *changes):
    return diagnosis.diagnose(configuration.load(source, changes), QUIET)


def test_plan_counts_what_the_run_has(source):
    config = configuration.load(source)
    made, experiment = plan(config, QUIET), prepare(config, QUIET)
    assert made.clients == CLIENTS
    assert made.samples == sum(len(client.train) for client in experiment.data.clients)
    assert made.unseen == len(experiment.unseen)
    assert made.clients_per_round == 4  # .4 of 8 clients, rounded up
    assert made.parameters == tiny_model().num_parameters()
    trainable = experiment.model.model.get_nb_trainable_parameters()[0]
    assert (made.trainable, made.adapter_bytes) == (trainable, 4 * trainable)


@pytest.mark.parametrize(
    ("changes", "memory", "disk"),
    [
        # of each number: 8 bytes of its sum, and 4 in each of six copies on their way
        ([], 8 + 6 * 4, 0),
        # four clients take part
        (["aggregation.method=flexlora"], 8 + 6 * 4 + 4 * 4, 0),
        # two more are asked
        (["aggregation.method=flexlora", "federation.over_sampling=.5"], 8 + 6 * 4 + 6 * 4, 0),
        # three wait for the first at most
        (["federation.engine=simulation"], 8 + 6 * 4, 3 * 4),
        (["federation.engine=simulation", "federation.codec=bfloat16"], 8 + 6 * 4, 3 * 2),
    ],
)
def test_plan_counts_what_merging_takes(source, changes, memory, disk):
    made = plan(configuration.load(source, changes), QUIET)
    assert made.merging_bytes == memory * made.trainable
    assert made.waiting_bytes == disk * made.trainable


def test_sound_experiment_has_no_problems(source):
    found = diagnose(source)
    assert (found.problems, found.warnings) == ([], [])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("data.train=nowhere.jsonl", "data.train: there is no file or folder 'nowhere.jsonl'"),
        ("model.name=./nowhere", "model.name: there is no model folder './nowhere'"),
        ("model.device=cuda:99", "model.device: 'cuda:99' is not usable here"),
        ("adapter.target_modules=[nothing]", "adapter.target_modules: "),
        ("model.quantization=4bit", "model.quantization '4bit' needs a CUDA device, not 'cpu'"),
        ("selection.layers=[7]", "selection.layers: there is no layer 7 in a model of 2"),
    ],
)
def test_mistakes_are_problems(source, change, problem):
    (sentence,) = diagnose(source, change).problems
    assert sentence.startswith(problem)


def test_model_without_weights_is_a_problem(source, tmp_path):
    folder = save_tiny(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    (sentence,) = diagnose(source, f"model.name={folder}").problems
    assert "has no whole safetensors weights" in sentence


def test_split_weights_must_all_be_there(source, tmp_path):
    folder = save_tiny(tmp_path / "model")
    (folder / "model.safetensors").rename(folder / "model-1-of-1.safetensors")
    index = {"metadata": {}, "weight_map": {"lm_head.weight": "model-1-of-1.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert diagnose(source, f"model.name={folder}").problems == []
    (folder / "model-1-of-1.safetensors").unlink()
    assert "has no whole safetensors" in diagnose(source, f"model.name={folder}").problems[0]


def test_each_process_of_a_simulation_holds_models(source):
    pytest.importorskip("ray")
    made = diagnose(source, "federation.engine=simulation").plan
    assert made.processes == 1 + min(CLIENTS, usable_cores())
    assert made.needed == made.processes * made.memory["peak"]


def test_experiment_larger_than_the_memory_is_a_problem(source, tmp_path):
    # a vocabulary and batches that need far more than any machine has
    many = write_rows(
        tmp_path / "many.jsonl",
        [{"instruction": "a", "input": "", "output": "b" * 50, "task": "t"}] * 20,
    )
    size = 10**12  # times 51 tokens, 105 words and 12 bytes: tens of petabytes
    (sentence,) = diagnose(
        source, f"data.train={many}", "data.eval=null", f"evaluation.batch_size={size}"
    ).problems
    assert sentence.startswith("it takes about ")
    assert "lower tuning.batch_size" in sentence


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        (["data.eval=null"], "there are no unseen tasks"),
        (["evaluation.validation=0"], "no client holds samples out"),
        (["federation.fraction=0.1"], "one client a round"),
        (["model.dtype=float16"], "without loss scaling"),
    ],
)
def test_oddities_are_warnings(source, changes, warning):
    found = diagnose(source, *changes)
    assert found.problems == []
    assert any(warning in sentence for sentence in found.warnings)


def test_machine_names_versions_and_what_an_extra_would_bring():
    facts = diagnosis.machine()
    assert facts["torch"] == version("torch")
    for package, extra in diagnosis.EXTRAS.items():
        assert facts[package][0].isdigit() or f"fedhds[{extra}]" in facts[package]


def test_containers_limit_counts(monkeypatch, tmp_path):
    assert diagnosis.available("cpu") > 0
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("400\n")
    monkeypatch.setattr(diagnosis, "CONTAINER", tmp_path)
    assert diagnosis.available("cpu") == 600
    (tmp_path / "memory.max").write_text("max\n")
    assert diagnosis.available("cpu") > 600


# --- the commands -------------------------------------------------------------------------------


def test_doctor_tells_of_the_machine_alone():
    done = call("doctor")
    assert done.exit_code == 0
    assert "transformers" in done.output
    assert "clients" not in done.output


def test_doctor_tells_of_an_experiment(source):
    done = call("doctor", source)
    assert done.exit_code == 0
    assert f"{CLIENTS}, of which 4 take part a round" in done.output
    assert "nothing would go wrong that can be told beforehand" in done.output


@pytest.mark.parametrize("verb", [["doctor"], ["run", "--dry-run"]])
def test_problem_ends_with_status_2(source, verb):
    done = call(*verb, source, "--set", "data.train=nowhere.jsonl")
    assert done.exit_code == 2
    assert "would go wrong: data.train: there is no file" in done.output


def test_dry_run_writes_nothing(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = call("run", source, "--dry-run")
    assert done.exit_code == 0
    assert "most at any time" in done.output
    assert list(tmp_path.iterdir()) == []


def test_dry_run_is_not_in_the_way_of_an_earlier_run(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / source.stem).mkdir(parents=True)
    (tmp_path / "runs" / source.stem / "summary.json").write_text("{}")
    assert call("run", source, "--dry-run").exit_code == 0


def test_dry_run_refuses_what_the_run_would_refuse(source, tmp_path):
    (tmp_path / "mine.txt").write_text("")
    done = call("run", source, "--dry-run", "--out", tmp_path)
    assert done.exit_code == 2
    assert "is not empty" in done.output


def test_json_log_is_json_alone(source):
    done = call("doctor", source, "--json-log")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[0]["event"] == "machine"
    assert lines[-1]["event"] == "diagnosis"
    assert lines[-1]["plan"]["clients"] == CLIENTS
