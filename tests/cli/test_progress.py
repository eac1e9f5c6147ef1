"""The three ways to show how far a run is."""

import json

import pytest

from fedhds.cli.progress import JsonProgress, QuietProgress, TextProgress
from fedhds.cli.shared import results
from fedhds.report.comparison import per_task

EVENTS = [
    ("notice", "tuning.clip is not used"),
    ("warning", "warning: unseen task(s) [bold] and :smile:"),
    ("error", "fedhds: there is no file"),
]


def tell(progress) -> list[int]:
    """Report a little of everything; return what came through a tracked step."""
    for event, text in EVENTS:
        progress.say(event, text, count=3)
    tracked = list(progress.track([5, 6], "evaluate", 2))
    progress.close()
    return tracked


@pytest.mark.parametrize("kind", [TextProgress, QuietProgress, JsonProgress])
def test_tracked_items_come_through(kind):
    assert tell(kind()) == [5, 6]


def test_text_has_every_sentence_and_no_bars_without_a_terminal(capsys):
    tell(TextProgress())
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [text for _, text in EVENTS]


def test_text_keeps_a_long_sentence_on_one_line(capsys):
    sentence = "word " * 100 + "end"
    TextProgress().say("data", sentence)
    assert capsys.readouterr().err == f"{sentence}\n"


def test_quiet_says_errors_and_warnings_only(capsys):
    tell(QuietProgress())
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [text for event, text in EVENTS if event != "notice"]


def test_json_is_one_object_a_line_with_time_and_facts(capsys):
    tell(JsonProgress())
    out, err = capsys.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    assert err == ""
    assert [(line["event"], line.get("text")) for line in lines[:3]] == EVENTS
    assert all(line["count"] == 3 for line in lines[:3])
    assert lines[3].items() >= {"event": "step", "step": "evaluate", "total": 2}.items()
    assert lines[4].items() >= {"event": "step-done", "step": "evaluate", "total": 2}.items()
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("日本 \n", "日本 \n"),
        (float("nan"), None),
        ({1: [float("inf")]}, {"1": [None]}),
        (object, "<class 'object'>"),
    ],
)
def test_any_fact_is_read_again_by_a_strict_reader(capsys, value, read):
    JsonProgress().say("round", "", fact=value)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert json.loads(line, parse_constant=refuse)["fact"] == read


def test_results_print_names_as_they_are(capsys):
    results().print("in runs/[red]/:smile:")
    results().print(per_task({"[bold]task[/] :smile:": {"n": 1, "rouge_l": 0.0, "loss": 2.0}}))
    out = capsys.readouterr().out
    assert "in runs/[red]/:smile:\n" in out
    assert "[bold]task[/] :smile:" in out
