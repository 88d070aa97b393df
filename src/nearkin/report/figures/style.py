"""What every figure shares: colours, dashes, fonts and the form of its data.

Colours of tested encoders are Okabe and Ito's (2008), which colour-blind readers can tell apart,
the lighter ones darkened until they stand out from white paper 3 to 1; references and the audio
space are muted and dashed so that they stay in the background. Dark screens have a palette of
their own.
"""

from __future__ import annotations

import colorsys
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
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#c28600", "#3d9ad8"),
    *("#5b3c88", "#8c510a", "#01665e", "#999933"),
)
REFERENCE = {
    "mfcc": "#7d6c4f",
    "logmel-projection": "#6f7f80",
    "random": "#6f7f80",  # its name in older runs
    "constant": "#8c8c8c",
    "vgg-ae": "#8f82c0",
    "vgg-at": "#5b937c",
    "vgg-ir": "#b87e68",
    "vgg-vs": "#6f92c0",
}
"""Colours by label: untrained ones grey and brown, trained ones pale."""
REFERENCE_DASH = {
    **{"mfcc": (7, 3), "constant": (1, 3)},
    **{"logmel-projection": (4, 2), "random": (4, 2)},
    **{"vgg-ae": (8, 2), "vgg-at": (5, 2), "vgg-ir": (3, 2), "vgg-vs": (2, 2)},
}
AUDIO_GREY = "#929292"
AUDIO_COLOUR = {"dtw": "#0072b2", "simple": "#d55e00"}
AUDIO_DASH = {"dtw": (1, 0), "simple": (6, 3)}

DARK_PAPER = "#15181c"
"""What a dark page's charts lie on; the page's style sheet says the same."""
CONTRAST = 3.5
"""How far a mark stands out from its paper at least (WCAG asks for 3)."""

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


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21, as WCAG 2 defines it.

    Examples
    --------
    >>> contrast("#ffffff", "#000000")
    21.0
    """
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def on_dark(colour: str) -> str:
    """Return a colour as it is drawn on dark paper: of the same hue, lighter where it has to be.

    Examples
    --------
    >>> on_dark("#cc79a7"), contrast(on_dark("#01665e"), DARK_PAPER) >= CONTRAST
    ('#cc79a7', True)
    """
    hue, lightness, saturation = colorsys.rgb_to_hls(
        *(int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    )
    found = colour
    while contrast(found, DARK_PAPER) < CONTRAST and lightness < 1:
        lightness = min(1.0, lightness + 0.01)
        parts = colorsys.hls_to_rgb(hue, lightness, saturation)
        found = "#" + "".join(f"{round(255 * part):02x}" for part in parts)
    return found


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


UNSEEN = "\u200b"
"""A space of no width; no text that `printable` made holds one."""
_INHERITED = frozenset(
    {
        *("constructor", "toString", "toLocaleString", "valueOf", "hasOwnProperty"),
        *("isPrototypeOf", "propertyIsEnumerable", "__proto__", "__defineGetter__"),
        *("__defineSetter__", "__lookupGetter__", "__lookupSetter__"),
    }
)
"""What every object of JavaScript has: Vega takes such a text for one that it has met before."""


class Visible:
    r"""Makes every text of a spec visible; two different texts stay two different texts.

    A name that every object of JavaScript inherits is lengthened by what nobody sees (`UNSEEN`).

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
            self._shown[text] = shown + UNSEEN if shown in _INHERITED else shown
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
