"""The figure of a repair: C_W of every change before, and after on music the map never saw."""

from __future__ import annotations

from typing import Any

import pandas as pd

from nearkin.report.figures import style
from nearkin.tables import ORIGINAL
from nearkin.transforms import magnitudes
from nearkin.transforms.magnitudes import Point

COLOURS = {
    "before": "#8a8a8a",
    "after, a change it learned from": "#e69f00",
    "after, a change it never saw": "#0072b2",
}
_FITS = {"seen": "after, a change it learned from", "unseen": "after, a change it never saw"}
ROW = 30
_TITLE = "{encoder}: C_W by {distance}, clips of tracks that the map never saw"


def figure_repair(table: pd.DataFrame, *, encoder: str, distance: str = "cosine") -> Any:
    """Draw a row a point of the grid: dots of C_W with 95 % intervals.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `nearkin.repair.table`.
    encoder : str
        For the title.
    distance : str
        Of the latent space.

    Returns
    -------
    altair chart
    """
    rows = table[
        (table["measure"] == "C_W")
        & (table["latent_distance"] == distance)
        & table["magnitude"].notna()
        & (table["transformation"] != ORIGINAL)
        & table["fit"].isin(_FITS)
    ]
    records: list[dict[str, Any]] = []
    order: dict[str, None] = {}
    for row in rows.to_dict("records"):
        point = Point(str(row["transformation"]), float(row["magnitude"]))
        name = f"{point.code} {point.magnitude:g}"
        if name not in order:
            order[name] = None
            records.append(_record(name, "before", row, "before"))
        records.append(_record(name, _FITS[str(row["fit"])], row, "after"))
    codes = magnitudes.code_order(name.split()[0] for name in order)
    names = sorted(order, key=lambda name: codes.index(name.split()[0]))
    y = {"field": "point", "type": "nominal", "title": None, "sort": names}
    x = {"type": "quantitative", "scale": style.scale([0, 1])}
    offset = {"field": "series", "type": "nominal", "sort": list(COLOURS)}
    colours: style.Styles = {label: (colour, (1, 0)) for label, colour in COLOURS.items()}
    colour = style.by_series(colours)
    panel = {
        "data": {"values": records},
        "title": _TITLE.format(encoder=encoder, distance=distance),
        "width": 420,
        "height": ROW * len(names),
        "layer": [
            {
                "mark": {"type": "rule", "opacity": 0.55},
                "encoding": {
                    "y": y,
                    "yOffset": offset,
                    "x": {**x, "field": "low", "title": "C_W"},
                    "x2": {"field": "high"},
                    "color": colour,
                },
            },
            {
                "mark": {"type": "point", "filled": True, "size": 45, "opacity": 1},
                "encoding": {
                    "y": y,
                    "yOffset": offset,
                    "x": {**x, "field": "value", "title": "C_W"},
                    "color": colour,
                    "tooltip": style.tooltip(
                        ("point", "change"),
                        ("series", "when"),
                        ("value", "C_W"),
                        ("low", "from"),
                        ("high", "to"),
                    ),
                },
            },
        ],
    }
    return style.figure([panel], margin=90)


def is_figure(data: bytes) -> bool:
    """Tell whether an SVG is one of `figure_repair`: by who draws it, and by its title."""
    title = _TITLE.rpartition(", ")[2].encode()
    return data.startswith(b"<svg ") and b'class="marks"' in data[:1000] and title in data


def _record(point: str, series: str, row: dict[Any, Any], which: str) -> dict[str, Any]:
    return {
        "point": point,
        "series": series,
        "value": style.rounded(row[which]),
        "low": style.rounded(row[f"{which}_low"]),
        "high": style.rounded(row[f"{which}_high"]),
    }
