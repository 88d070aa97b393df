"""Figures 6, 7 and 10: a measure over the magnitudes, one panel per transformation.

Lines are broken between the two sides of a transformation (nothing was measured across the
identity); bands are the 95 % intervals of the table; dotted lines of a series' colour are its value
on the unchanged clips (OG); the dotted black line of C_W is the chance level 1/N. Where an encoder
has several trials the line is their mean and every trial is a point.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from nearkin.report.figures import style
from nearkin.results.systems import (
    AUDIO,
    distance_name,
    distance_order,
    headline,
    of,
    systems_of,
    trial_rows,
)
from nearkin.transforms import magnitudes


def figure_6(consistency: pd.DataFrame, *, run: Mapping[str, Any]) -> Any:
    """Draw C_W in the audio space over magnitude, a curve per audio distance.

    Parameters
    ----------
    consistency : pandas.DataFrame
        The run's consistency table.
    run : mapping
        The run's record (unused here; every figure takes the same two).

    Returns
    -------
    altair chart
        One panel per transformation.
    """
    rows = _audio_rows(consistency)
    distances = distance_order(rows["audio_distance"])
    styles = {
        distance_name(name): (
            style.AUDIO_COLOUR.get(name, "#444444"),
            style.AUDIO_DASH.get(name, (3, 2)),
        )
        for name in distances
    }
    records = [
        record
        for name in distances
        for record in curve_records(rows[rows["audio_distance"] == name], distance_name(name))
    ]
    row = panel_row(records, styles, title="Audio space: C_W", codes=_codes(consistency))
    return style.figure([row], margin=38, symbol="stroke")


def figure_7(consistency: pd.DataFrame, *, run: Mapping[str, Any]) -> Any:
    """Draw C_W in the latent space over magnitude, a row per latent distance.

    The audio space's curves lie in grey behind, the references dashed above them, the tested
    encoders on top.

    Parameters
    ----------
    consistency : pandas.DataFrame
        The run's consistency table.
    run : mapping
        The run's record: order and roles of the encoders.

    Returns
    -------
    altair chart
        Latent distances down, transformations across.
    """
    within = consistency[consistency["measure"] == "C_W"]
    latent = within[within["encoder"] != AUDIO]
    audio = _audio_rows(consistency)
    series = systems_of(run, consistency)
    styles = style.series_styles(series)
    behind: list[dict[str, Any]] = []
    for name in distance_order(audio["audio_distance"]):
        label = f"audio space, {distance_name(name)}"
        dash = style.AUDIO_DASH.get(name, (3, 2))
        styles[label] = (style.AUDIO_GREY, dash)
        behind += curve_records(audio[audio["audio_distance"] == name], label)
    rows = []
    for name in distance_order(latent["latent_distance"]):
        chosen = latent[latent["latent_distance"] == name]
        records, points = _series_records(chosen, series)
        title = f"Latent space: C_W, {distance_name(name)} distance"
        rows.append(
            panel_row(
                behind + records, styles, title=title, codes=_codes(consistency), points=points
            )
        )
    return style.figure(rows, margin=38, symbol="stroke")


def figure_10(
    consistency: pd.DataFrame,
    *,
    run: Mapping[str, Any],
    acc_pair: tuple[str, str] = ("simple", "cosine"),
    rho_pair: tuple[str, str] = ("dtw", "euclidean"),
) -> Any:
    """Draw C_B_acc (top) and C_B_rho (bottom) over magnitude.

    Parameters
    ----------
    consistency : pandas.DataFrame
        The run's consistency table.
    run : mapping
        The run's record.
    acc_pair, rho_pair : tuple of str
        Audio and latent distance of each row; by default those the paper's text analyses first.

    Returns
    -------
    altair chart
        The two measures down, transformations across.
    """
    series = systems_of(run, consistency)
    styles = style.series_styles(series)
    rows = []
    for measure, (audio, latent) in (("C_B_acc", acc_pair), ("C_B_rho", rho_pair)):
        chosen = consistency[
            (consistency["measure"] == measure)
            & (consistency["audio_distance"] == audio)
            & (consistency["latent_distance"] == latent)
        ]
        records, points = _series_records(chosen, series)
        pair = f"{distance_name(audio)} and {distance_name(latent)} distance"
        rows.append(
            panel_row(
                records,
                styles,
                title=f"Between the spaces: {measure}, {pair}",
                codes=_codes(consistency),
                points=points,
                chance=False,
                domain=rho_domain(consistency) if measure == "C_B_rho" else (0.0, 1.0),
            )
        )
    return style.figure(rows, margin=38, symbol="stroke")


def _audio_rows(consistency: pd.DataFrame) -> pd.DataFrame:
    is_audio = (consistency["measure"] == "C_W") & (consistency["encoder"] == AUDIO)
    return headline(consistency[is_audio])


def _codes(consistency: pd.DataFrame) -> list[str]:
    return magnitudes.code_order(consistency["transformation"].unique())


def rho_domain(consistency: pd.DataFrame) -> tuple[float, float]:
    """Return the axis of C_B_rho, one for the whole run: 0 to 1, wider where values are below."""
    rows = consistency[consistency["measure"] == "C_B_rho"]
    values = rows[["value", "ci_low"]].to_numpy(float)
    lowest = float(np.nanmin(values)) if np.isfinite(values).any() else 0.0
    return (min(0.0, math.floor(10 * lowest) / 10), 1.0)


def _series_records(
    rows: pd.DataFrame, series: Sequence[Any]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Curves and trial points; references first, so that the tested lie on top."""
    curves: list[dict[str, Any]] = []
    points: list[dict[str, Any]] = []
    for one in reversed(series):
        mine = of(rows, one)
        curves += curve_records(headline(mine), one.label)
        points += curve_records(trial_rows(mine), one.label)
    return curves, points


