"""``fedhds audit``: every message that left a site, from the ledger of a run."""

import json
from hashlib import sha256

import numpy as np
import pytest
from typer.testing import CliRunner

from fedhds.cli.main import app
from fedhds.federation.ledger import Ledger, entry_of, error_entry, hash_of_facts
from fedhds.federation.messages import ADAPTER, SELECTION, Content, pack

CENTROIDS = np.arange(6, dtype=np.float32).reshape(3, 2)


@pytest.fixture
def run(tmp_path):
    """The folder of a run on a site: a summary, an adapter, a refusal and an error."""
    ledger = Ledger(tmp_path)
    summary = Content({"seconds_signals": 0.5}, {SELECTION: {"centroids": CENTROIDS}})
    adapter = Content({"samples": 4}, {ADAPTER: {"weight": np.ones(5, np.float32)}})
    ledger.keep(entry_of(pack(summary), "query.select", 1, 0.25))
    ledger.keep(entry_of(pack(adapter), "train", 1, 2.0))
    ledger.keep(error_entry("site 'north' refuses: too many", True, "train", 2, 0.1))
    ledger.keep(error_entry("RuntimeError", False, "train", 3, 0.1))
    return tmp_path


def audit(folder, *arguments):
    return CliRunner().invoke(app, ["audit", str(folder), *arguments])


def test_every_message_is_listed_with_fields_sizes_and_hashes(run):
    done = audit(run)
    assert done.exit_code == 0
    rows = [[cell.strip() for cell in row.split("│")[1:-1]] for row in done.output.splitlines()]
    messages = [row[1:] for row in rows if len(row) == 6]
    assert [row[0] for row in messages] == ["query.select", "", "train", "", "train", "train"]
    facts, centroids, *_ = messages
    assert facts[2:] == [
        "facts: seconds_signals",
        # a number of 8 bytes and the 15 letters of its name, and 9 of the array's
        str(8 + 15 + 9),
        hash_of_facts({"seconds_signals": 0.5})[:12],
    ]
    # 128 bytes of NumPy's header and 6 numbers
    assert centroids[2:4] == ["selection/centroids: float32 (3, 2)", str(128 + 6 * 4)]
    data = pack(Content({}, {SELECTION: {"centroids": CENTROIDS}}))[SELECTION]["centroids"].data
    assert centroids[4] == sha256(data).hexdigest()[:12]
    assert [row[2] for row in messages[-2:]] == ["refusal", "error"]


def test_totals_are_by_kind_and_refusals_are_told_with_their_reasons(run):
    lines = audit(run).output.splitlines()
    rows = [[cell.strip() for cell in row.split("│")[1:-1]] for row in lines]
    totals = {row[0]: [row[1], *row[3:]] for row in rows if len(row) == 5}
    assert totals == {"query.select": ["1", "0", "0"], "train": ["3", "2", "1"]}
    assert "refused 1 time(s): site 'north' refuses: too many" in lines
    assert "failed 1 time(s): RuntimeError" in lines


def test_for_machines_it_is_one_object_a_line_with_whole_hashes(run):
    told = [json.loads(line) for line in audit(run, "--json-log").output.splitlines()]
    assert [line["event"] for line in told] == ["message"] * 4 + ["total"] * 2
    assert told[0]["arrays"][0]["shape"] == [3, 2]
    assert len(told[0]["arrays"][0]["sha256"]) == 64
    assert told[0]["facts"] == {"seconds_signals": 0.5}
    assert told[-1].items() >= {"kind": "train", "messages": 3, "errors": 2, "refused": 1}.items()


def test_a_line_that_a_crash_tore_is_told(run):
    path = run / "messages.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    done = audit(run)
    assert done.exit_code == 0
    assert "warning: line 4 of" in done.output


def test_a_folder_without_messages_is_a_mistake(tmp_path):
    done = audit(tmp_path)
    assert done.exit_code == 2
    assert "is not the folder of a run on a site: it has no messages.jsonl" in done.output


def test_several_runs_are_told_one_after_the_other(run, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    Ledger(other).keep(error_entry("OSError", False, "evaluate", 1, 0.1))
    done = CliRunner().invoke(app, ["audit", str(run), str(other)])
    assert done.exit_code == 0
    lines = [line.strip() for line in done.output.replace("\n" + str(other), "\n@").splitlines()]
    assert done.output.startswith(str(run)[:20])
    before, after = "\n".join(lines).split("\n@")
    assert "failed 1 time(s): RuntimeError" in before
    assert "failed 1 time(s): OSError" in after


def test_one_folder_of_several_that_is_no_run_is_a_mistake_before_any_is_told(run, tmp_path):
    done = CliRunner().invoke(app, ["audit", str(run), str(tmp_path / "absent")])
    assert done.exit_code == 2
    assert "absent' is not the folder of a run on a site" in done.output.replace("\n", " ")
    assert "RuntimeError" not in done.output
