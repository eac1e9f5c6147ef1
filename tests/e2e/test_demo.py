"""The embedded default: the tiny Llama on the toy federation."""

from importlib.resources import files
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM
from typer.testing import CliRunner

from fedhds import config as configuration
from fedhds import experiment
from fedhds.cli.main import app
from fedhds.files import read_json

ASSETS = Path(str(files("fedhds") / "assets"))
SMALL = ["federation.rounds=1", "evaluation.per_task=1", "evaluation.clients=2", "tuning.epochs=1"]


def test_the_embedded_model_is_tiny():
    folder = ASSETS / "tiny-llama"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 5e6
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.config.model_type == "llama"
    assert sum(parameter.numel() for parameter in model.parameters()) <= 2_000_000


def test_the_demo_config_runs_a_round(tmp_path):
    config = configuration.load(ASSETS / "demo.yaml", SMALL)
    result = experiment.run(config, tmp_path / "demo")
    assert result.summary["clients"] == 20
    # one sample of each unseen task
    assert {scores["n"] for scores in result.summary["per_task"].values()} == {1}
    assert len(result.summary["per_task"]) >= 12
    assert 0 < result.summary["samples_used"] < 0.1 * result.summary["samples_total"]


@pytest.mark.long
def test_the_demo_teaches_and_compares(tmp_path):
    out = tmp_path / "demo"
    done = CliRunner().invoke(app, ["demo", "--out", str(out), "--quiet"])
    assert done.exit_code == 0
    assert "Choosing saved" in done.stdout
    summary = read_json(out / "summary.json")
    # the bar: unseen Rouge-L at least .10 above before, its interval clear of 0
    assert summary["rouge_l_after"] - summary["rouge_l_before"] >= 0.10
    assert summary["rouge_l_ci"][0] > 0
    assert read_json(tmp_path / "demo-full" / "summary.json")["method"] == "full"
