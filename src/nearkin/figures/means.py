"""Figures 8 and 11: estimated marginal means of an analysis, with their 95 % intervals.

Left of each row the mean of every encoder over all transformations, right its mean under each;
the black tick is a transformation's mean over the encoders. The intervals are the paper's (of the
additive model), not the bootstrap's of the other figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from nearkin import magnitudes
from nearkin.figures import style
from nearkin.figures.files import save
from nearkin.series import distance_name, distance_order, series_of

BOTH = "encoder:transformation"


def figure_8(means: pd.DataFrame, *, consistency: pd.DataFrame, run: Mapping[str, Any]) -> Any:
    """Draw the marginal means of C_W, a row for every latent distance.

    Parameters
    ----------
    means : pandas.DataFrame
        ``marginal_means`` of an analysis of this run.
    consistency : pandas.DataFrame
        The run's consistency table: which encoders it has, and their colours.
    run : mapping
        The run's record.

    Returns
    -------
    altair chart
        Two panels a row.
    """
    return _figure(means, ("C_W",), consistency, run)


def figure_11(means: pd.DataFrame, *, consistency: pd.DataFrame, run: Mapping[str, Any]) -> Any:
    """Draw the marginal means of C_B_acc and C_B_rho, a row for every pair of distances.

    Parameters
    ----------
    means : pandas.DataFrame
        ``marginal_means`` of an analysis of this run.
    consistency : pandas.DataFrame
        The run's consistency table: which encoders it has, and their colours.
    run : mapping
        The run's record.

    Returns
    -------
    altair chart
        Two panels a row, C_B_acc first.
    """
    return _figure(means, ("C_B_acc", "C_B_rho"), consistency, run)


FIGURES_OF_MEANS = {"figure_8": figure_8, "figure_11": figure_11}


def write_means(
    means: pd.DataFrame, consistency: pd.DataFrame, run: Mapping[str, Any], folder: str | Path
) -> list[Path]:
    """Write both figures into a folder, as SVG and PDF; return the files."""
    written: list[Path] = []
    for name, draw in FIGURES_OF_MEANS.items():
        written += save(draw(means, consistency=consistency, run=run), Path(folder) / name)
    return written


def _figure(
    means: pd.DataFrame,
    measures: Sequence[str],
    consistency: pd.DataFrame,
    run: Mapping[str, Any],
) -> Any:
    styles = style.series_styles(series_of(run, consistency))
    means = means.fillna({"audio_distance": "", "latent_distance": ""})
    rows = []
    for measure in measures:
        mine = means[means["measure"] == measure]
        domain = _domain(mine)
        for audio in distance_order(mine["audio_distance"]) or [""]:
            for latent in distance_order(mine["latent_distance"]):
                here = (mine["audio_distance"] == audio) & (mine["latent_distance"] == latent)
                names = " and ".join(distance_name(name) for name in (audio, latent) if name)
                panels = _panels(mine[here], measure, styles, domain)
                if panels:
                    title = f"{measure}, {names}"
                    rows.append({"concat": panels, "columns": 2, "spacing": 30, "title": title})
    return style.figure(rows, margin=130)


def _panels(
    means: pd.DataFrame, measure: str, styles: style.Styles, domain: Sequence[float]
) -> list[dict[str, Any]]:
    encoders = _records(means[means["factor"] == "encoder"], "level", "level")
    cells = _records(means[means["factor"] == BOTH], "encoder", "transformation")
    ticks = _records(means[means["factor"] == "transformation"], "level", "level")
    labels = [label for label in styles if any(one["series"] == label for one in encoders)]
    if not labels:
        return []
    codes = magnitudes.code_order(one["row"] for one in cells)
    x = {
        "field": "value",
        "type": "quantitative",
        "title": f"marginal mean of {measure}",
        "scale": style.scale(domain),
        "axis": {"tickCount": 6},
    }
    shown = {label: styles[label] for label in labels}
    colour = style.by_series(shown)
    left = _dots(encoders, x, _rows(labels), colour)
    right = _dots(cells, x, _rows(codes), colour, offset=labels)
    right["layer"].append(
        {
            "data": {"values": ticks},
            "mark": {"type": "tick", "color": style.INK, "thickness": 1.5, "size": 30},
            "encoding": {"x": x, "y": _rows(codes)},
        }
    )
    for panel, names, title in (
        (left, labels, "by encoder"),
        (right, codes, "by encoder under each transformation"),
    ):
        each = 24 if panel is left else 12 + 9 * len(labels)
        panel |= {
            "width": 270,
            "height": max(50, each * len(names)),
            "title": style.small_title(title),
        }
    return [left, right]


def _dots(
    records: list[dict[str, Any]],
    x: dict[str, Any],
    y: dict[str, Any],
    colour: dict[str, Any],
    *,
    offset: Sequence[str] = (),
) -> dict[str, Any]:
    where: dict[str, Any] = {"y": y, "color": colour}
    if offset:
        where["yOffset"] = {
            "field": "series",
            "type": "nominal",
            "sort": None,
            "scale": {"domain": list(offset)},
        }
    tooltip = style.tooltip(
        ("series", "encoder"),
        ("point", "over"),
        ("value", "marginal mean"),
        ("se", "standard error"),
        ("low", "95 % from"),
        ("high", "to"),
    )
    bar = {"x": x | {"field": "low"}, "x2": {"field": "high"}, **where}
    return {
        "data": {"values": records},
        "layer": [
            {"mark": {"type": "rule", "strokeWidth": 2}, "encoding": bar},
            {
                "mark": {"type": "point", "filled": True, "size": 55, "opacity": 1},
                "encoding": {"x": x, **where, "tooltip": tooltip},
            },
        ],
    }


def _rows(names: Sequence[str]) -> dict[str, Any]:
    return {
        "field": "row",
        "type": "nominal",
        "title": None,
        "sort": None,
        "scale": {"domain": list(names)},
        "axis": {"grid": False, "minExtent": 92, "labelLimit": 92, "ticks": False},
    }


def _records(means: pd.DataFrame, series: str, row: str) -> list[dict[str, Any]]:
    """Return a record for every mean that could be estimated."""
    found = []
    for one in means.to_dict("records"):
        value = style.rounded(one["mean"])
        if value is not None:
            found.append(
                {
                    "series": str(one[series]),
                    "row": str(one[row]),
                    "point": "all transformations" if series == row else str(one[row]),
                    "value": value,
                    "se": style.rounded(one["se"]),
                    "low": style.rounded(one["ci_low"]),
                    "high": style.rounded(one["ci_high"]),
                }
            )
    return found


def _domain(means: pd.DataFrame) -> list[float]:
    """Return 0 to 1, wider where an interval leaves it (it is no share of clips, but a model's)."""
    low, high = means["ci_low"].min(), means["ci_high"].max()
    lowest = min(0.0, float(low) if pd.notna(low) else 0.0)
    return [round(lowest, 3), round(max(1.0, float(high) if pd.notna(high) else 1.0), 3)]
