"""The example with data of one's own, run as a user would."""

import subprocess
import sys
from pathlib import Path

from fedhds.files import read_json

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_data.py"


def test_example_makes_a_client_of_each_hospital_and_leaves_an_adapter(tmp_path):
    command = [sys.executable, str(EXAMPLE), "--out", str(tmp_path), "--rounds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    summary = read_json(tmp_path / "run" / "summary.json")
    # four hospitals of nine complaints at five times each
    assert (summary["clients"], summary["samples_total"] + summary["samples_validation"]) == (
        4,
        180,
    )
    assert summary["loss_after"] < summary["loss_before"]
    assert (tmp_path / "run" / "adapter" / "adapter_model.safetensors").is_file()
    assert done.stdout.splitlines()[-1] == f"the adapter is in {tmp_path / 'run' / 'adapter'}"
