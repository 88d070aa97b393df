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

import altair as alt
import numpy as np
import pandas as pd

from nearkin import magnitudes
from nearkin.figures import style
from nearkin.series import AUDIO, distance_name, distance_order, headline, of, series_of, trial_rows

Style = Mapping[str, tuple[str, tuple[int, int], float]]


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
    altair.VConcatChart
        One panel per transformation.
    """
    rows = _audio_rows(consistency)
    distances = distance_order(rows["audio_distance"])
    styles = {
        distance_name(name): (
            style.AUDIO_COLOUR.get(name, "#444444"),
            style.AUDIO_DASH.get(name, (3, 2)),
            2.0,
        )
        for name in distances
    }
    records = [
        record
        for name in distances
        for record in _records(rows[rows["audio_distance"] == name], distance_name(name))
    ]
    row = _row(records, styles, title="Audio space: C_W", codes=_codes(consistency))
    return style.dressed(alt.vconcat(row), margin=38, symbol="stroke")


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
    altair.VConcatChart
        Latent distances down, transformations across.
    """
    within = consistency[consistency["measure"] == "C_W"]
    latent = within[within["encoder"] != AUDIO]
    audio = _audio_rows(consistency)
    series = series_of(run, consistency)
    styles = style.series_styles(series)
    behind: list[dict[str, Any]] = []
    for name in distance_order(audio["audio_distance"]):
        label = f"audio space, {distance_name(name)}"
        dash = style.AUDIO_DASH.get(name, (3, 2))
        styles[label] = (style.AUDIO_GREY, dash, 3.0)
        behind += _records(audio[audio["audio_distance"] == name], label)
    rows = []
    for name in distance_order(latent["latent_distance"]):
        chosen = latent[latent["latent_distance"] == name]
        records, points = _series_records(chosen, series)
        title = f"Latent space: C_W, {distance_name(name)} distance"
        rows.append(
            _row(behind + records, styles, title=title, codes=_codes(consistency), points=points)
        )
    return style.dressed(alt.vconcat(*rows, spacing=24), margin=38, symbol="stroke")


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
    altair.VConcatChart
        The two measures down, transformations across.
    """
    series = series_of(run, consistency)
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
            _row(
                records,
                styles,
                title=f"Between the spaces: {measure}, {pair}",
                codes=_codes(consistency),
                points=points,
                chance=False,
                domain=_rho_domain(consistency) if measure == "C_B_rho" else (0.0, 1.0),
            )
        )
    return style.dressed(alt.vconcat(*rows, spacing=24), margin=38, symbol="stroke")


def _audio_rows(consistency: pd.DataFrame) -> pd.DataFrame:
    is_audio = (consistency["measure"] == "C_W") & (consistency["encoder"] == AUDIO)
    return headline(consistency[is_audio])


def _codes(consistency: pd.DataFrame) -> list[str]:
    return magnitudes.code_order(consistency["transformation"].unique())


def _rho_domain(consistency: pd.DataFrame) -> tuple[float, float]:
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
        curves += _records(headline(mine), one.label)
        points += _records(trial_rows(mine), one.label)
    return curves, points


def _records(rows: pd.DataFrame, label: str) -> list[dict[str, Any]]:
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


def _row(
    records: list[dict[str, Any]],
    styles: Style,
    *,
    title: str,
    codes: Sequence[str],
    points: Sequence[dict[str, Any]] = (),
    chance: bool = True,
    domain: tuple[float, float] = (0.0, 1.0),
) -> Any:
    """One panel per transformation; ``columns`` is what a narrow page lowers."""
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
    return alt.concat(*panels, columns=max(1, len(panels)), spacing=14, title=title)


def _panel(
    code: str,
    records: list[dict[str, Any]],
    points: list[dict[str, Any]],
    originals: list[dict[str, Any]],
    styles: Style,
    *,
    chance: bool,
    domain: tuple[float, float],
) -> Any:
    how = magnitudes.axis(code)
    x = alt.X("x:Q", scale=x_scale(code, records), axis=x_axis(code, records))
    y = alt.Y("value:Q", title=None, scale=alt.Scale(domain=list(domain), nice=False))
    labels = list(styles)
    colour = alt.Color(
        "series:N",
        title=None,
        sort=None,
        scale=alt.Scale(domain=labels, range=[styles[label][0] for label in labels]),
    )
    dash = alt.StrokeDash(
        "series:N",
        title=None,
        sort=None,
        scale=alt.Scale(domain=labels, range=[list(styles[label][1]) for label in labels]),
    )
    width = alt.StrokeWidth(
        "series:N",
        title=None,
        sort=None,
        scale=alt.Scale(domain=labels, range=[styles[label][2] for label in labels]),
    )
    tooltip = [
        alt.Tooltip("series:N", title="encoder"),
        alt.Tooltip("x:Q", title=f"{how.quantity} ({how.unit})"),
        alt.Tooltip("value:Q", title="value", format=".3f"),
        alt.Tooltip("low:Q", title="95 % from", format=".3f"),
        alt.Tooltip("high:Q", title="to", format=".3f"),
        alt.Tooltip("chance:Q", title="chance", format=".3f"),
        alt.Tooltip("n:Q", title="N"),
    ]
    main = alt.Chart(style.data(records))
    layers: list[Any] = []
    if chance and records:
        level = alt.Chart(style.data([{"chance": records[0]["chance"]}]))
        layers.append(
            level.mark_rule(color=style.INK, strokeDash=[1, 3], strokeWidth=1).encode(
                y=alt.Y("chance:Q", title=None)
            )
        )
    if how.identity is not None and records:
        place = alt.Chart(style.data([{"x": how.identity}]))
        layers.append(place.mark_rule(color=style.RED, strokeWidth=1, opacity=0.6).encode(x="x:Q"))
    if originals:
        layers.append(
            alt.Chart(style.data([_lean(record, "series", "value") for record in originals]))
            .mark_rule(strokeDash=[1, 2], strokeWidth=1, opacity=0.7)
            .encode(y=y, color=colour)
        )
    layers += [
        main.mark_area(opacity=0.16, line=False).encode(
            x=x,
            y=alt.Y("low:Q", title=None, scale=alt.Scale(domain=list(domain), nice=False)),
            y2="high:Q",
            color=colour,
            detail="side:N",
        ),
        main.mark_line(clip=True).encode(
            x=x, y=y, color=colour, strokeDash=dash, strokeWidth=width, detail="side:N"
        ),
    ]
    several = {point["series"] for point in points}
    singles = [record for record in records if record["series"] not in several]
    if several:
        layers.append(
            alt.Chart(style.data(points))
            .mark_point(filled=True, size=9, opacity=0.55)
            .encode(
                x=x,
                y=y,
                color=colour,
                tooltip=[*tooltip, alt.Tooltip("trial:Q", title="trial")],
            )
        )
        means = [record for record in records if record["series"] in several]
        layers.append(
            alt.Chart(style.data(means))
            .mark_point(filled=True, size=45, opacity=0)
            .encode(x=x, y=y, color=colour, tooltip=tooltip)
        )
    layers.append(
        alt.Chart(style.data(singles))
        .mark_point(filled=True, size=12, opacity=1)
        .encode(x=x, y=y, color=colour, tooltip=tooltip)
    )
    return alt.layer(*layers).properties(
        width=style.PANEL_WIDTH,
        height=style.PANEL_HEIGHT,
        title=alt.Title(how.title, fontWeight="normal", fontSize=11, offset=4),
    )


def _lean(record: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: record[key] for key in keys}


def x_scale(code: str, records: Sequence[dict[str, Any]]) -> alt.Scale:
    """Return the magnitude scale of a transformation, true units, no zero forced in."""
    xs = [record["x"] for record in records]
    if magnitudes.axis(code).scale == "log" and xs and min(xs) > 0:
        return alt.Scale(type="log", base=2, nice=False, zero=False, padding=5)
    return alt.Scale(type="linear", nice=False, zero=False, padding=5)


def x_axis(code: str, records: Sequence[dict[str, Any]], **options: Any) -> alt.Axis:
    """Return the magnitude axis: its title says where graver is, log ticks are measured rates."""
    how = magnitudes.axis(code)
    options = {"title": how.axis_title, "grid": False, "labelOverlap": True} | options
    if how.scale == "log":
        present = sorted({record["x"] for record in records})
        ticks: list[float] = []
        for value in present:
            if not ticks or value >= ticks[-1] * 1.9:
                ticks.append(value)
        return alt.Axis(values=ticks, format="d", **options)
    if how.identity is not None:
        return alt.Axis(tickCount=6, **options)
    return alt.Axis(tickCount=5, **options)
