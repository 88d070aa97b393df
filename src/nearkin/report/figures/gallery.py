"""C_W over the size of the collection: a panel for the mildest change of every kind.

Solid lines and their 95 % bands were measured, from ranks among originals and gallery; dashed lines
are extrapolated by a model of the ranks, and their band is the bracket of it. The dotted line is
chance, 1 / size; the grey rule stands at the run's own N.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from nearkin.report.figures import style
from nearkin.results.systems import (
    distance_name,
    distance_order,
    headline,
    mildest_points,
    of,
    systems_of,
)
from nearkin.transforms import magnitudes
from nearkin.transforms.magnitudes import Point

MEASURED = "measured"


def gallery_curves(
    gallery: pd.DataFrame, *, run: Mapping[str, Any], consistency: pd.DataFrame
) -> Any:
    """Draw C_W over the size of the collection, a row of panels a latent distance.

    Parameters
    ----------
    gallery : pandas.DataFrame
        gallery.parquet.
    run : mapping
        The run's record.
    consistency : pandas.DataFrame
        The run's consistency table, for the order of the encoders.

    Returns
    -------
    altair chart
    """
    points = mildest_points(consistency)
    series = systems_of(run, consistency)
    laid = {one.label for one in series if not of(gallery, one).empty}
    styles = {label: how for label, how in style.series_styles(series).items() if label in laid}
    rows = []
    for distance in distance_order(gallery["latent_distance"]):
        here = gallery[gallery["latent_distance"] == distance]
        records = [
            record
            for one in reversed(series)
            for record in _records(headline(of(here, one)), one.label)
        ]
        panels = [_panel(point, records, styles, int(run.get("n") or 0)) for point in points]
        rows.append(
            {
                "concat": panels,
                "columns": max(1, len(panels)),
                "spacing": 14,
                "title": f"C_W in larger collections, {distance_name(distance)} distance",
            }
        )
    return style.figure(rows, margin=38, symbol="stroke")


def _records(rows: pd.DataFrame, label: str) -> list[dict[str, Any]]:
    """Return a record for every defined value; the last measured one begins what is beyond it."""
    records: list[dict[str, Any]] = []
    for _, part in rows.sort_values("size").groupby(["transformation", "magnitude"], sort=False):
        last: dict[str, Any] = {}
        for row in part.to_dict("records"):
            value = style.rounded(row["value"])
            if value is None:
                continue
            beyond = row["kind"] != MEASURED
            if beyond and last and not last["beyond"]:
                here = last["value"]
                records.append({**last, "low": here, "high": here, "beyond": True})
            last = {
                "series": label,
                "code": str(row["transformation"]),
                "magnitude": float(row["magnitude"]),
                "x": int(row["size"]),
                "value": value,
                "low": style.rounded(row["ci_low"]),
                "high": style.rounded(row["ci_high"]),
                "chance": style.rounded(row["chance"]),
                "n": int(row["n"]),
                "beyond": beyond,
            }
            records.append(last)
    return records


def _panel(
    point: Point, every: Sequence[dict[str, Any]], styles: style.Styles, n_clips: int
) -> dict[str, Any]:
    records = [one for one in every if (one["code"], one["magnitude"]) == tuple(point)]
    x = {
        "field": "x",
        "type": "quantitative",
        "title": "clips in the collection",
        "scale": {"type": "log", "nice": False, "padding": 5},
        "axis": {"grid": False, "labelOverlap": True, "format": "~s"},
    }
    y = {
        "field": "value",
        "type": "quantitative",
        "title": None,
        "scale": style.scale((0.0, 1.0)),
        "axis": {"minExtent": 24},
    }
    colour = style.by_series(styles)
    kind = {
        "field": "beyond",
        "type": "nominal",
        "legend": None,
        "scale": {"domain": [False, True], "range": [[1, 0], [4, 3]]},
    }
    shown = style.tooltip(
        ("series", "encoder"),
        ("x", "clips"),
        ("value", "C_W"),
        ("low", "from"),
        ("high", "to"),
        ("chance", "chance"),
        ("n", "N"),
    )
    return {
        "data": {"values": records},
        "layer": [
            {
                "data": {"values": [{"x": n_clips}]},
                "mark": {"type": "rule", "color": "#999999", "strokeWidth": 1},
                "encoding": {"x": x},
            },
            {
                "mark": {
                    "type": "line",
                    "color": style.INK,
                    "strokeDash": [1, 3],
                    "strokeWidth": 1,
                },
                "encoding": {"x": x, "y": y | {"field": "chance"}},
            },
            {
                "mark": {"type": "area", "opacity": 0.14, "line": False},
                "encoding": {
                    **{"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}},
                    **{"color": colour, "detail": {"field": "beyond", "type": "nominal"}},
                },
            },
            {
                "mark": {"type": "line", "clip": True, "strokeWidth": 1.9},
                "encoding": {"x": x, "y": y, "color": colour, "strokeDash": kind},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 12, "opacity": 1},
                "encoding": {"x": x, "y": y, "color": colour, "tooltip": shown},
            },
        ],
        "width": style.PANEL_WIDTH,
        "height": style.PANEL_HEIGHT,
        "title": style.small_title(magnitudes.in_words(*point)),
    }
