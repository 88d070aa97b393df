"""Further sentences of a verdict: identical embeddings, the worst change, C_B_rho.

Tables in, sentences out; every sentence carries its numbers.
"""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from nearkin.results.systems import (
    AUDIO,
    System,
    by_distance,
    distance_name,
    distance_order,
    of,
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


def no_query_made(queries: pd.DataFrame) -> str:
    """Say why no query of a run could be made; "" where one was.

    Parameters
    ----------
    queries : pandas.DataFrame
        The run's table. The unchanged clips do not count: nothing was asked for them.

    Examples
    --------
    >>> rows = [("OG", 0, "ok"), ("PN", None, "no noise"), ("PN", None, "no noise")]
    >>> no_query_made(pd.DataFrame(rows, columns=["transformation", "error", "status"]))
    'no query could be made: no noise'
    """
    changed = queries[queries["transformation"] != ORIGINAL]
    if changed.empty or changed["error"].notna().any():
        return ""
    reasons = changed["status"].value_counts(sort=True)
    more = f" (and {len(reasons) - 1} more reasons)" if len(reasons) > 1 else ""
    return f"no query could be made: {reasons.index[0]}{more}"


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
    """Say which transformation costs most over the whole grid, and which least, by distance."""
    every = mine[(mine["measure"] == "C_W") & (mine["transformation"] != ORIGINAL)]
    parts = []
    for distance in distance_order(every[column]):
        rows = every[every[column] == distance]
        means = rows.groupby("transformation")["value"].mean().dropna()
        if len(means) < 2 or means.min() == means.max():
            continue
        worst, best = str(means.idxmin()), str(means.idxmax())
        parts.append(
            f"under the {distance_name(distance)} distance {magnitudes.axis(worst).title} "
            f"({worst}) costs most, mean C_W {means[worst]:.2f} over its own magnitudes, and "
            f"{magnitudes.axis(best).title} ({best}) least, {means[best]:.2f}"
        )
    if not parts:
        return []
    text = f"Over the whole grid, {'; '.join(parts)}. These means depend on the grid"
    lost = every[every["value"].isna()]["transformation"].value_counts()
    if len(lost):
        told = ", ".join(f"{count} of {code}" for code, count in lost.items())
        text += f" and leave out undefined scores ({told})"
    return [f"{text}."]


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


def _range(values: pd.Series[float]) -> str:
    low, high = f"{values.min():.2f}", f"{values.max():.2f}"
    return low if low == high else f"{low} to {high}"


_NO_ROWS = {
    "monotonicity": "it takes two magnitudes of one kind of change, and the grid has one of each"
}


def undefined(mine: pd.DataFrame, measure: str) -> str:
    """Say why a measure has no value: by the commonest reason that the table gives."""
    rows = mine[mine["measure"] == measure]
    told = rows.loc[rows["value"].isna() & (rows["status"] != "ok"), "status"]
    if len(told):
        reason = str(told.mode().iloc[0])
    else:
        reason = _NO_ROWS.get(measure, "the run has no such rows")
        reason = reason if rows.empty else "no value was computed"
    reason = reason.removeprefix("undefined").lstrip(":;, ")
    return f"Undefined: {reason}." if reason else "Undefined."


def as_float(value: Any) -> float:
    """Return a cell of a table as a number; NaN where there is none."""
    return math.nan if value is None or value is pd.NA else float(value)
