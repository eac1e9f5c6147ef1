"""The card in a run's adapter folder: its lines load the adapter, and it names no data."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from small import CLIENTS, UNSEEN, small_config
from typer.testing import CliRunner

from fedhds.cli.main import app


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    path = folder / "small.yaml"
    plain = small_config(folder, federation__rounds=2, evaluation__every=0)
    path.write_text(yaml.safe_dump(plain))
    return path


@pytest.fixture(scope="module")
def out(config):
    """Run the small experiment beside its model, so that names of folders find both."""
    done = CliRunner().invoke(app, ["run", str(config), "--out", str(config.parent / "run"), "-q"])
    assert done.exit_code == 0, done.output
    return config.parent / "run"


def lines_of(card: str) -> str:
    """Return the card's lines of Python."""
    (found,) = re.findall(r"```python\n(.*?)\n```", card, re.DOTALL)
    return found


def execute(code: str, folder: Path) -> str:
    end = "\nprint(model.peft_config['default'].peft_type.value, tokenizer.eos_token_id is None)"
    done = subprocess.run(
        [sys.executable, "-c", code + end], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_lines_of_the_card_load_the_adapter(out, tmp_path):
    shutil.copytree(out.parent / "model", tmp_path / "model")
    shutil.copytree(out / "adapter", tmp_path / "adapter")
    assert execute(lines_of((out / "adapter" / "README.md").read_text()), tmp_path) == "LORA False"


def test_card_names_no_data_and_no_path(out, config):
    card = (out / "adapter" / "README.md").read_text()
    names = [f"task{client}" for client in range(CLIENTS)]
    texts = [f"{task} {number}" for task in (*names, *UNSEEN) for number in range(3)]
    paths = [str(config.parent), "train.jsonl", "unseen.jsonl"]
    assert [word for word in (*names, *texts, *paths) if word in card] == []


def test_embedded_model_is_found_by_the_lines_of_its_card(tmp_path):
    changes = ["data.toy_samples=2", "federation.rounds=1", "data.max_length=128", "seed=1"]
    cheap = ["evaluation.per_task=1", "evaluation.max_new_tokens=2", "evaluation.clients=1"]
    sets = [part for change in (*changes, *cheap) for part in ("--set", change)]
    path = tmp_path / "embedded.yaml"
    path.write_text("federation: {fraction: 0.02}\n")
    done = CliRunner().invoke(app, ["run", str(path), "--out", str(tmp_path / "run"), "-q", *sets])
    assert done.exit_code == 0, done.output
    card = (tmp_path / "run" / "adapter" / "README.md").read_text()
    assert execute(lines_of(card), tmp_path / "run") == "LORA False"


def test_failed_run_leaves_a_card_that_says_so(config, tmp_path):
    out = tmp_path / "run"
    # a step so large that the weights overflow: the first round's adapter has no finite loss
    arguments = ["run", str(config), "--out", str(out), "-q", "--set", "tuning.lr=1e30"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 1, done.output
    card = (out / "adapter" / "README.md").read_text()
    assert "**The run failed after round" in card
    assert not (out / "summary.json").exists()
