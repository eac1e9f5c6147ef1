"""The table of runs and its sentence: what they say, and what they say without figures."""

import pytest
from rich.console import Console

from fedhds.report.comparison import ROWS, compare, per_task, verdict

CHOSEN = {
    "method": "fedhds",
    "rounds": 3,
    "best_round": 2,
    "samples_used": 30,
    "samples_total": 1200,
    "sample_passes": 50,
    "rouge_l_before": 0.1,
    "rouge_l_after": 0.3,
    "rouge_l_ci": [0.15, 0.25],
    "loss_before": 2.0,
    "loss_after": 1.5,
    "validation": {
        "before": {"samples": 9, "rouge_l": 0.2, "loss": 3.0},
        "after": {"samples": 9, "rouge_l": 0.4, "loss": 2.5},
    },
    "seconds": {"signals": 1.0, "selection": 2.0, "tuning": 3.0, "evaluation": 4.0},
    "bytes": {"summaries_up": 1500, "plans_down": 500, "adapters_up": 2e6, "adapters_down": 1e6},
    "peak_rss_mb": 1234.4,
}
FULL = CHOSEN | {
    "method": "full",
    "samples_used": 1200,
    "sample_passes": 500,
    "rouge_l_after": 0.25,
    "seconds": {"signals": 0.0, "selection": 0.0, "tuning": 30.0, "evaluation": 4.0},
}
UNEVALUATED = dict.fromkeys(
    ("rouge_l_before", "rouge_l_after", "rouge_l_ci", "loss_before", "loss_after")
)


def drawn(table) -> list[list[str]]:
    """Draw a table as text and return its cells, line by line."""
    console = Console(width=200, no_color=True)
    with console.capture() as capture:
        console.print(table)
    lines = [line.split("│") for line in capture.get().splitlines() if "│" in line]
    return [[cell.strip() for cell in line[1:-1]] for line in lines]


def cells(summary) -> dict[str, str]:
    return dict(drawn(compare([summary])))


def test_every_row_of_a_run_says_its_figure():
    assert cells(CHOSEN) == {
        "rounds (best)": "3 (2)",
        "distinct samples used": "30 of 1,200 (2.5%)",
        "training passes": "50",
        "unseen Rouge-L": "0.100 -> 0.300",
        "gain [95 % interval]": "+0.200 [+0.150, +0.250]",
        "unseen loss": "2.000 -> 1.500",
        "validation Rouge-L": "0.200 -> 0.400",
        "validation loss": "3.000 -> 2.500",
        "choosing: signals + selection": "3.0 s",  # 1 + 2
        "tuning": "3.0 s",
        "evaluation": "4.0 s",
        "adapters sent": "3,000.0 kB",  # 2 MB + 1 MB
        "summaries and plans sent": "2.0 kB",  # 1500 + 500 bytes
        "peak memory": "1,234 MB",
    }


def test_runs_stand_side_by_side_under_their_methods():
    console = Console(width=200)
    with console.capture() as capture:
        console.print(compare([CHOSEN, FULL]))
    assert [word for word in capture.get().splitlines()[1].split() if word.isalpha()] == [
        "fedhds",
        "full",
    ]
    assert {len(row) for row in drawn(compare([CHOSEN, FULL]))} == {3}


def test_runs_without_unseen_tasks_have_dashes():
    found = cells(CHOSEN | UNEVALUATED)
    assert {name for name, cell in found.items() if cell == "-"} == {
        "unseen Rouge-L",
        "gain [95 % interval]",
        "unseen loss",
    }


@pytest.mark.parametrize(
    "validation",
    [None, {"before": None, "after": None}, {"before": {"rouge_l": 0, "loss": 1}, "after": None}],
)
def test_runs_without_validation_have_dashes(validation):
    found = cells(CHOSEN | {"validation": validation})
    assert (found["validation Rouge-L"], found["validation loss"]) == ("-", "-")


def test_run_without_samples_divides_by_nothing():
    empty = cells(CHOSEN | {"samples_used": 0, "samples_total": 0})
    assert empty["distinct samples used"] == "0 of 0 (0.0%)"
    assert len(empty) == len(ROWS)


def test_verdict_weighs_what_was_saved_against_what_it_cost():
    # passes: 1 - 50/500; tuning: 30 s / 3 s; work: 30 s / (1 + 2 + 3) s; Rouge-L: 0.3 - 0.25
    assert verdict(CHOSEN, FULL) == (
        "Choosing saved 90.0% of the training passes: tuning took 1/10.0 of the time, the "
        "clients' whole work (signals, grouping, tuning) 1/5.0. It cost 3.0 s of choosing and "
        "2.0 kB more traffic, and unseen Rouge-L is +0.050 against 'full'."
    )


def test_verdict_without_unseen_tasks_leaves_rouge_l_out():
    sentence = verdict(CHOSEN | UNEVALUATED, FULL | UNEVALUATED)
    assert "Rouge-L" not in sentence
    assert sentence.endswith("2.0 kB more traffic.")


def test_tasks_are_listed_with_their_scores():
    scores = {
        "sums": {"n": 3, "rouge_l": 0.5, "loss": 1.25},
        "": {"n": 1, "rouge_l": 0.0, "loss": 2.0},
    }
    assert drawn(per_task(scores)) == [
        ["sums", "3", "0.500", "1.250"],
        ["-", "1", "0.000", "2.000"],
    ]
