"""Figures as files."""

import pytest
from pages import drawn, group, made

pytest.importorskip("vl_convert", reason="the extra 'report' is not installed")

from fedhds.report.export import export, whole
from fedhds.report.figures import Figure

FIGURES = [f for f in drawn([group(made()), group(made("full"))]) if f.name in ("costs", "tasks")]


def test_every_figure_is_written_as_svg_and_png(tmp_path):
    paths = export(FIGURES, tmp_path / "figures")
    assert [path.name for path in paths] == ["tasks.svg", "tasks.png", "costs.svg", "costs.png"]
    assert all(path.parent == tmp_path / "figures" for path in paths)
    assert paths[0].read_text().startswith("<svg")
    assert paths[1].read_bytes().startswith(b"\x89PNG")


def test_missing_figures_are_left_out(tmp_path):
    missing = [f for f in drawn([group(made())]) if not isinstance(f, Figure)]
    assert missing
    assert export(missing, tmp_path) == []


def test_export_is_the_same_every_time(tmp_path):
    once, again = (export(FIGURES, tmp_path / name) for name in ("a", "b"))
    assert [path.read_bytes() for path in once] == [path.read_bytes() for path in again]


def test_export_is_light_and_in_a_font_that_comes_along():
    config = whole(FIGURES[0])["config"]
    assert config["background"] == "#ffffff"
    assert config["font"] == "Liberation Sans"
