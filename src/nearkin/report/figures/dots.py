"""Figures 3, 12 and 13: the grid, the mildest or most severe changes, the originals; as dots.

In figure 12 each dot is one transformation, and PS and TS are split by direction; bars are the
95 % intervals of the table; the black tick is the median over the dots of an encoder.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from nearkin.report.figures import style
from nearkin.report.figures.curves import rho_domain, x_channel
from nearkin.report.figures.performance import Standing, standing
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
from nearkin.transforms.magnitudes import Point

DIRECTION_COLOURS = (
    *("#0072b2", "#3d9ad8", "#c28600", "#b35900", "#cc79a7", "#882255", "#009e73"),
    *("#444444", "#8a8a8a", "#5b3c88", "#999933", "#0b5d52", "#c1272d", "#7d6c4f"),
)
"""Colours of transformations and their sides, in the order of the legend."""
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
    altair chart
        One strip per transformation.
    """
    points = grid_points(run, consistency)
    strips = []
    for code in magnitudes.code_order(code for code, _ in points):
        how = magnitudes.axis(code)
        name = f"{how.title} ({code})"
        records: list[dict[str, Any]] = [
            {"name": name, "x": value} for other, value in points if other == code
        ]
        red = how.identity
        if red is None:
            red = magnitudes.mildest((code, x) for other, x in points if other == code)[0].magnitude
        x = x_channel(code, [record["x"] for record in records], titlePadding=2)
        shown = style.tooltip(("x", how.axis_title))
        y = {
            "field": "name",
            "type": "nominal",
            "title": None,
            "axis": {"minExtent": 150, "labelLimit": 150, "domain": False, "ticks": False},
        }
        strips.append(
            {
                "width": 640,
                "height": 26,
                "layer": [
                    {
                        "data": {"values": [{"x": red}]},
                        "mark": {"type": "rule", "color": style.RED, "strokeWidth": 2},
                        "encoding": {"x": x},
                    },
                    {
                        "data": {"values": records},
                        "mark": {"type": "point", "filled": True, "size": 36, "color": style.INK},
                        "encoding": {"x": x, "y": y, "tooltip": shown},
                    },
                ],
            }
        )
    return style.figure(strips, margin=175, spacing=10)


def figure_12(
    consistency: pd.DataFrame,
    *,
    run: Mapping[str, Any],
    end: Literal["mildest", "most severe"] = "mildest",
    performance: pd.DataFrame | None = None,
) -> Any:
    """Draw C_W, C_B_acc and C_B_rho at one end of the grid, a dot per transformation and side.

    Task performance stands above them where there is any, standardised within each task.

    Parameters
    ----------
    consistency : pandas.DataFrame
        The run's consistency table.
    run : mapping
        The run's record.
    end : {"mildest", "most severe"}
        Which magnitude of every transformation and side: the paper's Figure 12 is the mildest.
    performance : pandas.DataFrame, optional
        The run's task scores.

    Returns
    -------
    altair chart
        Latent distances down, measures across; several trials give a dot each.
    """
    choose = magnitudes.mildest if end == "mildest" else magnitudes.most_severe
    points = choose(grid_points(run, consistency))
    series = systems_of(run, consistency)
    rows = []
    directions = dict.fromkeys(_directions(points))
    if performance is not None:
        found = standing(performance, run, choose)
        # one legend for all panels: the tasks' grid may be another than the run's
        directions |= dict.fromkeys(_directions(found.points))
        rows.append(_performance_row(found, list(directions)))
    latent_rows = consistency[consistency["encoder"] != AUDIO]
    audio = distance_order(latent_rows["audio_distance"])
    for latent in distance_order(latent_rows["latent_distance"]):
        panels = []
        for measure in ("C_W", "C_B_acc", "C_B_rho"):
            chosen = latent_rows[
                (latent_rows["measure"] == measure) & (latent_rows["latent_distance"] == latent)
            ]
            lowest = rho_domain(consistency)[0] if measure == "C_B_rho" else 0.0
            domain = (lowest - 0.03, 1.03)
            panels.append(
                _point_panel(chosen, measure, points, series, audio, domain, list(directions))
            )
        title = f"{distance_name(latent)} distance in the latent space"
        rows.append({"concat": panels, "columns": 3, "spacing": 16, "title": title})
    return style.figure(rows, margin=130)


