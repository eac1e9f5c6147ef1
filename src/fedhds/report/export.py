"""Every figure of a report as PNG and SVG files, for papers and slides."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fedhds.files import replacing, write_text
from fedhds.report.figures import Figure, Missing
from fedhds.report.figures.theme import EXPORT_FONT, config
from fedhds.report.requirements import check

SCALE = 2
"""Pixels of a PNG per point."""
WIDTH = 1200
"""Points that the panels beside each other take at most."""
SPACE = 30
OWN = ("color", "shape", "size", "opacity", "yOffset")
"""Scales that each panel keeps to itself, as it does on the page."""


def export(figures: Sequence[Figure | Missing], folder: Path) -> list[Path]:
    """Write each figure that there is, light, with all its panels in one picture.

    Returns
    -------
    list of Path
        The files, two a figure: the same bytes on every machine with the same vl-convert.

    Raises
    ------
    UserError
        If the extra 'report' is not installed.
    """
    check()
    import vl_convert

    written = []
    for figure in figures:
        if isinstance(figure, Missing):
            continue
        svg = _renumbered(vl_convert.vegalite_to_svg(whole(figure)))
        paths = [folder / f"{figure.name}.{kind}" for kind in ("svg", "png")]
        write_text(paths[0], svg)
        with replacing(paths[1]) as temporary:
            temporary.write_bytes(vl_convert.svg_to_png(svg, scale=SCALE))
        written += paths
    return written


def whole(figure: Figure) -> dict[str, Any]:
    """Put a figure's panels into one Vega-Lite specification, headings above their panels."""
    headings = list(dict.fromkeys(panel.heading for panel in figure.panels))
    columns = max(1, WIDTH // (figure.width + SPACE))
    blocks = []
    for heading in headings:
        panels = [
            {**panel.spec, "width": figure.width}
            for panel in figure.panels
            if panel.heading == heading
        ]
        block: dict[str, Any] = {"concat": panels, "columns": columns, "spacing": SPACE}
        block["resolve"] = {"scale": dict.fromkeys(OWN, "independent")}
        blocks.append(block | ({"title": _heading(heading)} if heading else {}))
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "title": {"text": figure.title, "fontSize": 16, "offset": 16},
        "vconcat": blocks,
        "resolve": {"scale": dict.fromkeys(OWN, "independent")},
        "spacing": SPACE,
        "padding": 12,
        "datasets": {name: list(rows) for name, rows in figure.datasets.items()},
        "config": config("light", EXPORT_FONT),
    }


def _heading(text: str) -> Mapping[str, Any]:
    return {"text": text, "fontSize": 14, "offset": 12}


def _renumbered(svg: str) -> str:
    """Count ids from zero in each file; vl-convert goes on counting from file to file."""
    seen: dict[str, int] = {}

    def again(found: re.Match[str]) -> str:
        before, kind, old = found.groups()
        return f"{before}{kind}{seen.setdefault(kind + old, len(seen))}"

    return re.sub(r'(id="|url\(#)(gradient_|clip)(\d+)', again, svg)
