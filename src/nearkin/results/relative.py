"""Scores of one encoder less those of another, or of an older run: what a relative gate judges.

Tables in, rows out. A difference is that of the consistency tables' values at the same place; its
95 % interval is the paired one of `nearkin.results.comparison`, clip by clip, where the measure is
a mean over clips (C_W, C_W@n, C_B_acc, monotonicity). C_B_rho and kappa are no means of clips:
their interval comes from those of both sides, as if of two samples, and the mean's over places from
the means of its ends; where the same clips move both sides the same way, it is wider than need be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nearkin.errors import InputError
from nearkin.results.answers import (
    Answers,
    Paired,
    Question,
    RunTables,
    SystemOfRun,
    answers_of,
    common_clips,
    units_of,
)
from nearkin.results.comparison import largest_difference
from nearkin.results.requirement import Requirement
from nearkin.seeds import stream
from nearkin.statistics.bootstrap import resamples
from nearkin.statistics.intervals import FEWEST_TRIALS, Ends, difference_limits
from nearkin.statistics.paired import paired_difference
from nearkin.tables import OK

RESAMPLES = 10_000
NO_MEANS = ("C_B_rho", "kappa")
"""Measures that are no mean of a number a clip."""
PLACE = ["transformation", "magnitude", "side"]
QUESTION = ["audio_distance", "latent_distance"]


class Older(NamedTuple):
    """An older run, which a requirement calls "baseline"."""

    tables: RunTables
    consistency: pd.DataFrame


@dataclass(frozen=True)
class Pair:
    """Who is held against whom, clip by clip.

    Attributes
    ----------
    one, two : SystemOfRun
        The left side, and the right.
    """

    one: SystemOfRun
    two: SystemOfRun

    def answers(self, size: int, measure: str) -> Answered:
        """Return both sides' numbers, clip by clip, over the clips they share.

        Raises
        ------
        InputError
            If the two runs are of other grids or clips.
        """
        runs = [self.one.run] if self.one.run is self.two.run else [self.one.run, self.two.run]
        shared, same, _ = common_clips(runs, size or None)
        units = units_of(runs[0], shared)
        count = int(units.max()) + 1
        counts = resamples(count, n_resamples=RESAMPLES, rng=stream(0, "gate", count))
        asked: dict[str, Any] = {"n": size or None, "same_clips": same}
        asked["ladders"] = measure == "monotonicity"
        one, two = (answers_of(side, shared, **asked) for side in (self.one, self.two))
        return Answered(one, two, units, counts.astype(np.float64))


class Answered(NamedTuple):
    """Two sides' numbers by question, which clips come together, and resamples of those."""

    one: dict[Question, Answers]
    two: dict[Question, Answers]
    units: NDArray[np.intp]
    counts: NDArray[np.float64]


def differences(
    required: Requirement, mine: pd.DataFrame, theirs: pd.DataFrame, pair: Pair | None
) -> pd.DataFrame:
    """Return the left side's scores less the right side's.

    Parameters
    ----------
    required : Requirement
        A relative one.
    mine, theirs : pandas.DataFrame
        Rows of consistency tables, of one encoder each.
    pair : Pair or None
        Where the intervals come from; without it there are none.

    Returns
    -------
    pandas.DataFrame
        Rows as `mine`, `value`, `ci_low` and `ci_high` those of the differences; of the mean over
        places one row a question, the interval that of the mean.

    Raises
    ------
    InputError
        If the two sides share no distance or no place.
    """
    answered = None if pair is None else pair.answers(required.size, required.measure)
    asked, known = _by_question(mine), _by_question(theirs)
    if len(asked) == len(known) == 1:  # cosine may be held against euclidean, where both are named
        partners = dict(zip(asked, known, strict=True))
    else:
        partners = {key: key for key in asked if key in known}
    if not partners:
        raise InputError(
            f"requirement '{required}': the sides share no distance; name one on each side, such "
            "as C_W[a,cosine] >= C_W[audio,dtw]"
        )
    found = []
    for key, partner in partners.items():
        rows = _subtracted(asked[key], known[partner])
        if rows.empty:
            raise InputError(
                f"requirement '{required}': the right side has no score at these places; run both "
                "on the same --grid"
            )
        intervals = _Intervals(required.column, key, partner, answered)
        if required.measure in NO_MEANS:
            intervals.take(rows)
        places = [tuple(place) for place in rows[PLACE].itertuples(index=False)]
        if required.reduction == "mean":
            value = float(rows["value"].mean(skipna=False))
            low, high = intervals.over(places)
            one = rows.iloc[[int(np.argmin(rows["value"]))]].assign(mean_of=len(rows))
            counts = {name: rows[name].sum() for name in ("n", "n_failed") if name in rows}
            told = [text for text in rows["status"] if text != OK]
            status = intervals.told(told[0] if told else OK)
            found.append(one.assign(value=value, ci_low=low, ci_high=high, status=status, **counts))
        else:
            ends = [intervals.over([place]) for place in places]
            low, high = zip(*ends, strict=True)  # type: ignore[assignment]
            told = [intervals.told(text) for text in rows["status"]]
            found.append(rows.assign(ci_low=low, ci_high=high, status=told))
    return pd.concat(found, ignore_index=True)


