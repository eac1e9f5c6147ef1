"""One HTML file that says what was compared and what came out, and needs nothing else.

It makes no request: scripts, styles and data are in it, and its content security policy lets
nothing in. The scripts are Vega, Vega-Lite and Vega-Embed as vl-convert bundles them.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from fedhds.report import _facts, _settings
from fedhds.report._left_out import REMARK, left_out
from fedhds.report.figures import Figure, Missing
from fedhds.report.figures._figure import several
from fedhds.report.figures.theme import SCREEN_FONT, config
from fedhds.report.rendering import PARTS
from fedhds.report.requirements import check
from fedhds.report.runs import Group
from fedhds.report.table import Table
from fedhds.report.words import Verdict

ASSETS = files("fedhds.report") / "assets"
WIDEST = 8
"""Most groups whose settings stand beside each other on paper."""


def page(
    groups: Sequence[Group],
    verdict: Verdict,
    table: Table,
    figures: Sequence[Figure | Missing],
    title: str,
) -> str:
    """Write the page, the same for the same input.

    Parameters
    ----------
    verdict, table
        What came out in words, and in numbers.
    figures : sequence of Figure or Missing
        As `fedhds.report.figures.draw` returns them.

    Raises
    ------
    UserError
        If the extra 'report' is not installed.
    """
    check()
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {
        "cell": _cell,
        "key": _key,
        "several": several,
        "unbroken": _unbroken,
    }
    found = _compared(groups, verdict, table) | _drawn(figures)
    return environment.from_string(_asset("page.html")).render(title=title, **found)


def _compared(groups: Sequence[Group], verdict: Verdict, table: Table) -> dict[str, Any]:
    """Gather what is said of the groups."""
    told = left_out(groups)
    return {
        "lead": _facts.lead(groups),
        "facts": _facts.facts(groups),
        "glossary": _facts.GLOSSARY,
        "verdict": verdict,
        "tables": [(title, table.part(part)) for part, title in PARTS.items()],
        "left_out": [entry for entry in told if entry.kind != REMARK],
        "remarks": [entry for entry in told if entry.kind == REMARK],
        "labels": [group.label for group in groups],
        "widest": WIDEST,
        "differing": _settings.differing(groups),
        "settings": [(group.label, _settings.whole(group)) for group in groups],
    }


def _drawn(figures: Sequence[Figure | Missing]) -> dict[str, Any]:
    """Gather figures with the scripts, the styles and the data that draw them."""
    vega, script = _vega(), _asset("page.js")
    data = json.dumps(_data(figures), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return {
        "figures": figures,
        "is_drawn": lambda figure: isinstance(figure, Figure),
        "blocks": _blocks,
        "policy": _policy(vega, script),
        "style": _trusted(_asset("page.css")),
        "vega": _trusted(vega),
        "script": _trusted(script),
        "data": _trusted(_in_script(data)),
    }


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _trusted(text: str) -> Any:
    """Mark what is ours, or escaped already, as not to be escaped."""
    from markupsafe import Markup

    return Markup(text)


@cache
def _vega() -> str:
    """Return the plotting library with nothing but `vegaEmbed` to be seen from outside."""
    import vl_convert

    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return f"(() => {{{bundle}}})();"


def _policy(*scripts: str) -> str:
    """Return a content security policy: these very scripts run, and nothing is ever loaded."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _in_script(text: str) -> str:
    """Escape JSON so that no text in it can end the script element that holds it."""
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _data(figures: Sequence[Figure | Missing]) -> dict[str, Any]:
    """Gather what the page's script draws from; shared data stand in it once."""
    drawn = [figure for figure in figures if isinstance(figure, Figure)]
    return {
        "themes": {mode: config(mode, SCREEN_FONT) for mode in ("light", "dark")},
        "datasets": {
            name: _packed(rows) for figure in drawn for name, rows in figure.datasets.items()
        },
        "figures": {
            figure.name: {
                "renderer": "canvas" if figure.canvas else "svg",
                "panels": [panel.spec for panel in figure.panels],
            }
            for figure in drawn
        },
    }


def _blocks(figure: Figure) -> list[tuple[str, list[tuple[int, int]]]]:
    """Return each heading with the number and the height of its panels."""
    found: dict[str, list[tuple[int, int]]] = {}
    for i, panel in enumerate(figure.panels):
        found.setdefault(panel.heading, []).append((i, panel.spec["height"]))
    return list(found.items())


def _packed(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Turn rows into columns, each text once: a third of the letters."""
    columns: dict[str, Any] = {}
    for name in rows[0] if rows else ():
        values = [row[name] for row in rows]
        if all(isinstance(value, str) for value in values):
            distinct = {value: i for i, value in enumerate(dict.fromkeys(values))}
            columns[name] = {"texts": list(distinct), "at": [distinct[v] for v in values]}
        else:
            columns[name] = values
    return columns


def _unbroken(header: str) -> Any:
    """Keep ``Rouge-L`` and ``95 %`` whole where a narrow column breaks its header."""
    from markupsafe import Markup, escape

    whole = Markup('<span class="whole">Rouge-L</span>')
    return escape(header).replace("Rouge-L", whole).replace(" %", "\u00a0%")


def _key(value: Any) -> str:
    """Write what a cell is sorted by; nothing comes last."""
    return "" if value is None or value != value else str(value)


def _cell(value: str | int | float | None) -> str:
    """Write a figure's value for its table."""
    if value is None:
        return "–"
    if isinstance(value, float) and not value.is_integer():
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return value if isinstance(value, str) else f"{value:,.0f}"
