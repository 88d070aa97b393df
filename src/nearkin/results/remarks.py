"""Further sentences of a verdict: identical embeddings, the worst change, C_B_rho, RQ2.

Tables in, sentences out; every sentence carries its numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from nearkin.results.systems import (
    AUDIO,
    System,
    at_point,
    by_distance,
    distance_name,
    headline,
    mildest_points,
    of,
    systems_of,
)
from nearkin.transforms import magnitudes
from nearkin.transforms.magnitudes import ORIGINAL


def failed_queries(mine: pd.DataFrame, column: str) -> list[str]:
    """Say how many queries an encoder failed, and where most; each counts as lost."""
    if "n_failed" not in mine.columns:
        return []
    rows = mine[(mine["measure"] == "C_W") & mine["n_failed"].notna() & (mine["n_failed"] > 0)]
    if rows.empty:
        return []
    every = mine[mine["measure"] == "C_W"]
    lost = rows.groupby(column, sort=False)["n_failed"].sum()
    distance = str(lost.idxmax())
    asked = int(every.loc[every[column] == distance, "n"].sum())
    rows = rows[rows[column] == distance]
    most = rows.iloc[int(rows["n_failed"].to_numpy().argmax())]
    where = magnitudes.in_words(str(most["transformation"]), float(most["magnitude"]))
    return [
        f"{int(lost[distance])} of {asked} queries failed; each counts as lost. Most: {where}, "
        f"{int(most['n_failed'])} of {int(most['n'])}."
    ]


def identical_embeddings(
    mine: pd.DataFrame, queries: pd.DataFrame, system: System, column: str
) -> list[str]:
    """Say how many unchanged clips tie with another one."""
    originals = mine[(mine["measure"] == "C_W") & (mine["transformation"] == ORIGINAL)]
    notes = []
    for row in by_distance(originals, column).itertuples(index=False):
        value = as_float(row.value)
        if not value < 1:
            continue
        asked = queries[
            (queries["encoder"] == system.encoder)
            & (queries["task"].fillna("") == system.task)
            & (queries["transformation"] == ORIGINAL)
            & (queries["distance"] == getattr(row, column))
        ]
        tied = asked.loc[asked["error"].fillna(0).astype(int) == 1, "clip_id"].nunique()
        what = "sequence of features" if system.encoder == AUDIO else "embedding"
        if getattr(row, column) == "cosine":
            what += " (or its direction)"
        count = f"{tied} clips share" if tied != 1 else "1 clip shares"
        notes.append(
            f"C_W of the unchanged clips is {value:.3f}, not 1, under the "
            f"{distance_name(str(getattr(row, column)))} distance: {count} their {what} with "
            "another clip."
        )
    return notes


def most_costly(mine: pd.DataFrame, column: str) -> list[str]:
    """Say which transformation costs most over the whole grid, and which least."""
    rows = mine[
        (mine["measure"] == "C_W") & (mine["transformation"] != ORIGINAL) & mine["value"].notna()
    ]
    if rows.empty:
        return []
    means = rows.groupby("transformation")["value"].mean()
    worst, best = str(means.idxmin()), str(means.idxmax())
    if worst == best or means[worst] == means[best]:
        return []
    return [
        f"Over the whole grid {magnitudes.axis(worst).title} ({worst}) costs most, mean C_W "
        f"{means[worst]:.2f} over its own magnitudes; {magnitudes.axis(best).title} ({best}) "
        f"costs least, {means[best]:.2f}. These means depend on the grid."
    ]


def correlation_with_audio(mine: pd.DataFrame) -> list[str]:
    """Say how far the latent distances follow the audio space's: the range of C_B_rho."""
    rho = mine[mine["measure"] == "C_B_rho"]
    if rho.empty:
        return []
    still = rho[rho["transformation"] == ORIGINAL]["value"].dropna()
    moved = rho[rho["transformation"] != ORIGINAL]["value"].dropna()
    if still.empty and moved.empty:
        return [f"C_B_rho: {undefined(mine, 'C_B_rho')}"]
    parts = []
    if len(still):
        parts.append(f"{_range(still)} on the unchanged clips")
    if len(moved):
        parts.append(f"{_range(moved)} under transformation")
    pairs = len(rho[["audio_distance", "latent_distance"]].drop_duplicates())
    over = f", over {pairs} pairs of distances" if pairs > 1 else ""
    return [
        f"Rank correlation with the audio space's distances (C_B_rho): {', '.join(parts)}{over}."
    ]


def over_trials(consistency: pd.DataFrame, system: System) -> list[str]:
    """Say that numbers are means over trials, where there are several."""
    trials = of(consistency, system)["trial"]
    several = trials[trials > 0].nunique()
    if several < 2:
        return []
    return [f"All numbers are means over {several} trials, intervals resample trials and clips."]


def on_tasks(consistency: pd.DataFrame, run: Mapping[str, Any]) -> str:
    """Return a sentence on RQ2, how far consistency depends on the task, or ``""``.

    Needs two tasks or more among the encoders; the tasks' C_W intervals are set side by side at the
    mildest changes. Encoders that differ in more than their task are said to.
    """
    tasked = [one for one in systems_of(run, consistency) if one.task]
    if len({one.task for one in tasked}) < 2:
        return ""
    points = mildest_points(consistency)
    within = consistency[consistency["measure"] == "C_W"]
    means: dict[System, float] = {}
    for one in tasked:
        rows = headline(of(within, one))
        values = pd.concat([at_point(rows, point)["value"] for point in points] or [rows["value"]])
        means[one] = float(values.mean())
    ranked = sorted(
        (one for one in tasked if math.isfinite(means[one])), key=lambda one: -means[one]
    )
    if len(ranked) < 2:
        return ""
    best, worst = ranked[0], ranked[-1]
    apart = total = 0
    for point in points:
        high = at_point(headline(of(within, best)), point).set_index("latent_distance")
        low = at_point(headline(of(within, worst)), point).set_index("latent_distance")
        for distance in high.index.intersection(low.index):
            total += 1
            apart += int(high.loc[distance, "ci_low"] > low.loc[distance, "ci_high"])
    order = ", ".join(f"{one.label} {means[one]:.2f}" for one in ranked)
    text = (
        f"By task, mean C_W over the mildest changes and distances: {order}. The intervals of the "
        f"first and the last do not overlap in {apart} of {total} cases"
    )
    if total and apart > total / 2:
        text += ": on these clips consistency differs between the tasks."
    elif apart:
        text += ": on these clips it differs between the tasks for some changes only."
    else:
        text += ": on these clips no difference between the tasks is shown."
    if len({one.encoder for one in tasked}) > 1:
        text += " These encoders differ in more than their task, so the task need not be the cause."
    return text


def _range(values: pd.Series[float]) -> str:
    low, high = f"{values.min():.2f}", f"{values.max():.2f}"
    return low if low == high else f"{low} to {high}"


def undefined(mine: pd.DataFrame, measure: str) -> str:
    """Say why a measure has no value: by the commonest reason that the table gives."""
    rows = mine[mine["measure"] == measure]
    told = rows.loc[rows["value"].isna() & (rows["status"] != "ok"), "status"]
    if len(told):
        reason = str(told.mode().iloc[0])
    else:
        reason = "the run has no such rows" if rows.empty else "no value was computed"
    reason = reason.removeprefix("undefined").lstrip(":;, ")
    return f"Undefined: {reason}." if reason else "Undefined."


def as_float(value: Any) -> float:
    """Return a cell of a table as a number; NaN where there is none."""
    return math.nan if value is None or value is pd.NA else float(value)
