"""Strange but legal data: it works, and what was left out is counted."""

import json
from pathlib import Path
from typing import Any

import pytest
from small import UNSEEN, rows, small_config, write_rows

import fedhds

SIZES = range(12, 20)
"""How many samples the small experiment's eight clients have, one task each."""


@pytest.fixture
def play(tmp_path):
    """Run one round with all clients, on samples of one's own or with changed keys."""

    def run(samples: list[dict[str, Any]] | None = None, **changes: Any) -> dict[str, Any]:
        short = {"federation__rounds": 1, "federation__fraction": 1.0, "evaluation__every": 0}
        config = small_config(tmp_path, **short | changes)
        if samples is not None:
            write_rows(tmp_path / "train.jsonl", samples)
        return fedhds.run(config, tmp_path / "run").summary

    return run


@pytest.fixture
def record(tmp_path):
    """Return what ``rounds.jsonl`` says of the first round."""
    return lambda: json.loads((tmp_path / "run" / "rounds.jsonl").read_text().splitlines()[0])


def answers(*texts: str, task: str = "strange") -> list[dict[str, Any]]:
    """Make samples with the given answers and different questions."""
    return [row | {"output": text} for row, text in zip(rows(task, len(texts)), texts, strict=True)]


def test_empty_responses_are_kept_and_counted(play):
    # 3 blank answers; each is learnt as the end of the response alone
    summary = play(answers("", " ", "\n", "yes"), selection__method="full")
    assert (summary["noted"], summary["dropped"]) == ({"empty_response": 3}, {})
    assert summary["samples_used"] == summary["samples_total"] == 4


@pytest.mark.parametrize("method", ["fedhds", "full"])
def test_identical_samples_are_one_group(play, record, method):
    summary = play([rows("same", 1)[0]] * 12, selection__method=method, evaluation__validation=0)
    # a client without groups counts as one, so it gives one representative
    assert summary["samples_used"] == (1 if method == "fedhds" else 12)
    assert record()["failed"] == {}


@pytest.mark.parametrize("method", ["fedhds", "random", "full"])
def test_clients_of_one_two_and_three_samples_take_part(play, record, method):
    samples = [row for size in (1, 2, 3) for row in rows(f"task{size}", size)]
    budget = {} if method == "full" else {"selection__samples": 3}
    summary = play(samples, selection__method=method, **budget)
    assert summary["samples_used"] == (6 if method == "full" else 3)
    assert (summary["failures"], record()["clients"]) == (0, [0, 1, 2])
    assert summary["skew"]["samples_min"] == 1


def test_client_emptied_by_filters_stays_and_gives_nothing(play, record):
    long = [row | {"instruction": "x" * 80} for row in rows("emptied", 4)]
    summary = play(long + rows("kept", 5), selection__method="full")
    assert summary["dropped"] == {"response_cut_away": 4}
    assert (summary["clients"], summary["skew"]["empty_clients"]) == (2, 1)
    assert (record()["clients"], record()["samples"], record()["failed"]) == ([0, 1], 5, {})


def test_rows_without_question_or_answer_are_dropped(play):
    odd = [
        {"instruction": None, "input": "a", "output": "b", "task": "odd"},
        {"instruction": " ", "input": "", "output": "b", "task": "odd"},
        {"instruction": "a", "output": None, "task": "odd"},
        {"instruction": "a", "output": [], "task": "odd"},
    ]
    summary = play(odd + rows("fine", 3))
    assert summary["dropped"] == {"no_instruction": 2, "no_output": 2}
    assert summary["samples_total"] == 3


def test_clients_of_noise_alone_count_as_one_group_each(play, record):
    summary = play(selection__min_cluster_size=1000)
    told = " ".join(record()["remarks"])
    assert f"{len(SIZES)} client(s) formed no group and count as one group each" in told
    assert 1 <= summary["samples_used"] <= len(SIZES)