def _directions(points: Sequence[Point]) -> list[str]:
    return [magnitudes.direction(point.code, point.side) for point in points]


def _performance_row(found: Standing, directions: Sequence[str]) -> dict[str, Any]:
    """Return the row of task scores, with a hollow diamond where the unchanged clips are."""
    panel = _point_panel(
        found.rows,
        "standardised performance",
        found.points,
        found.series,
        None,
        found.domain,
        directions,
    )
    where = panel["layer"][0]["encoding"]
    panel["layer"].append(
        {
            "data": {"values": found.levels},
            "mark": {"type": "point", "shape": "diamond", "color": style.INK, "size": 70},
            "encoding": {
                "x": where["x"] | {"field": "value"},
                "y": where["y"],
                "tooltip": style.tooltip(("series", "encoder"), ("value", "unchanged clips")),
            },
        }
    )
    panel["width"] *= 2
    heading = "Task performance, standardised within each task (more is better)"
    return {"concat": [panel], "columns": 1, "spacing": 16, "title": heading}


def _point_panel(
    rows: pd.DataFrame,
    measure: str,
    points: Sequence[Point],
    series: Sequence[Any],
    audio_distances: Sequence[str] | None,
    domain: Sequence[float],
    directions: Sequence[str],
) -> Any:
    """Return one panel; dots have a shape for each audio distance, where those are given."""
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
            ticks.append({"series": one.label, "median": round(float(np.median(values)), 6)})
        else:
            missing.append({"series": one.label, "text": "undefined" if len(mine) else "not run"})
    names = _directions(points)
    shown_colours = itertools.cycle(DIRECTION_COLOURS)
    colours = [colour for _, colour in zip(directions, shown_colours, strict=False)]
    labels = [one.label for one in series]
    kinds = [LATENT_ONLY, *map(distance_name, audio_distances or ())]
    x = {
        "field": "value",
        "type": "quantitative",
        "title": measure,
        "scale": style.scale(domain),
        "axis": {"tickCount": 5},
    }
    y = _encoder_channel(labels)
    y["scale"] |= {"paddingInner": 0.18, "paddingOuter": 0.1}
    lane = {"field": "direction", "type": "nominal", "sort": None, "scale": style.scale(names)}
    colour = {
        "field": "direction",
        "type": "nominal",
        "title": None,
        "sort": None,
        "scale": {"domain": list(directions), "range": colours},
    }
    shape = {
        "field": "audio",
        "type": "nominal",
        "title": None,
        "sort": None,
        "scale": {
            "domain": kinds,
            "range": ["circle", "triangle-up", "square", "diamond", "cross"][: len(kinds)],
        },
    }
    shown = style.tooltip(
        ("series", "encoder"),
        ("point", "at"),
        *([] if audio_distances is None else [("audio", "audio distance")]),
        ("value", measure),
        ("low", "95 % from"),
        ("high", "to"),
        *([] if audio_distances is None else [("chance", "chance")]),
        ("trial", "trial (0: mean)"),
    )
    placed = {"y": y, "yOffset": lane, "color": colour}
    dot: dict[str, Any] = placed | {"x": x, "tooltip": shown}
    if audio_distances is not None:
        dot["shape"] = shape
    layers: list[dict[str, Any]] = [
        {
            "data": {"values": ticks},
            "mark": {"type": "tick", "color": style.INK, "thickness": 2, "opacity": 0.75},
            "encoding": {"x": x | {"field": "median"}, "y": y},
        },
        {
            "mark": {"type": "rule", "strokeWidth": 1, "opacity": 0.55},
            "encoding": placed | {"x": x | {"field": "low"}, "x2": {"field": "high"}},
        },
        {
            "mark": {"type": "point", "size": 26, "strokeWidth": 1.4, "opacity": 0.95},
            "encoding": dot,
        },
    ]
    if trials:
        layers.append(
            {
                "data": {"values": trials},
                "mark": {"type": "point", "filled": True, "size": 7, "opacity": 0.5},
                "encoding": placed | {"x": x, "tooltip": shown},
            }
        )
    if missing:
        layers.append(style.undefined_notes(missing, y, domain[0]))
    return {
        "data": {"values": records},
        "layer": layers,
        "width": 225,
        "height": max(40, len(labels) * max(30, 8 * len(names))),
    }


