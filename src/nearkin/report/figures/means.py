"""Figures 5, 8 and 11: estimated marginal means of an analysis, with their 95 % intervals.

Left of each row the mean of every encoder over all transformations, right its mean under each;
the black tick is a transformation's mean over the encoders. In figure 5 tasks take the place of
transformations, in units of the scores' spread within a task. Intervals are by the larger of two
standard errors: the paper's, of the additive model, and the one over clips.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from nearkin.report.figures import style
from nearkin.report.figures.files import save
from nearkin.results.systems import System, distance_name, distance_order, systems_of
from nearkin.transforms import magnitudes

PERFORMANCE = "performance"


def holds_performance(means: pd.DataFrame) -> bool:
    """Tell whether an analysis holds task performance: figure 5 needs it."""
    return bool((means["measure"] == PERFORMANCE).any())


def figure_5(means: pd.DataFrame, *, consistency: pd.DataFrame, run: Mapping[str, Any]) -> Any:
    """Draw the marginal means of standardised task performance, by encoder and task.

    Parameters
    ----------
    means : pandas.DataFrame
        ``marginal_means`` of an analysis of this run; with one task only they are by encoder.
    consistency : pandas.DataFrame
        The run's consistency table: which encoders it has, and their colours.
    run : mapping
        The run's record.

    Returns
    -------
    altair chart
        Two panels; without task performance, none.
    """
    mine = means[means["measure"] == PERFORMANCE]
    # An encoder is one series here, whatever its tasks: the tasks are the rows.
    roles: dict[str, str] = {}
    for one in systems_of(run, consistency):
        roles.setdefault(one.encoder, one.role)
    for name in mine.loc[mine["factor"] == "encoder", "level"].astype(str):
        roles.setdefault(name, "tested")
    styles = style.series_styles([System(name, "", role) for name, role in roles.items()])
    panels = _panels(mine, "standardised performance", styles, _spread(mine), within="task")
    rows = []
    if panels:
        title = "Task performance, standardised within each task"
        rows.append({"concat": panels, "columns": 2, "spacing": 30, "title": title})
    return style.figure(rows, margin=130)


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


FIGURES_OF_MEANS = {"figure_5": figure_5, "figure_8": figure_8, "figure_11": figure_11}


def write_means(
    means: pd.DataFrame, consistency: pd.DataFrame, run: Mapping[str, Any], folder: str | Path
) -> list[Path]:
    """Write the figures into a folder, as SVG and PDF; return the files.

    Figure 5 only where the analysis holds task performance.
    """
    written: list[Path] = []
    for name, draw in FIGURES_OF_MEANS.items():
        if draw is figure_5 and not holds_performance(means):
            continue
        written += save(draw(means, consistency=consistency, run=run), Path(folder) / name)
    return written


def _figure(
    means: pd.DataFrame,
    measures: Sequence[str],
    consistency: pd.DataFrame,
    run: Mapping[str, Any],
) -> Any:
    styles = style.series_styles(systems_of(run, consistency))
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
    means: pd.DataFrame,
    measure: str,
    styles: style.Styles,
    domain: Sequence[float],
    *,
    within: str = "transformation",
) -> list[dict[str, Any]]:
    encoders = _records(means[means["factor"] == "encoder"], "level", "level", within)
    cells = _records(means[means["factor"] == f"encoder:{within}"], "encoder", within, within)
    ticks = _records(means[means["factor"] == within], "level", "level", within)
    labels = [label for label in styles if any(one["series"] == label for one in encoders)]
    if not labels:
        return []
    names_within = [one["row"] for one in cells]
    if within == "transformation":
        codes = magnitudes.code_order(names_within)
    else:
        codes = list(dict.fromkeys(names_within))  # the table's order
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
        (
            right,
            codes,
            f"by encoder {'under' if within == 'transformation' else 'in'} each {within}",
        ),
    ):
        each = 24 if panel is left else 12 + 9 * len(labels)
        panel |= {
            "width": 270,
            "height": max(50, each * len(names)),
            "title": style.small_title(title),
        }
    return [left, right] if codes else [left]


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
        ("clip_se", "standard error over clips"),
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


def _ends(mean: Mapping[Any, Any]) -> tuple[float, float]:
    """Return the ends of the interval by the larger error: the model's or the clips'."""
    reach = 1.96 * float(mean.get("clip_se", math.nan))
    low, high = float(mean["ci_low"]), float(mean["ci_high"])
    if not reach > high - float(mean["mean"]):
        return low, high
    return float(mean["mean"]) - reach, float(mean["mean"]) + reach


def _records(means: pd.DataFrame, series: str, row: str, within: str) -> list[dict[str, Any]]:
    """Return a record for every mean that could be estimated."""
    found = []
    for one in means.to_dict("records"):
        value = style.rounded(one["mean"])
        if value is not None:
            low, high = _ends(one)
            found.append(
                {
                    "series": str(one[series]),
                    "row": str(one[row]),
                    "point": f"all {within}s" if series == row else str(one[row]),
                    "value": value,
                    "se": style.rounded(one["se"]),
                    "clip_se": style.rounded(one.get("clip_se", math.nan)),
                    "low": style.rounded(low),
                    "high": style.rounded(high),
                }
            )
    return found


def _spread(means: pd.DataFrame) -> list[float]:
    """Return the range of the intervals with 0, the tasks' mean, a twentieth wider."""
    ends = [0.0, *means["ci_low"].dropna(), *means["ci_high"].dropna()]
    margin = (max(ends) - min(ends)) / 20
    return [round(min(ends) - margin, 3), round(max(ends) + margin, 3)]


def _domain(means: pd.DataFrame) -> list[float]:
    """Return 0 to 1, wider where an interval leaves it (it is no share of clips, but a model's)."""
    low, high = means["ci_low"].min(), means["ci_high"].max()
    lowest = min(0.0, float(low) if pd.notna(low) else 0.0)
    return [round(lowest, 3), round(max(1.0, float(high) if pd.notna(high) else 1.0), 3)]