def curve_records(rows: pd.DataFrame, label: str) -> list[dict[str, Any]]:
    """Return a record for every defined value of one series, by transformation and magnitude."""
    columns = ["transformation", "magnitude", "value", "ci_low", "ci_high", "n", "chance", "trial"]
    records = []
    for code, magnitude, value, low, high, n, chance, trial in (
        rows[columns].sort_values(["transformation", "magnitude"]).itertuples(index=False)
    ):
        if style.rounded(value) is None:
            continue
        records.append(
            {
                "series": label,
                "code": code,
                "side": magnitudes.side(code, magnitude),
                "x": float(magnitude),
                "value": style.rounded(value),
                "low": style.rounded(low),
                "high": style.rounded(high),
                "chance": style.rounded(chance),
                "n": int(n),
                "trial": int(trial),
            }
        )
    return records


def panel_row(
    records: list[dict[str, Any]],
    styles: style.Styles,
    *,
    title: str,
    codes: Sequence[str],
    points: Sequence[dict[str, Any]] = (),
    chance: bool = True,
    domain: tuple[float, float] = (0.0, 1.0),
) -> dict[str, Any]:
    """Return a row of panels, one per transformation; ``columns`` is what a narrow page lowers."""
    originals = [record for record in records if record["code"] == magnitudes.ORIGINAL]
    panels = [
        _panel(
            code,
            [record for record in records if record["code"] == code],
            [record for record in points if record["code"] == code],
            originals,
            styles,
            chance=chance,
            domain=domain,
        )
        for code in codes
    ]
    return {"concat": panels, "columns": max(1, len(panels)), "spacing": 14, "title": title}


