"""C_W where changes are equally audible: at a mean opinion score, or at noticeable differences.

Magnitudes of different transformations cannot be compared (paper, section 6.5); what is heard of
them can, within one scale. For every clip its own margin is taken between the two magnitudes whose
audibility lies around the level; C_W is the share of clips whose margin is above 0 there. Quality
(MOS) and just noticeable differences (JND) are two scales, and never one axis.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nearkin.errors import InputError
from nearkin.results.answers import RunTables, units_of
from nearkin.statistics.intervals import share_limits
from nearkin.tables import AUDIBILITY, AUDIO, OK, ORIGINAL
from nearkin.transforms import magnitudes
from nearkin.transforms.magnitudes import Point

Floats = NDArray[np.float64]

MOS_LEVEL = 4.5
"""Between 5, "imperceptible", and 4, "perceptible but not annoying" (ITU-R BS.1284)."""
JND_LEVEL = 1.0
FEWEST = 2
SCALES = {"MOS": "mos", "JND": "jnd"}
"""The words of requirements, and the columns of perception.parquet."""


def medians(perception: pd.DataFrame) -> pd.DataFrame:
    """Return what the median clip hears at every point: index (transformation, magnitude).

    Returns
    -------
    pandas.DataFrame
        Columns scale, mos, jnd, n (clips heard).
    """
    rows = perception[(perception["status"] == OK) & (perception["transformation"] != ORIGINAL)]
    grouped = rows.groupby(["transformation", "magnitude"], sort=False)
    found = grouped.agg(
        scale=("scale", "first"), mos=("mos", "median"), jnd=("jnd", "median"), n=("mos", "size")
    )
    return found.sort_index()


class _Ladder(NamedTuple):
    """The points of one side of one transformation, from mild to severe, after the original."""

    code: str
    side: str
    scale: str
    magnitudes: tuple[float, ...]
    heard: Floats
    """float64[clip, 1 + point]: audibility growing with severity, from 0 at the original."""


def _ladders(perception: pd.DataFrame, clips: Sequence[str]) -> list[_Ladder]:
    found = []
    for code in magnitudes.code_order(perception["transformation"]):
        mine = perception[perception["transformation"] == code]
        scale = str(mine["scale"].iloc[0])
        if not scale:
            continue
        column = "mos" if scale == "mos" else "jnd"
        wide = mine.where(mine["status"] == OK).pivot_table(
            index="clip_id", columns="magnitude", values=column, dropna=False
        )
        wide = wide.reindex(list(clips))
        for side in dict.fromkeys(magnitudes.side(code, float(m)) for m in wide.columns):
            values = [float(m) for m in wide.columns if magnitudes.side(code, float(m)) == side]
            values.sort(key=lambda m: magnitudes.severity(code, m))
            heard = wide[values].to_numpy(np.float64)
            heard = 5.0 - heard if scale == "mos" else heard
            heard = np.hstack([np.zeros((len(heard), 1)), heard])
            found.append(_Ladder(code, side, scale, tuple(values), heard))
    return found


def at_level(heard: Floats, values: Floats, level: float) -> Floats:
    """Return a value of every clip where its audibility first reaches a level.

    Parameters
    ----------
    heard : float64[clip, point]
        Audibility from mild to severe; NaN where it is not known. It need not grow everywhere: the
        greatest so far counts.
    values : float64[clip, point]
        What is wanted, at the points; linear in audibility between two.
    level : float
        Above the first column's audibility.

    Returns
    -------
    float64[clip]
        NaN where the level is not reached, or a value beside it is not known.

    Examples
    --------
    >>> at_level(np.array([[0.0, 0.2, 0.6]]), np.array([[9.0, 5.0, 1.0]]), 0.5)
    array([2.])
    """
    out = np.full(len(heard), math.nan)
    for clip, (row, mine) in enumerate(zip(heard, values, strict=True)):
        known = np.flatnonzero(~np.isnan(row))
        rising = np.maximum.accumulate(row[known])
        after = int(np.searchsorted(rising, level))
        if not 0 < after < len(known):
            continue
        low, high = rising[after - 1], rising[after]
        share = (level - low) / (high - low)
        before = mine[known[after - 1]]
        out[clip] = before + share * (mine[known[after]] - before)
    return out


def audibility(
    run: RunTables,
    perception: pd.DataFrame,
    *,
    mos: float = MOS_LEVEL,
    jnd: float = JND_LEVEL,
) -> pd.DataFrame:
    """Return C_W of every encoder where the changes of each transformation are equally audible.

    Parameters
    ----------
    run : RunTables
        Record, clips and queries of a run.
    perception : pandas.DataFrame
        Its perception.parquet.
    mos, jnd : float
        The two levels: a mean opinion score between 1 and 5, and a number of just noticeable
        differences.

    Returns
    -------
    pandas.DataFrame
        Columns `nearkin.tables.AUDIBILITY`; a row an encoder, latent distance, transformation and
        side. ``n`` clips reach the level, ``n_beyond`` do not even at the most severe magnitude.
    """
    if not 1.0 < mos < 5.0:
        raise InputError(f"mos={mos:g}: must lie between 1 and 5; 4.5 is hardly heard")
    if not jnd > 0.0:
        raise InputError(f"jnd={jnd:g}: must be > 0; 1 is just noticed")
    clips = sorted(perception["clip_id"].unique())
    units = units_of(run, clips)
    ladders = _ladders(perception, clips)
    latent = run.queries[run.queries["space"] != AUDIO]
    rows = []
    keys = ["encoder", "task", "distance"]
    for (encoder, task, distance), asked in latent.groupby(keys, sort=False, dropna=False):
        trials = [part for _, part in asked.groupby("trial", sort=True)]
        margins = [_margins(part) for part in trials]
        head = {
            "encoder": encoder, "task": task, "trial": 1 if len(trials) == 1 else 0,
            "measure": "C_W", "latent_distance": distance,
        }  # fmt: skip
        for ladder in ladders:
            level = mos if ladder.scale == "mos" else jnd
            rows.append(head | _at(ladder, margins, clips, units, level))
    return pd.DataFrame(rows, columns=list(AUDIBILITY))


def _margins(part: pd.DataFrame) -> Mapping[str, pd.DataFrame]:
    """Return by transformation the margins [clip, magnitude]; -inf where the encoder failed."""
    there = part.assign(margin=part["margin"].where(part["margin"].notna(), -np.inf))
    there = there[there["error"].notna()]
    return {
        str(code): rows.pivot_table(index="clip_id", columns="magnitude", values="margin")
        for code, rows in there.groupby("transformation")
    }


def _at(
    ladder: _Ladder,
    margins: Sequence[Mapping[str, pd.DataFrame]],
    clips: Sequence[str],
    units: NDArray[np.intp],
    level: float,
) -> dict[str, object]:
    """Return the row of one side of one transformation."""
    sought = 5.0 - level if ladder.scale == "mos" else level
    places = np.broadcast_to(_places(ladder), ladder.heard.shape)
    where = at_level(ladder.heard, places, sought)
    answers = []
    for trial in margins:
        own = trial[ORIGINAL].reindex(list(clips)).to_numpy(np.float64)[:, :1]
        moved = trial.get(ladder.code, pd.DataFrame())
        moved = moved.reindex(index=list(clips), columns=list(ladder.magnitudes))
        values = np.hstack([own, moved.to_numpy(np.float64)])
        with np.errstate(invalid="ignore"):  # two lost queries: -inf less -inf
            margin = at_level(ladder.heard, values, sought)
        lost = ~np.isnan(where) & np.isnan(margin)
        answers.append(np.where(np.isnan(where), math.nan, (margin > 0) & ~lost))
    table = np.array(answers)
    n = int(np.sum(~np.isnan(where)))
    asked = int(np.sum(np.isfinite(ladder.heard[:, 1:]).any(axis=1)))
    row: dict[str, object] = {
        "transformation": ladder.code, "side": ladder.side, "scale": ladder.scale, "level": level,
        "magnitude": float(np.nanmedian(where)) if n else math.nan,
        "value": math.nan, "ci_low": math.nan, "ci_high": math.nan, "ci_method": "",
        "n": n, "n_beyond": asked - n, "status": OK,
    }  # fmt: skip
    if n < FEWEST:
        row["status"] = (
            "no clip was heard" if not asked else "the most severe magnitude is not audible enough"
        )
        return row
    alone = len(np.unique(units)) == len(units)
    limits = share_limits(table, None if alone else units)
    row |= {"value": float(np.nanmean(table)), "ci_low": limits.low, "ci_high": limits.high}
    return row | {"ci_method": limits.method, "status": limits.reason or OK}


def _places(ladder: _Ladder) -> Floats:
    """Return the magnitudes, and before them the original's: the mildest, where it has none."""
    identity = magnitudes.axis(ladder.code).identity
    first = ladder.magnitudes[0] if identity is None else identity
    return np.array([first, *ladder.magnitudes])


def heard_of(perception: pd.DataFrame, points: Iterable[Point]) -> list[str]:
    """Say what the median clip hears at points, in words: ``"EN at 30 dB: MOS 3.66"``."""
    table = medians(perception).reset_index()
    found = {
        (str(code), float(magnitude)): (str(scale), float(mos), float(jnd))
        for code, magnitude, scale, mos, jnd in table[
            ["transformation", "magnitude", "scale", "mos", "jnd"]
        ].itertuples(index=False, name=None)
    }
    told = []
    for point in points:
        scale, mos, jnd = found.get((point.code, point.magnitude), ("", math.nan, math.nan))
        name = magnitudes.in_words(point.code, point.magnitude)
        if scale == "mos" and not math.isnan(mos):
            told.append(f"{name}: MOS {mos:.2f}")
        elif scale == "jnd":
            told.append(f"{name}: {jnd:.2g} JND")
    return told
