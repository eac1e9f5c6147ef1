"""FedDQC through a whole run: its stages as the run's record tells them."""

import json

from small import CLIENTS, small_config

import fedhds


def record(folder, **changes):
    """Run six rounds of three stages and return the lines of ``rounds.jsonl``."""
    config = small_config(
        folder,
        selection__method="feddqc",
        federation__rounds=6,
        evaluation__every=0,
        **changes,
    )
    out = fedhds.run(config, out=folder / "run").out
    lines = [json.loads(line) for line in (out / "rounds.jsonl").read_text().splitlines()]
    assert not any(line["failed"] for line in lines)
    return lines


def test_stages_begin_with_everyone_and_with_new_scores(tmp_path):
    lines = record(tmp_path)
    # .4 of eight clients are four
    assert [len(line["clients"]) for line in lines] == [CLIENTS, 4] * 3
    assert [line["seconds"]["signals"] > 0 for line in lines] == [True, False] * 3
    assert [line["selection"]["threshold_stage"] for line in lines] == [1, 1, 2, 2, 3, 3]
    assert [len(line["remarks"]) for line in lines] == [1, 0] * 3
    starts = lines[::2]
    assert [line["samples"] for line in starts] == [line["selection"]["taken"] for line in starts]
    # about half of the training samples, a bin of the histogram more at most
    total = starts[0]["selection"]["left"]
    assert 0.5 * total - 1 <= sum(line["samples"] for line in starts) <= 0.6 * total


def test_a_budget_is_kept_in_every_round(tmp_path):
    lines = record(tmp_path, selection__samples=20)
    assert [line["samples"] for line in lines] == [20] * 6
