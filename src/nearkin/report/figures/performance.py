"""Figure 4 and the top row of figure 12: scores of encoders in their tasks.

In figure 4 a score keeps its own unit; in figure 12 scores of different tasks stand side by side,
so they are standardised within each task, over all its changed clips, and MSE's sign is turned
(Kim et al. 2019, sections 5.1 and 5.4.1). Dotted coloured lines are the score on the unchanged
clips, the dotted black line what chance scores on the same changed clips.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from nearkin import tasks
from nearkin.report.figures import style
from nearkin.report.figures.curves import curve_records, panel_row
from nearkin.report.figures.files import save
from nearkin.results.systems import System, headline, of, systems_of, trial_rows
from nearkin.results.task_scores import of_trials, signs
from nearkin.transforms import magnitudes
from nearkin.transforms.magnitudes import ORIGINAL, Point


def figure_4(performance: pd.DataFrame, *, run: Mapping[str, Any]) -> Any:
    """Draw task scores over magnitude, a row per task and a curve per encoder.

    Parameters
    ----------
    performance : pandas.DataFrame
        The run's task scores.
    run : mapping
        The run's record (empty where there is none): roles of the encoders.

    Returns
    -------
    altair chart
        Tasks down, transformations across; several trials are drawn as points.

    Raises
    ------
    InputError
        If the table lacks a column or holds an unknown measure.
    """
    performance = _checked(performance)
    series = task_series(performance, run)
    roles: dict[str, str] = {}
    for one in series:  # an encoder is one curve in every task
        roles.setdefault(one.encoder, one.role)
    styles = style.series_styles([System(name, "", role) for name, role in roles.items()])
    codes = magnitudes.code_order(performance["transformation"].unique())
    rows = []
    for task in tasks.by_level(performance["task"].unique()):
        mine = performance[performance["task"] == task]
        curves: list[dict[str, Any]] = []
        points: list[dict[str, Any]] = []
        for encoder in reversed(roles):
            own = mine[mine["encoder"] == encoder]
            curves += curve_records(headline(own), encoder)
            points += curve_records(trial_rows(own), encoder)
        row = panel_row(
            curves,
            styles,
            title=row_title(task, str(mine["measure"].iloc[0])),
            codes=codes,
            points=points,
            chance=False,
            domain=_domain(mine),
        )
        rows.append(_with_chance(row))
    return style.figure(rows, margin=38, symbol="stroke")


def row_title(task: str, measure: str) -> str:
    """Name a task, its measure and the side on which scores are better.

    Examples
    --------
    >>> row_title("vs", "SDR")
    'Singing-voice separation: SDR, dB (more is better)'
    """
    title = tasks.task(task).title if task in tasks.TASKS else task
    known = tasks.by_measure().get(measure)
    if known is None:
        return f"{title}: {measure} (more is better)"
    return f"{title}: {known.axis} ({known.better} is better)"


def task_series(performance: pd.DataFrame, run: Mapping[str, Any]) -> list[System]:
    """Return every scored encoder and task; a reference is one that the run has without a task."""
    roles = {
        str(row.get("name")): str(row.get("role"))
        for row in run.get("encoders", ())
        if not row.get("task")
    }
    order = tasks.by_level(performance["task"].unique())
    found = [
        one._replace(role=roles.get(one.encoder, "tested")) for one in systems_of({}, performance)
    ]
    found.sort(key=lambda one: order.index(one.task))
    return sorted(found, key=lambda one: one.role != "tested")


def standardised_scores(performance: pd.DataFrame) -> pd.DataFrame:
    """Return task scores and their limits in standard deviations of the task, more being better.

    Mean and deviation are those of the single trials on changed clips; the means over trials and
    the unchanged clips are put on the same scale.

    Parameters
    ----------
    performance : pandas.DataFrame
        The run's task scores.

    Returns
    -------
    pandas.DataFrame
        The same rows; NaN where all scores of a task are equal.
    """
    by_task = of_trials(performance).groupby("task")["value"].agg(["mean", "std"])
    mean = performance["task"].map(by_task["mean"])
    spread = performance["task"].map(by_task["std"])
    spread = spread.where(spread > 0)
    sign = performance["measure"].map(signs())
    scaled = {
        name: (performance[name].astype(float) * sign - mean) / spread
        for name in ("value", "ci_low", "ci_high")
    }
    turned = sign < 0
    return performance.assign(
        value=scaled["value"],
        ci_low=scaled["ci_low"].where(~turned, scaled["ci_high"]),
        ci_high=scaled["ci_high"].where(~turned, scaled["ci_low"]),
        chance=np.nan,
    )


class Standing(NamedTuple):
    """What the top row of figure 12 shows.

    Attributes
    ----------
    rows : pandas.DataFrame
        Standardised scores of changed clips.
    points : list of Point
        The mildest (or most severe) of every transformation and side.
    series : list of System
    levels : list of dict
        ``series`` and ``value``: where the unchanged clips are.
    domain : (float, float)
        The axis.
    """

    rows: pd.DataFrame
    points: list[Point]
    series: list[System]
    levels: list[dict[str, Any]]
    domain: tuple[float, float]


def standing(
    performance: pd.DataFrame,
    run: Mapping[str, Any],
    choose: Callable[[Iterable[tuple[str, float]]], list[Point]],
) -> Standing:
    """Standardise task scores and take those at one end of the grid.

    Parameters
    ----------
    performance : pandas.DataFrame
        The run's task scores.
    run : mapping
        The run's record.
    choose : callable
        `nearkin.transforms.magnitudes.mildest` or `most_severe`.
    """
    performance = _checked(performance)
    rows = standardised_scores(performance)
    series = task_series(performance, run)
    original = rows["transformation"] == ORIGINAL
    unchanged = headline(rows[original])
    levels = [
        {"series": one.label, "value": style.rounded(value)}
        for one in series
        for value in of(unchanged, one)["value"]
        if style.rounded(value) is not None
    ]
    rows = rows[~original]
    pairs = rows[["transformation", "magnitude"]].drop_duplicates()
    points = choose((str(code), float(x)) for code, x in pairs.itertuples(index=False, name=None))
    places = {(point.code, point.magnitude) for point in points}
    pairs_of_rows = zip(rows["transformation"], rows["magnitude"], strict=True)
    rows = rows[np.array([pair in places for pair in pairs_of_rows], bool)]
    ends = rows[["value", "ci_low", "ci_high"]].to_numpy(float)
    shown = [*ends[np.isfinite(ends)].tolist(), *(level["value"] for level in levels)]
    low, high = (min(shown), max(shown)) if shown else (-1.0, 1.0)
    margin = (high - low) / 20 or 0.1
    domain = (round(low - margin, 3), round(high + margin, 3))
    return Standing(rows, points, series, levels, domain)


def write_performance(
    performance: pd.DataFrame, run: Mapping[str, Any], folder: str | Path
) -> list[Path]:
    """Write figure 4 into a folder, as SVG and PDF; return the files."""
    return save(figure_4(performance, run=run), Path(folder) / "figure_4")


def _checked(performance: pd.DataFrame) -> pd.DataFrame:
    """Refuse a table that cannot be drawn; one made by hand may lack intervals and chance."""
    of_trials(performance)
    lacking = [name for name in ("ci_low", "ci_high", "chance") if name not in performance.columns]
    complete = performance.assign(**dict.fromkeys(lacking, np.nan))
    return complete if "n" in complete.columns else complete.assign(n=0)


def _domain(rows: pd.DataFrame) -> tuple[float, float]:
    """Return the axis of one task: 0 to 1 for shares, from 0 for errors, else what there is."""
    measure = str(rows["measure"].iloc[0])
    ends = rows[["value", "ci_low", "ci_high", "chance"]].to_numpy(float)
    ends = ends[np.isfinite(ends)]
    low, high = (float(ends.min()), float(ends.max())) if ends.size else (0.0, 1.0)
    if measure in ("accuracy", "AUC_C"):
        return (0.0 if measure == "accuracy" else min(0.4, math.floor(10 * low) / 10), 1.0)
    margin = (high - low) / 20 or 0.1
    return (0.0 if measure == "MSE" else round(low - margin, 3), round(high + margin, 3))


def _with_chance(row: dict[str, Any]) -> dict[str, Any]:
    """Draw behind the curves what chance scores, which may change with the magnitude."""
    for panel in row["concat"]:
        if not any(record["chance"] is not None for record in panel["data"]["values"]):
            continue
        where = panel["layer"][-1]["encoding"]
        panel["layer"].insert(
            0,
            {
                "mark": {
                    "type": "line",
                    "color": style.INK,
                    "strokeDash": [1, 3],
                    "strokeWidth": 1.2,
                    "clip": True,
                },
                "encoding": {
                    "x": where["x"],
                    "y": where["y"] | {"field": "chance"},
                    "detail": [
                        {"field": "series", "type": "nominal"},
                        {"field": "side", "type": "nominal"},
                    ],
                },
            },
        )
    return row