def _encoder_channel(labels: Sequence[str]) -> dict[str, Any]:
    return {
        "field": "series",
        "type": "nominal",
        "title": None,
        "sort": None,  # the domain orders; a list of names trips over one such as "constructor"
        "scale": style.scale(labels),
        "axis": {"grid": False, "minExtent": 92, "labelLimit": 92, "ticks": False},
    }


def _at(rows: pd.DataFrame, points: Sequence[Point], label: str) -> list[dict[str, Any]]:
    """Return a record for every defined value of the rows at the points, in their order."""
    places = {(point.code, point.magnitude): place for place, point in enumerate(points)}
    columns = ["transformation", "magnitude", "audio_distance", "trial"]
    columns += ["value", "ci_low", "ci_high", "chance"]
    found: list[tuple[int, dict[str, Any]]] = []
    for code, magnitude, audio, trial, value, low, high, chance in zip(
        *(rows[column] for column in columns), strict=True
    ):
        place = places.get((code, magnitude))
        if place is None or style.rounded(value) is None:
            continue
        point = points[place]
        record = {
            "series": label,
            "direction": magnitudes.direction(point.code, point.side),
            "point": magnitudes.in_words(point.code, point.magnitude),
            "audio": distance_name(audio) or LATENT_ONLY,
            "value": style.rounded(value),
            "low": style.rounded(low),
            "high": style.rounded(high),
            "chance": style.rounded(chance),
            "trial": int(trial),
        }
        found.append((place, record))
    return [record for _, record in sorted(found, key=lambda pair: pair[0])]


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
    altair chart
        Up to four panels; several trials are drawn as smaller dots.
    """
    series = systems_of(run, consistency)
    styles = style.series_styles(series)
    labels = list(styles)
    rows = consistency[
        (consistency["measure"] == "C_B_rho")
        & (consistency["transformation"] == magnitudes.ORIGINAL)
    ]
    domain = rho_domain(rows)
    panels = []
    for audio in distance_order(rows["audio_distance"]):
        for latent in distance_order(rows["latent_distance"]):
            pair = rows[(rows["audio_distance"] == audio) & (rows["latent_distance"] == latent)]
            title = f"{distance_name(audio)} and {distance_name(latent)}"
            panels.append(_originals_panel(pair, title, series, labels, styles, domain))
    if not panels:
        panels = [_originals_panel(rows, "no pair of distances", series, labels, styles, domain)]
    return style.figure([{"concat": panels, "columns": 2, "spacing": 20}], margin=130)


def _originals_panel(
    rows: pd.DataFrame,
    title: str,
    series: Sequence[Any],
    labels: Sequence[str],
    styles: style.Styles,
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
    x = {
        "field": "value",
        "type": "quantitative",
        "title": "C_B_rho",
        "scale": style.scale(domain),
        "axis": {"tickCount": 6},
    }
    y = _encoder_channel(labels)
    colour = style.by_series(styles, legend=None)
    shown = style.tooltip(
        ("series", "encoder"),
        ("value", "C_B_rho"),
        ("low", "95 % from"),
        ("high", "to"),
        ("n", "N"),
        ("trial", "trial (0: mean)"),
    )
    layers: list[dict[str, Any]] = [
        {
            "mark": {"type": "rule", "strokeWidth": 2},
            "encoding": {
                "x": x | {"field": "low"},
                "x2": {"field": "high"},
                "y": y,
                "color": colour,
            },
        },
        {
            "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1},
            "encoding": {"x": x, "y": y, "color": colour, "tooltip": shown},
        },
    ]
    if trials:
        layers.append(
            {
                "data": {"values": trials},
                "mark": {"type": "point", "size": 22, "opacity": 0.7},
                "encoding": {"x": x, "y": y, "color": colour, "tooltip": shown},
            }
        )
    if missing:
        layers.append(style.undefined_notes(missing, y, domain[0]))
    return {
        "data": {"values": means},
        "layer": layers,
        "width": 330,
        "height": max(50, 24 * len(labels)),
        "title": style.small_title(title),
    }
