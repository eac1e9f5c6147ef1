"""The benchmark of every phase runs on a small cut; what it measures is not judged here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "speed.py"
RATIOS = ("vs_reference", "vs_floor", "memory_vs_reference")


def measure(folder, *options):
    command = [sys.executable, str(SCRIPT), "--quick", "--repeats", "1", "--device", "cpu"]
    subprocess.run([*command, "--json", str(folder / "found.json"), *options], check=True)
    return json.loads((folder / "found.json").read_text())


def test_a_small_cut_gives_ratios_by_phase(tmp_path):
    found = measure(tmp_path, "--phases", "grouping", "tuning")
    assert list(found) == ["grouping", "tuning"]
    assert all(found[phase][ratio] > 0 for phase in found for ratio in RATIOS)


@pytest.mark.long
def test_every_phase_runs(tmp_path):
    found = measure(tmp_path)
    assert {name.split(",")[0] for name in found} == {
        *("signals", "grouping", "choice", "tuning", "generation", "round", "engine")
    }
    assert all(made["milliseconds"]["ours"] > 0 for made in found.values())