@pytest.mark.parametrize(
    "text",
    ["日本語の文", "👩‍👩‍👧🇯🇵", "שלום עולם", "\u202eabc\u202c", "a\u2028b\x00c", "e\u0301" * 5],
)
def test_any_script_is_a_sample_like_others(play, tmp_path, text):
    strange = [{"instruction": f"{text} {n}", "output": text, "task": text} for n in range(3)]
    summary = play(strange + rows("plain", 3), selection__method="full")
    assert (summary["samples_used"], summary["failures"]) == (6, 0)
    config = small_config(tmp_path, federation__rounds=1, selection__method="full")
    write_rows(tmp_path / "train.jsonl", strange)
    folder = fedhds.select(config, tmp_path / "select").out / "coresets"
    (path,) = folder.iterdir()
    written = [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]
    assert [row["output"] for row in written] == [text] * 3
    assert {row["client"] for row in written} == {text}


def test_half_a_character_is_replaced(tmp_path):
    config = small_config(tmp_path, federation__rounds=1, selection__method="full")
    write_rows(tmp_path / "train.jsonl", [{"instruction": "\ud83d", "output": "b", "task": "odd"}])
    assert "\\ud83d" in (tmp_path / "train.jsonl").read_text()
    out = fedhds.select(config, tmp_path / "run").out
    assert (
        json.loads((out / "coresets" / "odd.jsonl").read_text("utf-8"))["instruction"] == "\ufffd"
    )


@pytest.mark.parametrize("field", ["instruction", "input", "output"])
def test_sample_of_a_hundred_thousand_characters_costs_nothing(play, field):
    # a question that fills the model leaves no room for its answer; an answer is cut
    huge = rows("huge", 1)[0] | {field: "x" * 100_000}
    summary = play([huge, *rows("huge", 4)], selection__method="full")
    dropped = {} if field == "output" else {"response_cut_away": 1}
    assert summary["dropped"] == dropped
    assert summary["samples_used"] == 5 - len(dropped)


def test_huge_unseen_sample_is_counted_apart(play, tmp_path):
    config = small_config(tmp_path, federation__rounds=1, evaluation__every=0)
    huge = rows(UNSEEN[0], 1)[0] | {"instruction": "x" * 100_000}
    write_rows(Path(config["data"]["eval"]), [huge, *rows(UNSEEN[0], 2)])
    summary = fedhds.run(config, tmp_path / "run").summary
    assert summary["dropped"] == {"unseen_response_cut_away": 1}
    assert summary["per_task"][UNSEEN[0]]["n"] == 2


def test_data_made_worse_on_purpose_is_marked(tmp_path):
    noisy = {"data__duplicates": 0.5, "data__corrupted": 0.25, "selection__method": "full"}
    config = small_config(
        tmp_path, **noisy, federation__rounds=1, federation__fraction=1.0, evaluation__validation=0
    )
    folder = fedhds.select(config, tmp_path / "run").out / "coresets"
    written = [json.loads(line) for path in folder.iterdir() for line in path.open()]
    # half as many copies again, and a quarter of all of them wrong, each rounded by client
    copies = {size: round(size / 2) for size in SIZES}
    assert sum("duplicate" in row for row in written) == sum(copies.values())
    assert sum("corrupted" in row for row in written) == sum(
        round((size + more) / 4) for size, more in copies.items()
    )


def test_budget_beyond_all_samples_takes_them_all(play):
    summary = play(rows("few", 5), selection__method="random", selection__samples=1000)
    assert summary["samples_used"] == 5


def test_no_unseen_tasks_leave_their_scores_out(tmp_path):
    config = small_config(tmp_path, federation__rounds=1, evaluation__every=0)
    del config["data"]["eval"]
    summary = fedhds.run(config, tmp_path / "run").summary
    assert (summary["rouge_l_after"], summary["per_task"]) == (None, {})
    assert summary["validation"]["after"]["samples"] > 0
