"""The ledger of a site: nothing is lost, and what a crash tore is told."""

import json
from hashlib import sha256

import numpy as np
import pytest

from fedhds.federation.ledger import Ledger, entry_of, error_entry, hash_of_facts, size
from fedhds.federation.messages import ADAPTER, Content, pack


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "run")


def keep(ledger, *rounds):
    for round in rounds:
        ledger.keep(error_entry("RuntimeError", False, "train", round, 1.5))


def rounds_of(ledger):
    entries, torn = ledger.entries()
    return [entry.round for entry in entries], torn


def test_nothing_was_sent_before_the_first_message(ledger):
    assert ledger.entries() == ([], [])
    assert ledger.seconds(1) == 0


def test_what_was_kept_is_read_as_it_was_by_another_process(ledger):
    records = pack(Content({"samples": 3}, {ADAPTER: {"weight": np.ones((2, 2), np.float32)}}))
    entry = entry_of(records, "train", 7, 0.5)
    ledger.keep(entry)
    assert Ledger(ledger.path.parent).entries() == ([entry], [])
    (array,) = entry.arrays
    assert (array.dtype, array.shape) == ("float32", (4,))  # an adapter travels as a vector
    assert array.sha256 == sha256(records[ADAPTER][array.name].data).hexdigest()
    assert entry.bytes == size(records)


def test_facts_have_a_hash_that_anybody_can_work_out():
    facts = {"b": 1, "a": 0.5}
    assert hash_of_facts(facts) == sha256(b'{"a":0.5,"b":1}').hexdigest()


def test_lines_are_added_and_none_is_changed(ledger):
    keep(ledger, 1)
    before = ledger.path.read_bytes()
    keep(ledger, 2)
    assert ledger.path.read_bytes().startswith(before)
    assert rounds_of(ledger) == ([1, 2], [])


@pytest.mark.parametrize("lost", [1, 2, 30])  # the line's end alone, its last character, more
def test_a_torn_last_line_is_told_and_the_next_is_whole(ledger, lost):
    keep(ledger, 1, 2)
    ledger.path.write_bytes(ledger.path.read_bytes()[:-lost])
    whole = lost == 1
    assert rounds_of(ledger) == (([1, 2], []) if whole else ([1], [2]))
    keep(ledger, 3)
    assert rounds_of(ledger) == (([1, 2, 3], []) if whole else ([1, 3], [2]))


@pytest.mark.parametrize("line", ["[]", "{}", "null", '{"time": 1}', "\xff"])
def test_a_line_that_is_no_message_is_told(ledger, line):
    keep(ledger, 1)
    with ledger.path.open("ab") as file:
        file.write(line.encode("latin-1") + b"\n")
    assert rounds_of(ledger) == ([1], [2])


def test_seconds_are_those_of_the_rounds_messages(ledger):
    keep(ledger, 1, 2, 2)
    assert ledger.seconds(2) == 3.0


def test_a_line_is_json_that_other_programs_read(ledger):
    keep(ledger, 4)
    (line,) = ledger.path.read_text().splitlines()
    assert json.loads(line).items() >= {"kind": "train", "round": 4, "seconds": 1.5}.items()
