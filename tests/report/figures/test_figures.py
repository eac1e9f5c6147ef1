"""Every figure of every kind of runs."""

import json
from dataclasses import replace

import pytest
from pages import HOSTILE, drawn, group, made, without_task_names

vl_convert = pytest.importorskip("vl_convert", reason="the extra 'report' is not installed")

from fedhds.report.export import whole  # noqa: E402
from fedhds.report.figures import Figure, Missing  # noqa: E402

EVERY = {
    *("differences", "learning_curves", "samples_and_scores", "tasks", "costs"),
    *("samples_map", "partition"),
}
SCENES = {
    "one": lambda: [group(made())],
    "three": lambda: [group(made(m), made(m, 1)) for m in ("fedhds", "full", "random")],
    "twelve": lambda: [group(made("zip", clients=3), label=f"zip {i}") for i in range(12)],
    "a failed run": lambda: [group(made(), made("fedhds", 1, status="failed"))],
    "no finished run": lambda: [group(made(status="failed")), group(made("full", status="failed"))],
    "an unfinished run": lambda: [group(made(status="unfinished")), group(made("random"))],
    "no round": lambda: [group(replace(made(status="unfinished"), rounds=(), record={}))],
    "2 clients": lambda: [group(made(clients=2)), group(made("full", clients=2))],
    "1,000 clients": lambda: [group(made(clients=1000, samples=2000))],
    "no unseen tasks": lambda: [group(made(unseen=False)), group(made("full", unseen=False))],
    "no validation": lambda: [group(made(validation=False))],
    "neither": lambda: [group(made(unseen=False, validation=False, kept=False))],
    "no names of tasks": lambda: [group(without_task_names(made()))],
    "only ends": lambda: [group(made(every=0)), group(made("full", every=0))],
    "hostile names": lambda: [
        group(made(m, names=HOSTILE), label=label)
        for m, label in zip(("fedhds", "full", "random", "zip", "ifd"), HOSTILE, strict=True)
    ],
}


@pytest.mark.parametrize("scene", SCENES)
def test_every_figure_compiles_or_says_why_it_is_missing(scene):
    figures = drawn(SCENES[scene]())
    assert {figure.name for figure in figures} == EVERY
    for figure in figures:
        if isinstance(figure, Missing):
            assert figure.reason.endswith(".")
        else:
            spec = whole(figure)
            json.dumps(spec, allow_nan=False)
            assert vl_convert.vegalite_to_vega(spec)["marks"]


@pytest.mark.parametrize("scene", SCENES)
def test_table_has_a_cell_for_each_column_and_every_figure_has_its_words(scene):
    for figure in drawn(SCENES[scene]()):
        if isinstance(figure, Figure):
            assert figure.rows
            assert {len(row) for row in figure.rows} == {len(figure.header)}
            assert figure.panels
            assert figure.title
            assert figure.caption
            assert figure.alt


def test_figures_are_the_same_for_the_same_runs():
    once, again = (drawn(SCENES["three"]()) for _ in range(2))
    assert once == again


@pytest.mark.parametrize(
    ("scene", "missing"),
    [
        ("one", {"differences"}),
        ("no unseen tasks", {"differences", "samples_and_scores", "tasks"}),
        ("no finished run", {"differences", "samples_and_scores", "tasks", "costs"}),
        ("no round", EVERY - {"samples_map"}),
    ],
)
def test_figure_is_missing_where_the_runs_have_nothing_for_it(scene, missing):
    figures = drawn(SCENES[scene]())
    assert {figure.name for figure in figures if isinstance(figure, Missing)} == missing