def _panel(
    code: str,
    records: list[dict[str, Any]],
    points: list[dict[str, Any]],
    originals: list[dict[str, Any]],
    styles: style.Styles,
    *,
    chance: bool,
    domain: tuple[float, float],
) -> Any:
    how = magnitudes.axis(code)
    x = x_channel(code, [record["x"] for record in records])
    y = {
        "field": "value",
        "type": "quantitative",
        "title": None,
        "scale": style.scale(domain),
        "axis": {"minExtent": 24},  # panels of different rows stand in line
    }
    colour = style.by_series(styles)
    labels = list(styles)
    dash = colour | {"scale": {"domain": labels, "range": [list(styles[one][1]) for one in labels]}}
    shown = style.tooltip(
        ("series", "encoder"),
        ("x", f"{how.quantity} ({how.unit})" if how.unit else how.quantity),
        ("value", "value"),
        ("low", "95 % from"),
        ("high", "to"),
        ("chance", "chance"),
        ("n", "N"),
    )
    side = {"field": "side", "type": "nominal"}
    layers: list[dict[str, Any]] = []
    if chance and records:
        layers.append(
            {
                "data": {"values": [{"chance": records[0]["chance"]}]},
                "mark": {
                    "type": "rule",
                    "color": style.INK,
                    "strokeDash": [1, 3],
                    "strokeWidth": 1,
                },
                "encoding": {"y": y | {"field": "chance"}},
            }
        )
    if how.identity is not None and records:
        layers.append(
            {
                "data": {"values": [{"x": how.identity}]},
                "mark": {"type": "rule", "color": style.RED, "strokeWidth": 1, "opacity": 0.6},
                "encoding": {"x": x},
            }
        )
    if originals:
        values = [{"series": one["series"], "value": one["value"]} for one in originals]
        layers.append(
            {
                "data": {"values": values},
                "mark": {"type": "rule", "strokeDash": [1, 2], "strokeWidth": 1, "opacity": 0.7},
                "encoding": {"y": y, "color": colour},
            }
        )
    layers += [
        {
            "mark": {"type": "area", "opacity": 0.16, "line": False},
            "encoding": {
                "x": x,
                "y": y | {"field": "low"},
                "y2": {"field": "high"},
                "color": colour,
                "detail": side,
            },
        },
        {
            "mark": {"type": "line", "clip": True, "strokeWidth": 1.9},
            "encoding": {
                "x": x,
                "y": y,
                "color": colour,
                "strokeDash": dash,
                "detail": side,
            },
        },
    ]
    if points:
        trial = style.tooltip(("trial", "trial"))
        layers.append(
            {
                "data": {"values": points},
                "mark": {"type": "point", "filled": True, "size": 9, "opacity": 0.55},
                "encoding": {"x": x, "y": y, "color": colour, "tooltip": [*shown, *trial]},
            }
        )
    layers.append(
        {
            "mark": {"type": "point", "filled": True, "size": 12, "opacity": 1},
            "encoding": {"x": x, "y": y, "color": colour, "tooltip": shown},
        }
    )
    return {
        "data": {"values": records},
        "layer": layers,
        "width": style.PANEL_WIDTH,
        "height": style.PANEL_HEIGHT,
        "title": style.small_title(how.title),
    }


def x_channel(code: str, xs: Sequence[float], **axis: Any) -> dict[str, Any]:
    """Return the magnitude channel of a transformation: true units, no zero forced in.

    The axis title says on which side changes are more severe; the ticks of a logarithmic axis are
    magnitudes that were run, each at least about twice the one before.
    """
    how = magnitudes.axis(code)
    scale: dict[str, Any] = {"nice": False, "padding": 5}
    axis = {"title": how.axis_title, "grid": False, "labelOverlap": True} | axis
    if how.scale == "log" and xs and min(xs) > 0:
        scale |= {"type": "log", "base": 2}
        ticks: list[float] = []
        for value in sorted(set(xs)):
            if not ticks or value >= ticks[-1] * 1.9:
                ticks.append(value)
        axis |= {"values": ticks, "format": "~r"}
    else:
        scale["zero"] = False
        axis |= {"tickCount": 6 if how.identity is not None else 5}
    return {"field": "x", "type": "quantitative", "scale": scale, "axis": axis}
