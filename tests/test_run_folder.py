"""The run folder of a deployment, whose clients are known when they are there."""

from small import small_config

from fedhds import config, run_folder
from fedhds.preparation import prepare
from fedhds.types import Silent


def test_sites_are_written_down_by_name_and_those_that_take_no_part_as_empty(tmp_path):
    deployed = {"engine": "deployment", "sites": ["a", "b"], "deadline": 60}
    given = {f"federation__{key}": value for key, value in deployed.items()}
    plain = small_config(tmp_path, **given)
    plain["data"]["train"] = None
    experiment = prepare(config.parse(plain), Silent(), selects=False)
    run_folder.begin(tmp_path / "run", experiment, "run")
    number = run_folder.number(tmp_path / "run")
    assert run_folder.clients(tmp_path / "run") == []
    run_folder.enrol(tmp_path / "run", ["a", "b", "c"], {2: 30, 0: 10}, {2: 3, 0: 1})
    assert run_folder.clients(tmp_path / "run") == [
        {"name": "a", "samples": 10, "validation": 1, "tasks": {}},
        {"name": "b", "samples": 0, "validation": 0, "tasks": {}},
        {"name": "c", "samples": 30, "validation": 3, "tasks": {}},
    ]
    assert run_folder.number(tmp_path / "run") == number
