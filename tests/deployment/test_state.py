"""Where a site keeps what outlives its processes, and who may read it."""

import stat

from fedhds.deployment.state import note, state_folder
from fedhds.federation.ledger import Ledger


def test_it_is_beside_the_policy_and_its_users_alone(tmp_path):
    folder = state_folder({"policy": str(tmp_path / "site" / "policy.yaml")}, 7)
    assert folder == tmp_path / "site" / "state" / "run-7"
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700


def test_it_is_where_the_site_says(tmp_path):
    own = {"policy": str(tmp_path / "policy.yaml"), "state": str(tmp_path / "elsewhere")}
    assert state_folder(own, 7) == tmp_path / "elsewhere" / "run-7"
    assert not (tmp_path / "state").exists()


def test_an_error_that_no_worker_made_is_in_the_runs_ledger(tmp_path):
    note({"state": str(tmp_path)}, "train", 7, 3, "MemoryError")
    (entry,), _ = Ledger(tmp_path / "run-7").entries()
    assert (entry.kind, entry.round, entry.reason, entry.refused) == (
        *("train", 3, "MemoryError"),
        False,
    )
    assert (entry.arrays, entry.facts) == ((), {})
