"""What the tasks figure says."""

from dataclasses import replace

from pages import group, made

from fedhds.report.figures import tasks


def scored(changes, seed=0, method="fedhds"):
    """Make a run whose tasks change in loss as given; Rouge-L goes up by as much."""
    run = made(method, seed)
    per_task = {
        task: {
            **{"n": 5, "loss_before": 5.0, "loss_after": 5.0 + change},
            **{"rouge_l_before": 0.5, "rouge_l_after": 0.5 + change},
        }
        for task, change in changes.items()
    }
    return replace(run, summary=run.summary | {"per_task": per_task})


def test_changes_are_means_over_seeds():
    figure = tasks.figure([group(scored({"a": -1.0, "b": 0.5}), scored({"a": -2.0, "b": 0.5}, 1))])
    assert figure.header == ("Task", "Samples", "fedhds: Rouge-L", "fedhds: Loss")
    assert figure.rows == (("a", 5, -1.5, -1.5), ("b", 5, 0.5, 0.5))


def test_better_has_the_same_sign_for_both_measures():
    rouge_l, loss = tasks.figure([group(scored({"a": -1.0}))]).panels
    assert rouge_l.spec["data"]["values"][0]["better"] == -1
    assert loss.spec["data"]["values"][0]["better"] == 1


def test_at_most_sixty_tasks_are_drawn_and_all_are_in_the_table():
    changes = {f"task {i}": 0.01 * i for i in range(70)}
    figure = tasks.figure([group(scored(changes)), group(scored(changes, method="full"))])
    drawn = {row["task"] for row in figure.panels[0].spec["data"]["values"]}
    assert drawn == {f"task {i}" for i in range(10, 70)}  # the largest changes
    assert len(figure.rows) == 70
    assert "the other 10 tasks" in figure.notes[0]


def test_colours_of_no_change_at_all_have_a_scale():
    panel = tasks.figure([group(scored({"a": 0.0})), group(scored({"a": 0.0}, method="full"))])
    assert panel.panels[0].spec["encoding"]["color"]["scale"]["domain"] == [-1.0, 1.0]
