"""The table of groups: its figures, and what it says where there are none."""

import pytest
from made import columns, finished, group, stopped

from fedhds.report.paired import differences
from fedhds.report.table import COLUMNS, tabulate

SCORES = columns([0.5, 0.7])


def cells(*groups, comparisons=()):
    """Return the cells of the first group by their header."""
    table = tabulate(groups, comparisons)
    return dict(zip((c.header for c in table.columns), table.rows[0], strict=True))


def test_every_column_says_its_figure():
    found = cells(group("fedhds at 50", finished(0, SCORES), size="50"))
    assert {header: cell.text for header, cell in found.items()} == {
        "group": "fedhds at 50",
        "seeds finished": "1 of 1",
        "distinct samples used": "30 of 1,200 (2.5%)",
        "unseen Rouge-L": "0.600",  # the mean of 0.5 and 0.7
        "difference in Rouge-L [95 % interval]": "-",
        "unseen loss": "1.000",
        "difference in loss [95 % interval]": "-",
        "validation loss": "2.500",
        "not finished": "",
        "signals": "1.0 s",
        "selection": "2.0 s",
        "tuning": "3.0 s",
        "aggregation": "0.5 s",
        "evaluation": "4.0 s",
        "summaries sent up": "1.5 kB",
        "plans sent down": "0.5 kB",
        "adapters sent up": "2,000.0 kB",
        "adapters sent down": "1,000.0 kB",
        "peak memory": "1,234 MB",
    }


def test_figures_are_means_over_finished_seeds():
    runs = (finished(0, samples_used=30), finished(1, samples_used=31), stopped(2))
    found = cells(group("fedhds", *runs))
    assert found["distinct samples used"].values == (30.5, 1200, 30.5 / 1200)
    assert found["seeds finished"].values == (2, 3)


def test_runs_that_did_not_finish_are_listed_with_their_reasons():
    found = cells(group("fedhds", stopped(3, "failed", "no memory"), stopped(4, "unfinished")))
    assert found["not finished"].text == "seed 3 failed: no memory; seed 4 unfinished"
    others = [
        cell.text for header, cell in found.items() if header not in ("group", "not finished")
    ]
    assert others == ["0 of 2", *["-"] * (len(COLUMNS) - 3)]


def test_difference_stands_beside_the_mean_and_the_reference_is_named():
    groups = [
        group("fedhds", *(finished(seed, columns([0.7, 0.7])) for seed in range(3))),
        group("random", *(finished(seed, columns([0.2, 0.2])) for seed in range(3))),
    ]
    table = tabulate(groups, differences(groups))
    (ours, theirs) = (row[4] for row in table.rows)
    assert ours.text == "+0.500 [+0.500, +0.500], real"  # the same for all seeds and tasks
    assert ours.values == pytest.approx((0.5, 0.5, 0.5, True))
    assert (theirs.text, theirs.value) == ("reference", None)


def test_best_means_are_marked_whichever_way_is_better():
    groups = [
        group("a", finished(0, columns([0.7], loss_sums=[3.0]))),
        group("b", finished(0, columns([0.2], loss_sums=[2.0]))),
        group("c", stopped(0)),
    ]
    table = tabulate(groups, [])
    best = {
        column.header: [row[place].best for row in table.rows]
        for place, column in enumerate(table.columns)
    }
    assert best["unseen Rouge-L"] == [True, False, False]
    assert best["unseen loss"] == [False, True, False]
    assert best["validation loss"] == [True, True, False]  # equal
    assert best["tuning"] == [False, False, False]


@pytest.mark.parametrize("validation", [None, {"before": None, "after": None}])
def test_runs_without_validation_have_a_dash(validation):
    found = cells(group("full", finished(0, validation=validation)))
    assert found["validation loss"].text == "-"


def test_parts_share_the_labels_and_leave_words_out_that_no_row_has():
    table = tabulate([group("full", finished(0, SCORES))], [])
    parts = [table.part(part) for part in ("scores", "time", "traffic")]
    assert {part.columns[0] for part in parts} == {COLUMNS[0]}
    assert [len(part.columns) for part in parts] == [8, 7, 5]
    assert [len(part.rows[0]) for part in parts] == [8, 7, 5]
    shown = [column for part in parts for column in part.columns]
    assert [column.header for column in COLUMNS if column not in shown] == ["not finished"]
