"""Figures 3, 12 and 13: the grid, the mildest (or gravest) changes, the originals; drawn as dots.

In figure 12 each dot is one transformation, and PS and TS are split by direction; bars are the
95 % intervals of the table; the black tick is the median over the dots of an encoder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Literal

import altair as alt
import pandas as pd

from nearkin import magnitudes
from nearkin.figures import style
from nearkin.figures.curves import x_axis, x_scale
from nearkin.magnitudes import Point
from nearkin.series import AUDIO, distance_name, distance_order, headline, of, series_of, trial_rows

DIRECTION_COLOURS = {
    "PN": "#0072b2",
    "EN": "#56b4e9",
    "TS−": "#e69f00",
    "TS+": "#b35900",
    "PS−": "#cc79a7",
    "PS+": "#882255",
    "MP": "#009e73",
}
OTHER_COLOURS = ("#444444", "#8a8a8a", "#5b3c88", "#999933")
LATENT_ONLY = "latent space only (C_W)"


def grid_points(run: Mapping[str, Any], consistency: pd.DataFrame) -> list[tuple[str, float]]:
    """Return the (code, magnitude) points of a run: its record's, else those the table holds."""
    listed = run.get("grid", {}).get("points")
    if listed:
        return [(str(code), float(magnitude)) for code, magnitude in listed]
    rows = consistency.loc[
        (consistency["transformation"] != magnitudes.ORIGINAL) & consistency["magnitude"].notna(),
        ["transformation", "magnitude"],
    ].drop_duplicates()
    pairs = zip(rows["transformation"], rows["magnitude"], strict=True)
    return [(str(code), float(magnitude)) for code, magnitude in pairs]


def figure_3(consistency: pd.DataFrame, *, run: Mapping[str, Any]) -> Any:
    """Draw the grid: a strip per transformation, a dot per magnitude, the original's place in red.

    For TS and PS the red line is the identity; for the others, as in the paper, the mildest
    magnitude, which is the one closest to the original.

    Parameters
    ----------
    consistency : pandas.DataFrame
        The run's consistency table, read only where the record has no grid.
    run : mapping
        The run's record.

    Returns
    -------
    altair.VConcatChart
        One strip per transformation.
    """
    points = grid_points(run, consistency)
    strips = []
    for code in magnitudes.code_order(code for code, _ in points):
        how = magnitudes.axis(code)
        name = f"{how.title} ({code})"
        records = [{"name": name, "x": value} for other, value in points if other == code]
        red = how.identity
        if red is None:
            red = magnitudes.mildest((code, x) for other, x in points if other == code)[0].magnitude
        x = alt.X(
            "x:Q",
            scale=x_scale(code, [*records, {"x": red}]),
            axis=x_axis(code, records, titlePadding=2),
        )
        y = alt.Y(
            "name:N",
            title=None,
            axis=alt.Axis(minExtent=150, domain=False, ticks=False, labelLimit=150),
        )
        strips.append(
            alt.layer(
                alt.Chart(style.data([{"x": red}]))
                .mark_rule(color=style.RED, strokeWidth=2)
                .encode(x=x),
                alt.Chart(style.data(records))
                .mark_point(filled=True, size=36, color=style.INK, opacity=0.8)
                .encode(x=x, y=y, tooltip=[alt.Tooltip("x:Q", title=how.axis_title)]),
            ).properties(width=640, height=26)
        )
    return style.dressed(alt.vconcat(*strips, spacing=10), margin=175)


def figure_12(
    consistency: pd.DataFrame,
    *,
    run: Mapping[str, Any],
    end: Literal["mildest", "gravest"] = "mildest",
) -> Any:
    """Draw C_W, C_B_acc and C_B_rho at one end of the grid, a dot per transformation and side.

    Parameters
    ----------
    consistency : pandas.DataFrame
        The run's consistency table.
    run : mapping
        The run's record.
    end : {"mildest", "gravest"}
        Which magnitude of every transformation and side: the paper's Figure 12 is the mildest.

    Returns
    -------
    altair.VConcatChart
        Latent distances down, measures across; several trials give a dot each.
    """
    choose = magnitudes.mildest if end == "mildest" else magnitudes.gravest
    points = choose(grid_points(run, consistency))
    series = series_of(run, consistency)
    rows = []
    latent_rows = consistency[consistency["encoder"] != AUDIO]
    audio = distance_order(latent_rows["audio_distance"])
    for latent in distance_order(latent_rows["latent_distance"]):
        panels = []
        for measure in ("C_W", "C_B_acc", "C_B_rho"):
            chosen = latent_rows[
                (latent_rows["measure"] == measure) & (latent_rows["latent_distance"] == latent)
            ]
            panels.append(_point_panel(chosen, measure, points, series, audio))
        title = f"{distance_name(latent)} distance in the latent space"
        rows.append(alt.concat(*panels, columns=3, spacing=16, title=title))
    return style.dressed(alt.vconcat(*rows, spacing=24), margin=130)


