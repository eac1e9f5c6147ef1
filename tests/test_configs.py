"""Every shipped configuration can run: it is valid, fits its data, and says how it is run."""

import json
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from formats import WRITERS
from typer.testing import CliRunner

from fedhds import config as configuration
from fedhds.cli.main import app

ROOT = Path(__file__).parent.parent
DEMO = Path(str(files("fedhds") / "assets" / "demo.yaml"))
SHIPPED = [*sorted(ROOT.glob("configs/**/*.yaml")), DEMO]
PAPER = sorted(ROOT.glob("configs/paper/*.yaml"))
MODELS = {
    "datajuicer-1b": "datajuicer/LLaMA-1B-dj-refine-150B",
    "open-llama-3b": "openlm-research/open_llama_3b",
}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_config_is_valid_and_says_how_to_run_it(path):
    assert configuration.notices(configuration.load(path)) == []
    header = [line for line in path.read_text().splitlines() if line.startswith("#")]
    commands = [line for line in header if "fedhds run" in line or "fedhds demo" in line]
    assert commands
    assert path == DEMO or any(str(path.relative_to(ROOT)) in line for line in commands)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_config_goes_with_data_of_its_preset(path, tmp_path):
    plain = configuration.read_yaml(path)
    tasks = ("brainstorming", "classification", "open_qa")
    written = WRITERS[plain["data"]["preset"]](tmp_path, tasks, 60)
    plain["data"] |= {key: value for key, value in written.items() if key != "holdout"}
    plain["model"] = {"name": "embedded", "device": "cpu"}
    if "clients" in plain["partition"]:
        plain["partition"]["clients"] = 4
    (tmp_path / path.name).write_text(yaml.safe_dump(plain))
    done = CliRunner().invoke(app, ["run", str(tmp_path / path.name), "--dry-run", "--json-log"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["event"] == "diagnosis"
    assert found["plan"]["clients"] > 0
    assert found["plan"]["unseen"] > 0


def test_every_scenario_of_the_paper_has_a_config():
    scenarios = ("natural-instructions", "dolly-0.5", "dolly-5.0")
    assert {path.stem for path in PAPER} == {f"{s}-{m}" for s in scenarios for m in MODELS}


@pytest.mark.parametrize("path", PAPER, ids=lambda path: path.stem)
def test_paper_config_has_what_all_published_commands_share(path):
    """As in the README and the defaults of `main.py` of zhenqincn/FedHDS, @7a243cc."""
    config = configuration.load(path)
    adapter, tuning, evaluation = config.adapter, config.tuning, config.evaluation
    assert (adapter.rank, adapter.alpha, adapter.dropout) == (8, 16, 0.05)
    assert adapter.target_modules is None  # all linear layers: q, k, v, o, gate, up, down
    assert (tuning.optimizer, tuning.batch_size, tuning.epochs) == ("adam", 1, 1)
    assert (tuning.lr_decay, tuning.steps, tuning.clip) == (1.0, None, None)
    assert (config.federation.fraction, config.data.max_length, config.seed) == (0.05, 1024, 42)
    assert (evaluation.max_new_tokens, evaluation.validation) == (128, 0.0)
    assert evaluation.per_task is None
    assert (config.selection.method, config.aggregation.method) == ("fedhds", "fedavg")
    assert config.budget_key is None
    assert config.model.dtype == "bfloat16"


@pytest.mark.parametrize("path", PAPER, ids=lambda path: path.stem)
def test_paper_config_has_the_published_numbers_of_its_scenario(path):
    config = configuration.load(path)
    found = (
        config.federation.rounds,
        config.tuning.lr,
        config.selection_method.min_cluster_size,
        config.data.prompt,
    )
    if path.stem.startswith("natural-instructions"):
        assert found == (40, 3e-4, 5, "alpaca-input")
        assert config.partition.kind == "task"
        return
    assert found == (60, 3e-5, 2, "alpaca")
    partition = config.partition_method
    alpha = float(path.stem.split("-")[1])
    assert (partition.clients, partition.alpha, partition.min_size) == (200, alpha, 10)
    assert config.data.train == "hub:databricks/databricks-dolly-15k"
    assert config.data.holdout == ["summarization"]


@pytest.mark.parametrize("path", PAPER, ids=lambda path: path.stem)
def test_paper_config_names_the_folder_that_its_header_makes(path):
    config = configuration.load(path)
    (name,) = (name for name in MODELS if path.stem.endswith(name))
    assert config.model.name == f"models/{name}"
    command = f"python scripts/to_safetensors.py {MODELS[name]} models/{name}"
    assert command in path.read_text()
