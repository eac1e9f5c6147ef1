"""What the costs figure draws."""

from dataclasses import replace

from pages import group, made

from fedhds.report.figures import costs


def test_costs_are_means_over_finished_runs():
    run = made()
    summary = run.summary | {"seconds": dict.fromkeys(costs.PHASES, 20.0), "peak_rss_mb": 812.2}
    groups = [group(run, replace(made(seed=1), summary=summary), made(seed=2, status="failed"))]
    (row,) = costs.figure(groups).rows
    # seconds of the first run are 10 to 50
    assert row[1:6] == (15.0, 20.0, 25.0, 30.0, 35.0)
    assert row[-1] == 762.2


def test_phases_stack_to_the_total_and_words_stand_on_bars_that_hold_them():
    run = made()
    run = replace(run, summary=run.summary | {"seconds": {"signals": 30.0, "tuning": 100.0}})
    time = costs.figure([group(run)]).panels[0].spec
    rows = time["data"]["values"]
    assert [(row["from"], row["to"]) for row in rows if row["seconds"]] == [(0, 30), (30, 130)]
    assert time["layer"][2]["data"]["values"][0]["word"] == "130 s"
    # of 160 pixels 'signals' has 37, and its seven letters take 45
    assert [row["word"] for row in rows if row["word"]] == ["tuning"]


def test_what_was_not_sent_has_no_mark_on_a_logarithmic_axis():
    run = made()
    run = replace(run, summary=run.summary | {"bytes": {"adapters_up": 5, "plans_down": 0}})
    rows = costs.figure([group(run)]).panels[1].spec["data"]["values"]
    assert [(row["kind"], row["bytes"]) for row in rows] == [("adapters up", 5.0)]
