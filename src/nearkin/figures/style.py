"""What every figure shares: colours, dashes, fonts and the form of its data.

Colours of tested encoders are Okabe and Ito's (2008), which colour-blind readers can tell apart;
references and the audio space are muted and dashed so that they stay in the background.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from nearkin.series import Series

INK = "#222222"
RED = "#c1272d"

TESTED = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"),
    *("#5b3c88", "#8c510a", "#01665e", "#999933"),
)
REFERENCE = {"mfcc": "#7d6c4f", "random": "#6f7f80", "constant": "#a3a3a3"}
REFERENCE_DASH = {"mfcc": (7, 3), "random": (4, 2), "constant": (1, 3)}
AUDIO_GREY = "#b4b4b4"
AUDIO_COLOUR = {"dtw": "#0072b2", "simple": "#d55e00"}
AUDIO_DASH = {"dtw": (1, 0), "simple": (6, 3)}

PANEL_WIDTH = 158
PANEL_HEIGHT = 150


def series_styles(series: Sequence[Series]) -> dict[str, tuple[str, tuple[int, int], float]]:
    """Return colour, dash and line width by label, in the order given."""
    styles: dict[str, tuple[str, tuple[int, int], float]] = {}
    for one in series:
        if one.role == "tested":
            colour = TESTED[len(styles) % len(TESTED)]
            styles[one.label] = (colour, (1, 0), 2.0)
        else:
            dash = REFERENCE_DASH.get(one.encoder, (5, 2))
            styles[one.label] = (REFERENCE.get(one.encoder, "#8a8a8a"), dash, 1.4)
    return styles


def rounded(value: Any) -> float | None:
    """Return a number fit for a figure's data: six decimals, None where it is not finite."""
    number = math.nan if value is None or value is pd.NA else float(value)
    return round(number, 6) if math.isfinite(number) else None


def data(records: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return records as a chart's data.

    A frame, because Altair copies and validates inline records with every layer (20 times slower)
    but leaves a frame alone until the chart is written out.
    """
    return pd.DataFrame.from_records(list(records))


def dressed(chart: Any, *, margin: int, symbol: str = "circle") -> Any:
    """Give a finished chart its fonts and lines.

    ``margin`` is the width in px that a panel needs beside its plot, for a page that has to fold
    the panels into fewer columns; ``symbol`` is what the legend shows ("stroke" for curves).
    """
    return (
        chart.configure(background="white", font="Helvetica, Arial, sans-serif")
        .configure_view(stroke=None)
        .configure_axis(
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
        )
        .configure_title(
            color=INK, fontSize=12, fontWeight=600, anchor="start", subtitleColor=INK, offset=8
        )
        .configure_legend(
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
        )
        .properties(usermeta={"nearkin": {"margin": margin}})
    )