def _by_question(rows: pd.DataFrame) -> dict[tuple[str, str], pd.DataFrame]:
    groups = rows.groupby(QUESTION, sort=False)
    return {(str(key[0]), str(key[1])): part for key, part in groups}  # type: ignore[index]


def _subtracted(mine: pd.DataFrame, theirs: pd.DataFrame) -> pd.DataFrame:
    """Return the places that both have, with the difference as value and both sides' status."""
    right = theirs[[*PLACE, "value", "ci_low", "ci_high", "status"]]
    rows = mine.merge(right, on=PLACE, how="inner", suffixes=("", "_theirs"))
    status = [
        left if other in (OK, left) else other if left == OK else f"{left}; {other}"
        for left, other in zip(rows["status"], rows["status_theirs"], strict=True)
    ]
    ends = [("value", "ci_low", "ci_high"), ("value_theirs", "ci_low_theirs", "ci_high_theirs")]
    one, two = (Ends(*(rows[name].to_numpy(float) for name in side)) for side in ends)
    low, high = difference_limits(one, two)
    rows = rows.assign(
        value=rows["value"] - rows["value_theirs"], ci_low=low, ci_high=high, status=status
    )
    return rows.drop(columns=[*ends[1], "status_theirs"])


class _Intervals:
    """Paired intervals of the mean difference over places."""

    def __init__(
        self, measure: str, mine: tuple[str, ...], theirs: tuple[str, ...], both: Answered | None
    ) -> None:
        self._bound = largest_difference(measure)
        self._paired = None
        self._ends: dict[tuple[Any, ...], tuple[float, float]] = {}
        self._few = False
        if both is None:
            return
        a = both.one.get(Question(measure, *mine))
        b = both.two.get(Question(measure, *theirs))
        if a is None or b is None or int(both.units.max()) < 1:
            return
        self._few = any(1 < len(side.value) < FEWEST_TRIALS for side in (a, b))
        self._paired = Paired(a.value, b.value, both.units)
        self._counts = both.counts
        self._where = {_key(*place): index for index, place in enumerate(a.places)}

    def take(self, rows: pd.DataFrame) -> None:
        """Take the intervals that rows of differences have, by their places."""
        for row in rows[[*PLACE, "ci_low", "ci_high"]].itertuples(index=False):
            self._ends[_key(*row[:3])] = row[3], row[4]

    def told(self, status: str) -> str:
        """Return a status that also says where several trials are too few for an interval."""
        if not self._few:
            return status
        few = "no interval: 2 trials are too few"
        return few if status == OK else f"{status}; {few}"

    def over(self, places: list[tuple[Any, ...]]) -> tuple[float, float]:
        """Return the interval of the mean over places; NaN where there is none."""
        nothing = float("nan"), float("nan")
        if self._ends:
            low, high = np.mean([self._ends[_key(*place)] for place in places], axis=0)
            return float(low), float(high)
        if self._paired is None:
            return nothing
        where = [self._where[_key(*place)] for place in places]
        a, b, own, weights = self._paired.shares(where)
        if np.isnan(a).any() or np.isnan(b).any():
            return nothing
        found = paired_difference(a, b, self._counts, bound=self._bound, own=own, weights=weights)
        return found.low, found.high


def _key(code: str, magnitude: float, side: str) -> tuple[str, float | None, str]:
    """Return a place that can be looked up: of a point its side says nothing new."""
    known = magnitude == magnitude
    return (str(code), float(magnitude), "") if known else (str(code), None, str(side))
