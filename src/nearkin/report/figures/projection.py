"""Figure 9: originals and their mildest changes in a plane, a panel an encoder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from nearkin.report.figures import style
from nearkin.report.figures.dots import DIRECTION_COLOURS
from nearkin.report.figures.files import save
from nearkin.results.systems import of, systems_of
from nearkin.transforms import magnitudes
from nearkin.transforms.magnitudes import ORIGINAL, Point

UNCHANGED = "unchanged"


def figure_9(projection: pd.DataFrame, *, run: Mapping[str, Any]) -> Any:
    """Draw the maps of a run's embeddings.

    Parameters
    ----------
    projection : pandas.DataFrame
        Of `nearkin.results.projection.projected`.
    run : mapping
        The run's record: order and roles of the encoders.

    Returns
    -------
    altair chart
        A panel an encoder; the originals in ink, a colour a direction.
    """
    names = [_kind(row) for row in projection.itertuples()]
    changed = list(dict.fromkeys(name for name in names if name != UNCHANGED))
    hues = [DIRECTION_COLOURS[k % len(DIRECTION_COLOURS)] for k in range(len(changed))]
    colour = {
        "field": "kind",
        "type": "nominal",
        "title": None,
        "sort": None,
        "scale": {"domain": [UNCHANGED, *changed], "range": [style.INK, *hues]},
    }
    place = {"type": "quantitative", "axis": None, "scale": {"zero": False}}
    panels = []
    for one in systems_of(run, projection):
        mine = of(projection.assign(kind=names), one)
        values = [
            {"x": round(float(x), 3), "y": round(float(y), 3), "kind": kind}
            for x, y, kind in mine[["x", "y", "kind"]].itertuples(index=False)
        ]
        panels.append(
            {
                "data": {"values": values[::-1]},  # originals on top
                "mark": {"type": "point", "filled": True, "size": 11, "opacity": 0.9},
                "encoding": {
                    "x": place | {"field": "x"},
                    "y": place | {"field": "y"},
                    "color": colour,
                },
                "width": style.PANEL_WIDTH,
                "height": style.PANEL_WIDTH,
                "title": style.small_title(one.label),
            }
        )
    row = {"concat": panels, "columns": 4, "spacing": 18, "title": "Embeddings in a plane (t-SNE)"}
    return style.figure([row], margin=22)


def write_projection(
    projection: pd.DataFrame, run: Mapping[str, Any], folder: str | Path
) -> list[Path]:
    """Write figure 9 as SVG and PDF; return the files."""
    if projection.empty:
        return []
    return save(figure_9(projection, run=run), Path(folder) / "figure_9")


def _kind(row: Any) -> str:
    if row.transformation == ORIGINAL:
        return UNCHANGED
    point = Point(str(row.transformation), float(row.magnitude))
    return magnitudes.direction(point.code, point.side)
