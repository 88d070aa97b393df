"""The one rule of the verdicts: which word a number gets, by where its 95 % interval lies.

A number in, a word out; where the word is "not settled", how many clips would settle it, or why
none would.
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

from nearkin.results.remarks import (
    as_float,
)
from nearkin.statistics import settling
from nearkin.statistics.intervals import EXACT
from nearkin.tables import MEASURES

Word = Literal["holds", "does not hold", "not settled", "undefined"]


class Number(NamedTuple):
    """One number a verdict rests on, with its 95 % interval (NaN where undefined)."""

    what: str
    distance: str
    value: float
    ci_low: float
    ci_high: float
    audio: float = math.nan
    """The audio space's value beside it: the lower of its distances."""
    code: str = ""
    side: str = ""
    word: Word = "undefined"
    clips: int | None = None
    """How many clips would settle it; None where it is settled or no number would do."""
    asked: int = 0
    failed: int = 0
    """Queries asked, and those among them that the encoder failed."""
    reason: str = ""
    """Why there is no interval, where there is none."""


def decide(low: float, high: float, threshold: float) -> Word:
    """Return the word of one number: by where its interval lies.

    Examples
    --------
    >>> decide(0.96, 1.0, 0.95), decide(0.5, 0.7, 0.95), decide(0.929, 1.0, 0.95)
    ('holds', 'does not hold', 'not settled')
    """
    if low >= threshold:
        return "holds"
    return "does not hold" if high < threshold else "not settled"


def judged(number: Number, row: Any, measure: str, threshold: float, n: int) -> Number:
    """Return a number with its word, and how many clips would settle it."""
    asked = int(as_float(row.n)) if math.isfinite(as_float(row.n)) else n
    failed = as_float(getattr(row, "n_failed", 0))
    number = number._replace(asked=asked, failed=int(failed) if math.isfinite(failed) else 0)
    value, low, high = number.value, number.ci_low, number.ci_high
    if not math.isfinite(value):
        return number
    ends = MEASURES[measure].low, MEASURES[measure].high
    if not (math.isfinite(low) and math.isfinite(high)):
        if value not in ends or not asked:
            told = str(row.status).partition("no interval: ")[2].partition(";")[0]
            return number._replace(word="not settled", reason=told or "no interval")
        # Every clip has the same, most extreme value: no bootstrap, but an exact bound.
        low, high = settling.bounded_interval(value, *ends, asked)
        number = number._replace(ci_low=low, ci_high=high)
    word = decide(low, high, threshold)
    if word != "not settled":
        return number._replace(word=word)
    method = str(getattr(row, "ci_method", EXACT))
    if measure == "C_W" and method in (EXACT, "", "nan"):
        clips = settling.clips_for_share(value, threshold)
    elif value in ends:
        clips = settling.clips_for_share(1.0, 1 - (ends[1] - threshold) / (ends[1] - ends[0]))
    else:
        reach = value - low if value > threshold else high - value
        clips = settling.clips_for_mean(value, reach, asked, threshold)
    return number._replace(word=word, clips=clips)
