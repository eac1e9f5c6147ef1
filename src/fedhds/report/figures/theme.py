"""How figures look, by light or dark: the one place that knows colours, as a Vega-Lite config.

Blue and orange, light and dark are told apart with every kind of colour blindness; nothing is
told by colour alone.
"""

from __future__ import annotations

from typing import Any, Literal

Mode = Literal["light", "dark"]

SCREEN_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"
EXPORT_FONT = "Liberation Sans"
"""It comes with vl-convert, so that exported figures do not depend on the machine."""

COLOURS = {
    "light": {
        "ink": "#1b1f24",
        "muted": "#57606a",
        "grid": "#e4e7eb",
        "faint": "#c6ccd3",
        "pale": "#aab2bc",
        "strong": "#0b62a8",
        "second": "#c2500a",
        "band": "#fbe5cf",
        "paper": "#ffffff",
    },
    "dark": {
        "ink": "#e6e9ed",
        "muted": "#a8b0bb",
        "grid": "#2b3138",
        "faint": "#4a525c",
        "pale": "#68727e",
        "strong": "#62b2f2",
        "second": "#ff9f4a",
        "band": "#45311a",
        "paper": "#14171a",
    },
}

CATEGORIES = ("#56b4e9", "#e69f00", "#2fb08a", "#cc79a7", "#b4bac2")
"""Okabe and Ito's (2008), on which dark text is readable in both modes; grey comes last."""

DIVERGING = {
    "light": ["#9a3d00", "#e08a3c", "#f5d3b3", "#f4f5f6", "#b9d6ec", "#4f97cc", "#0b4a82"],
    "dark": ["#ffb066", "#d17a2c", "#6d4320", "#23282e", "#244c6e", "#3f8ac4", "#8accff"],
}
RAMP = {
    "light": ["#eaf2f9", "#9cc7e6", "#3b86bf", "#0b3f70"],
    "dark": ["#1b2733", "#24557f", "#4797d3", "#b5dcfb"],
}


def config(mode: Mode, font: str) -> dict[str, Any]:
    """Return the Vega-Lite config of a mode; no text is smaller than 11 pixels."""
    colour = COLOURS[mode]
    small = {"labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal"}
    words = {"labelColor": colour["ink"], "titleColor": colour["muted"]}
    return {
        "background": "transparent" if mode == "dark" else colour["paper"],
        "font": font,
        "aria": False,  # the page describes each figure, and has its table
        "view": {"stroke": None},
        "title": {
            "anchor": "start",
            "color": colour["ink"],
            "fontSize": 13,
            "fontWeight": "bold",
            "offset": 10,
            "subtitleColor": colour["muted"],
            "subtitleFontSize": 12,
        },
        "axis": {
            **small,
            **words,
            "domainColor": colour["pale"],
            "tickColor": colour["pale"],
            "gridColor": colour["grid"],
            "labelLimit": 230,
        },
        "legend": {**small, **words, "orient": "top", "symbolSize": 90, "titleFontSize": 11},
        "range": {
            "category": list(CATEGORIES),
            "diverging": DIVERGING[mode],
            "heatmap": RAMP[mode],
            "ramp": RAMP[mode],
        },
        "style": _styles(colour),
    }


def _styles(colour: dict[str, str]) -> dict[str, Any]:
    """Name the marks' styles; figures ask for them by these names."""

    def line(name: str, width: float, **more: Any) -> dict[str, Any]:
        return {"color": colour[name], "strokeWidth": width, **more}

    def filled(name: str, edge: str, width: float, opacity: float = 1) -> dict[str, Any]:
        fill = {"color": colour[name], "filled": True, "opacity": opacity}
        return fill | {"stroke": colour[edge], "strokeWidth": width}

    return {
        "strong": line("strong", 2.5),
        "thin": line("strong", 1, opacity=0.45),
        "leader": line("pale", 1, strokeDash=[2, 3]),
        "faint": line("faint", 1.25),
        "interval": line("strong", 2),
        "uncertain": line("muted", 2),
        "zero": line("ink", 1),
        "ring": line("strong", 1, filled=False, opacity=0.6),
        "found": line("ink", 2, filled=False),
        "filled": filled("strong", "strong", 2),
        "hollow": filled("paper", "muted", 2),
        "mark": filled("second", "paper", 1),
        "picked": filled("second", "paper", 0.75),
        "dot": filled("pale", "pale", 0, 0.7),
        "band": filled("band", "band", 0),
        "solid": filled("strong", "strong", 0.75),
        "bar": filled("strong", "paper", 0),
        "cell": {"stroke": colour["paper"], "strokeWidth": 1},
        "words": {"color": colour["ink"], "fontSize": 11},
        "inside": {"color": "#14171a", "fontSize": 11},
    }
