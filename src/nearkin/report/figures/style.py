"""What every figure shares: colours, dashes, fonts and the form of its data.

Colours of tested encoders are Okabe and Ito's (2008), which colour-blind readers can tell apart;
references and the audio space are muted and dashed so that they stay in the background.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from nearkin.errors import printable
from nearkin.results.systems import System

INK = "#222222"
RED = "#c1272d"

Styles = Mapping[str, tuple[str, tuple[int, int]]]
"""Colour and dash by label."""

TESTED = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"),
    *("#5b3c88", "#8c510a", "#01665e", "#999933"),
)
REFERENCE = {
    "mfcc": "#7d6c4f",
    "logmel-projection": "#6f7f80",
    "random": "#6f7f80",  # its name in older runs
    "constant": "#a3a3a3",
    "vgg-ae": "#9a8fc4",
    "vgg-at": "#6fa58f",
    "vgg-ir": "#c08a76",
    "vgg-vs": "#86a3c9",
}
"""Colours by label: untrained ones grey and brown, trained ones pale."""
REFERENCE_DASH = {
    **{"mfcc": (7, 3), "constant": (1, 3)},
    **{"logmel-projection": (4, 2), "random": (4, 2)},
    **{"vgg-ae": (8, 2), "vgg-at": (5, 2), "vgg-ir": (3, 2), "vgg-vs": (2, 2)},
}
AUDIO_GREY = "#b4b4b4"
AUDIO_COLOUR = {"dtw": "#0072b2", "simple": "#d55e00"}
AUDIO_DASH = {"dtw": (1, 0), "simple": (6, 3)}

PANEL_WIDTH = 172
PANEL_HEIGHT = 150


def series_styles(series: Sequence[System]) -> dict[str, tuple[str, tuple[int, int]]]:
    """Return colour and dash by label, in the order given."""
    styles: dict[str, tuple[str, tuple[int, int]]] = {}
    for one in series:
        if one.role == "tested":
            colour = TESTED[len(styles) % len(TESTED)]
            styles[one.label] = (colour, (1, 0))
        else:
            dash = REFERENCE_DASH.get(one.label, (5, 2))
            styles[one.label] = (REFERENCE.get(one.label, "#8a8a8a"), dash)
    return styles


def rounded(value: Any) -> float | None:
    """Return a number fit for a figure's data: six decimals, None where it is not finite."""
    number = math.nan if value is None or value is pd.NA else float(value)
    return round(number, 6) if math.isfinite(number) else None


def scale(domain: Sequence[Any] | None = None, **options: Any) -> dict[str, Any]:
    """Return a Vega-Lite scale; a numeric domain is kept as it is, not widened."""
    found = dict(options)
    if domain is not None:
        found["domain"] = list(domain)
        if domain and not isinstance(domain[0], str):
            found["nice"] = False
    return found


def by_series(styles: Styles, **extra: Any) -> dict[str, Any]:
    """Return the colour channel of the series of a figure, in the order of the styles."""
    labels = list(styles)
    colours = [styles[label][0] for label in labels]
    return {
        "field": "series",
        "type": "nominal",
        "title": None,
        "sort": None,
        "scale": {"domain": labels, "range": colours},
        **extra,
    }


def tooltip(*fields: tuple[str, str]) -> list[dict[str, Any]]:
    """Return a tooltip of (field, title) pairs; measured values with three decimals."""
    exact = {"x", "n", "trial"}
    nominal = {"series", "point", "audio"}
    rows: list[dict[str, Any]] = []
    for name, title in fields:
        kind = "nominal" if name in nominal else "quantitative"
        rows.append({"field": name, "type": kind, "title": title})
        if kind == "quantitative" and name not in exact:
            rows[-1]["format"] = ".3f"
    return rows


def small_title(text: str) -> dict[str, Any]:
    """Return the title of a panel, lighter than that of a row of panels."""
    return {"text": text, "fontWeight": "normal", "fontSize": 11, "offset": 4}


def undefined_notes(records: Sequence[dict[str, Any]], y: Any, at: float) -> dict[str, Any]:
    """Return the layer that says, where a series has no value, that it has none."""
    return {
        "data": {"values": list(records)},
        "mark": {
            "type": "text",
            "align": "left",
            "dx": 4,
            "fontStyle": "italic",
            "fontSize": 10,
            "color": INK,
        },
        "encoding": {
            "y": y,
            "text": {"field": "text", "type": "nominal"},
            "x": {"datum": at, "type": "quantitative"},
        },
    }


class Figure(alt.TopLevelMixin, alt.TopLevelVConcatSpec):  # type: ignore[misc]
    """An Altair chart (save, to_dict, show) whose rows of panels are plain Vega-Lite specs.

    `altair.vconcat` copies every panel, data and all, once a level and a call: ten times the time
    of the whole report.
    """

    def to_dict(self, *args: Any, **options: Any) -> dict[str, Any]:
        """Return the spec; a character in it that no file can hold is written as its escape."""
        rows: list[dict[str, Any]] = self["vconcat"]
        self.vconcat = []  # the rows are plain specs already: altair would copy every record
        try:
            spec: dict[str, Any] = super().to_dict(*args, **options)
        finally:
            self.vconcat = rows
        return dict(Visible()({**spec, "vconcat": rows}))


class Visible:
    r"""Makes every text of a spec visible; two different texts stay two different texts.

    Examples
    --------
    >>> Visible()(["a\0", "a\\x00", "b"])
    ['a\\x00', 'a\\x00 (2)', 'b']
    """

    def __init__(self) -> None:
        self._shown: dict[str, str] = {}
        self._taken: set[str] = set()

    def __call__(self, value: Any) -> Any:
        """Return a value of JSON with every text in it made visible."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, dict):
            return {key: self(inner) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [self(inner) for inner in value]
        return value

    def _text(self, text: str) -> str:
        if text not in self._shown:
            shown = bare = printable(text)
            number = 1
            while shown in self._taken:
                number += 1
                shown = f"{bare} ({number})"
            self._taken.add(shown)
            self._shown[text] = shown
        return self._shown[text]


def figure(
    rows: Sequence[dict[str, Any]], *, margin: int, symbol: str = "circle", spacing: int = 24
) -> Figure:
    """Return the chart of rows that are Vega-Lite specs already, with the fonts and lines of all.

    ``margin`` is the width in px a panel needs
    beside its plot, for a page that has to fold the panels into fewer columns; ``symbol`` is what
    the legend shows ("stroke" for curves).
    """
    chart = Figure(vconcat=list(rows), spacing=spacing)
    chart.config = alt.Config(
        background="white",
        font="Helvetica, Arial, sans-serif",
        view=alt.ViewConfig(stroke=None),
        axis=alt.AxisConfig(
            labelColor=INK,
            titleColor=INK,
            domainColor="#777777",
            tickColor="#777777",
            gridColor="#888888",
            gridOpacity=0.18,
            labelFontSize=10,
            titleFontSize=10.5,
            titleFontWeight="normal",
            titlePadding=6,
        ),
        title=alt.TitleConfig(color=INK, fontSize=12, fontWeight=600, anchor="start", offset=8),
        legend=alt.LegendConfig(
            labelColor=INK,
            titleColor=INK,
            labelFontSize=11,
            titleFontSize=11,
            orient="top",
            direction="horizontal",
            symbolSize=120 if symbol == "circle" else 500,
            symbolType=symbol,
            symbolOpacity=1,
            columnPadding=14,
            labelLimit=260,
            columns=8,
        ),
    )
    chart.usermeta = {"nearkin": {"margin": margin}}
    return chart