def _point_panel(
    rows: pd.DataFrame,
    measure: str,
    points: Sequence[Point],
    series: Sequence[Any],
    audio_distances: Sequence[str],
) -> Any:
    records: list[dict[str, Any]] = []
    trials: list[dict[str, Any]] = []
    ticks: list[dict[str, Any]] = []
    missing: list[dict[str, Any]] = []
    for one in series:
        mine = of(rows, one)
        means = _at(headline(mine), points, one.label)
        records += means
        trials += _at(trial_rows(mine), points, one.label)
        values = [record["value"] for record in means]
        if values:
            ticks.append({"series": one.label, "median": round(median(values), 6)})
        else:
            missing.append({"series": one.label, "text": "undefined" if len(mine) else "not run"})
    names = [magnitudes.direction(point.code, point.side) for point in points]
    spare = iter(OTHER_COLOURS * 8)
    colours = [DIRECTION_COLOURS.get(name) or next(spare) for name in names]
    labels = [one.label for one in series]
    kinds = [LATENT_ONLY, *map(distance_name, audio_distances)]
    height = max(40, len(labels) * max(30, 8 * len(names)))
    lowest = min([0.0, *(record["low"] or 0.0 for record in records)])
    domain = [-0.03 if measure != "C_B_rho" else min(-0.03, round(lowest - 0.05, 1)), 1.03]
    scale = alt.Scale(domain=domain, nice=False)
    x = alt.X("value:Q", title=measure, scale=scale, axis=alt.Axis(tickCount=5))
    y = alt.Y(
        "series:N",
        title=None,
        sort=labels,
        scale=alt.Scale(domain=labels, paddingInner=0.18, paddingOuter=0.1),
        axis=alt.Axis(grid=False, minExtent=92, labelLimit=92, ticks=False),
    )
    lane = alt.YOffset("direction:N", sort=names, scale=alt.Scale(domain=names))
    colour = alt.Color(
        "direction:N", title=None, sort=None, scale=alt.Scale(domain=names, range=colours)
    )
    shape = alt.Shape(
        "audio:N",
        title=None,
        sort=None,
        scale=alt.Scale(domain=kinds, range=["circle", "triangle-up", "square", "diamond"]),
    )
    tooltip = [
        alt.Tooltip("series:N", title="encoder"),
        alt.Tooltip("point:N", title="at"),
        alt.Tooltip("audio:N", title="audio distance"),
        alt.Tooltip("value:Q", title=measure, format=".3f"),
        alt.Tooltip("low:Q", title="95 % from", format=".3f"),
        alt.Tooltip("high:Q", title="to", format=".3f"),
        alt.Tooltip("chance:Q", title="chance", format=".3f"),
        alt.Tooltip("trial:Q", title="trial (0: mean)"),
    ]
    base = alt.Chart(style.data(records))
    layers: list[Any] = [
        alt.Chart(style.data(ticks))
        .mark_tick(color=style.INK, thickness=2, opacity=0.75)
        .encode(x=alt.X("median:Q", title=measure, scale=scale), y=y),
        base.mark_rule(strokeWidth=1, opacity=0.55).encode(
            x=alt.X("low:Q", title=measure, scale=scale),
            x2="high:Q",
            y=y,
            yOffset=lane,
            color=colour,
        ),
        base.mark_point(size=26, strokeWidth=1.4, opacity=0.95, clip=False).encode(
            x=x,
            y=y,
            yOffset=lane,
            color=colour,
            shape=shape,
            tooltip=tooltip,
        ),
    ]
    if trials:
        layers.append(
            alt.Chart(style.data(trials))
            .mark_point(filled=True, size=7, opacity=0.5)
            .encode(x=x, y=y, yOffset=lane, color=colour, tooltip=tooltip)
        )
    if missing:
        layers.append(
            alt.Chart(style.data(missing))
            .mark_text(align="left", dx=4, fontStyle="italic", fontSize=10, color=style.INK)
            .encode(y=y, text="text:N", x=alt.datum(domain[0]))
        )
    return alt.layer(*layers).properties(width=215, height=height)


def _at(rows: pd.DataFrame, points: Sequence[Point], label: str) -> list[dict[str, Any]]:
    """Return a record for every defined value of the rows at the points."""
    records = []
    for point in points:
        chosen = rows[
            (rows["transformation"] == point.code) & (rows["magnitude"] == point.magnitude)
        ]
        for row in chosen.itertuples(index=False):
            if style.rounded(row.value) is None:
                continue
            records.append(
                {
                    "series": label,
                    "direction": magnitudes.direction(point.code, point.side),
                    "point": magnitudes.in_words(point.code, point.magnitude),
                    "audio": distance_name(str(row.audio_distance)) or LATENT_ONLY,
                    "value": style.rounded(row.value),
                    "low": style.rounded(row.ci_low),
                    "high": style.rounded(row.ci_high),
                    "chance": style.rounded(row.chance),
                    "trial": int(str(row.trial)),
                }
            )
    return records


