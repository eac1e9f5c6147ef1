"""``fedhds policy check``: what a site's policy says, and whether it allows an experiment."""

import json
import shlex
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from fedhds.cli.main import app

RANDOM = ["--set", "selection={method: random, samples: 5}"]


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text("site: north\nsamples_per_round: 500\nlargest_message: 64 MB\n")
    return path


def check(policy, *arguments):
    return CliRunner().invoke(app, ["policy", "check", str(policy), *map(str, arguments)])


def test_a_policy_is_told_in_sentences(policy):
    done = check(policy)
    assert done.exit_code == 0
    assert "- site 'north' allows every selection method that is private" in done.output
    assert "of fewer than 3 samples" in done.output
    assert "- a round may tune on at most 500 samples\n" in done.output
    assert "- a round may take any number of seconds of work\n" in done.output
    assert "- a message may have at most 64,000,000 bytes\n" in done.output
    assert "nothing in this version asks for one" in done.output  # a remote teacher
    (by_default,) = (line for line in done.output.splitlines() if "default options" in line)
    assert "fedhds-aligned" in by_default
    assert "density" not in by_default


def test_an_experiment_that_is_allowed_ends_well(policy, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("selection: {method: random, samples: 5}\n")
    done = check(policy, config)
    assert done.exit_code == 0
    assert done.output.splitlines()[-1] == "the experiment is allowed"


def test_an_experiment_that_is_refused_ends_as_a_mistake_with_the_reason(policy):
    done = check(policy, "--set", "selection.method=coreset-cent")
    assert done.exit_code == 2
    assert done.output.splitlines()[-1] == (
        "refused: no policy allows coreset-cent, which sends numbers of single samples"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "site has no default and must be set"),
        ("site: north\nsmalest_group: 2", "unknown key 'smalest_group'; did you mean"),
    ],
)
def test_a_mistake_in_the_policy_is_one_sentence_that_names_the_file(tmp_path, text, problem):
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    done = check(path)
    assert done.exit_code == 2
    assert done.output.startswith(f"fedhds: {path}: {problem}")
    assert done.output.count("\n") == 1


def test_for_machines_it_is_a_line_of_what_it_says_and_one_of_the_verdict(policy):
    done = check(policy, *RANDOM, "--json-log")
    told, verdict = map(json.loads, done.output.splitlines())
    assert (told["event"], told["site"], told["largest_message"]) == ("policy", "north", 64 * 10**6)
    assert (verdict["event"], verdict["allowed"], verdict["reason"]) == ("verdict", True, None)


def test_it_imports_neither_flower_nor_torch(policy):
    code = "import sys\nfrom fedhds.cli.main import app\nsys.argv = sys.argv[1:]\n"
    code += "try:\n    app()\nfinally:\n    print('LOADED', *sys.modules)"
    command = shlex.split(f"fedhds policy check {policy}") + RANDOM
    done = subprocess.run(
        [sys.executable, "-c", code, *command], capture_output=True, text=True, check=True
    )
    assert not {"torch", "flwr", "transformers"} & set(done.stdout.split("LOADED")[1].split())