def figure_13(consistency: pd.DataFrame, *, run: Mapping[str, Any]) -> Any:
    """Draw C_B_rho on the unchanged clips, a panel per pair of distances, with intervals.

    Parameters
    ----------
    consistency : pandas.DataFrame
        The run's consistency table.
    run : mapping
        The run's record.

    Returns
    -------
    altair.VConcatChart
        Up to four panels; several trials are drawn as smaller dots.
    """
    series = series_of(run, consistency)
    styles = style.series_styles(series)
    labels = list(styles)
    rows = consistency[
        (consistency["measure"] == "C_B_rho")
        & (consistency["transformation"] == magnitudes.ORIGINAL)
    ]
    lowest = rows["ci_low"].min()
    domain = [0.0 if pd.isna(lowest) else min(0.0, round(float(lowest) - 0.05, 1)), 1.0]
    panels = []
    for audio in distance_order(rows["audio_distance"]):
        for latent in distance_order(rows["latent_distance"]):
            pair = rows[(rows["audio_distance"] == audio) & (rows["latent_distance"] == latent)]
            title = f"{distance_name(audio)} and {distance_name(latent)}"
            panels.append(_originals_panel(pair, title, series, labels, styles, domain))
    if not panels:
        panels = [_originals_panel(rows, "no pair of distances", series, labels, styles, domain)]
    return style.dressed(alt.vconcat(alt.concat(*panels, columns=2, spacing=20)), margin=130)


def _originals_panel(
    rows: pd.DataFrame,
    title: str,
    series: Sequence[Any],
    labels: Sequence[str],
    styles: Mapping[str, tuple[str, tuple[int, int], float]],
    domain: Sequence[float],
) -> Any:
    means: list[dict[str, Any]] = []
    trials: list[dict[str, Any]] = []
    missing: list[dict[str, Any]] = []
    for one in series:
        mine = of(rows, one)
        before = len(means)
        for target, chosen in ((means, headline(mine)), (trials, trial_rows(mine))):
            for row in chosen.itertuples(index=False):
                if style.rounded(row.value) is not None:
                    target.append(
                        {
                            "series": one.label,
                            "value": style.rounded(row.value),
                            "low": style.rounded(row.ci_low),
                            "high": style.rounded(row.ci_high),
                            "n": int(str(row.n)),
                            "trial": int(str(row.trial)),
                        }
                    )
        if len(means) == before:
            missing.append({"series": one.label, "text": "undefined" if len(mine) else "not run"})
    scale = alt.Scale(domain=list(domain))
    x = alt.X("value:Q", title="C_B_rho", scale=scale, axis=alt.Axis(tickCount=6))
    y = alt.Y(
        "series:N",
        title=None,
        sort=list(labels),
        scale=alt.Scale(domain=list(labels)),
        axis=alt.Axis(minExtent=92, labelLimit=92, ticks=False),
    )
    colour = alt.Color(
        "series:N",
        legend=None,
        scale=alt.Scale(domain=list(labels), range=[styles[label][0] for label in labels]),
    )
    tooltip = [
        alt.Tooltip("series:N", title="encoder"),
        alt.Tooltip("value:Q", title="C_B_rho", format=".3f"),
        alt.Tooltip("low:Q", title="95 % from", format=".3f"),
        alt.Tooltip("high:Q", title="to", format=".3f"),
        alt.Tooltip("n:Q", title="N"),
        alt.Tooltip("trial:Q", title="trial (0: mean)"),
    ]
    base = alt.Chart(style.data(means))
    layers: list[Any] = [
        base.mark_rule(strokeWidth=2).encode(
            x=alt.X("low:Q", title="C_B_rho", scale=scale), x2="high:Q", y=y, color=colour
        ),
        base.mark_point(filled=True, size=60, opacity=1).encode(
            x=x, y=y, color=colour, tooltip=tooltip
        ),
    ]
    if trials:
        layers.append(
            alt.Chart(style.data(trials))
            .mark_point(size=22, opacity=0.7)
            .encode(x=x, y=y, color=colour, tooltip=tooltip)
        )
    if missing:
        layers.append(
            alt.Chart(style.data(missing))
            .mark_text(align="left", dx=4, fontStyle="italic", fontSize=10, color=style.INK)
            .encode(y=y, text="text:N", x=alt.datum(domain[0]))
        )
    return alt.layer(*layers).properties(
        width=330,
        height=max(50, 24 * len(labels)),
        title=alt.Title(title, fontWeight="normal", fontSize=11, offset=4),
    )
