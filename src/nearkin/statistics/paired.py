"""Is one mean larger than another over the same clips? An interval and a p-value of one method.

Arrays in, numbers out. Rows are trials, columns units: clips, or files or groups of clips that only
come together; the mean over both is what is compared.

Methods
-------
- One trial each: the studentised bootstrap over units, equal tails (Hall 1992, section 3.2; Efron
  and Tibshirani 1993, section 12.5), because differences of scores are skewed where one encoder
  fails on few clips, and Student's t is then wrong by twice its level or more. Where half of the
  units or more do not differ at all, a sparse difference looks skewed by chance: there Student's
  test has to agree, and the interval is the hull of both. It then reaches at least as far as those
  of gains and losses together (Zou and Donner 2008; each exact, for as many units as its variance
  leaves), without taking in a 0 that p leaves out, and no further than if all units that may differ
  in a way (exact, Clopper and Pearson 1934, as many as weights leave) did so by all there is: of
  resamples without any unit that differs the t is infinite, and said nothing of that end.
- Several trials: Student's t on the spread between units and, for each side, between its trials,
  without what both hold of single clips in single trials; Satterthwaite's degrees of freedom. Two
  trials say too little of trials: there is neither interval nor p.
- All differences equal: no spread to judge by. At least ``(alpha / 2) ** (1 / n)`` of all units are
  then like these (exact), the others could differ by anything a score can.
- Fewer than `ENOUGH` units: the interval reaches at least as far as that last one. One encoder may
  fail one clip of ten wholly; 8 units hold no such clip in 43 of 100 draws, and nothing in them
  tells. No test that looks at the spread alone can hold its level then, so that with few units only
  a difference is shown that no rare clip could undo.

Always: no p below ``2 ** (1 - m)``, what an exact test of the m units that differ at all could
reach. A p is at most .05 exactly where the 95 % interval leaves out 0.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from nearkin.statistics.intervals import (
    FEWEST_TRIALS,
    TAIL,
    Ends,
    difference_limits,
    exact_limits,
)
from nearkin.statistics.settling import bounded_interval

Floats = NDArray[np.float64]

STUDENTISED = "studentised bootstrap"
STUDENT = "studentised bootstrap and t"
TRIALS = "t over trials and clips"
EQUAL = "exact, all differences equal"
RARE = "and rare clips unseen"
"""What a method's name ends in where the reach of unseen clips made the interval wider."""
ENOUGH = 30
"""Units of which one in ten is missed in fewer than 5 of 100 draws (.9 ** 29 = .047)."""
ROUND_OFF = 1e-12


class Difference(NamedTuple):
    """A 95 % interval of a difference of means, its two-sided p, and the method of both.

    NaN and an empty method where there is none: with two trials on a side.
    """

    low: float
    high: float
    p: float
    method: str


def paired_difference(
    a: Floats,
    b: Floats,
    counts: Floats,
    *,
    bound: float,
    own: Floats | None = None,
    weights: Floats | None = None,
) -> Difference:
    """Compare two means over the same units.

    Parameters
    ----------
    a, b : float64[T_a, G], float64[T_b, G]
        What every unit adds to the two means, trial by trial, G >= 2.
    counts : float64[B, G]
        How often each of B resamples drew each unit.
    bound : float
        Largest difference there can be.
    own : float64[G], optional
        Every unit's own difference, 0 where its values are equal. By default ``a - b``, which is
        never 0 where units hold unequally many clips, or some are missing: each is then weighed
        against the mean.
    weights : float64[G], optional
        How much of all clips each unit holds, 1 on average; equal by default. A unit of 0, all of
        whose clips are missing, does not count as one.

    Returns
    -------
    Difference
        Of the mean of `a` less that of `b`.

    Examples
    --------
    >>> from nearkin.statistics.bootstrap import resamples
    >>> rng = np.random.default_rng(0)
    >>> a, b = rng.normal(1, 1, (1, 40)), rng.normal(0, 1, (1, 40))
    >>> counts = resamples(40, n_resamples=999, rng=rng).astype(float)
    >>> found = paired_difference(a, b, counts, bound=10.0)
    >>> found.low > 0, found.p < 0.05
    (True, True)
    """
    d = a.mean(axis=0) - b.mean(axis=0)
    n = len(d) if weights is None else int((weights > 0).sum())
    if any(1 < len(side) < FEWEST_TRIALS for side in (a, b)):
        return Difference(math.nan, math.nan, math.nan, "")
    mean = float(d.mean())
    own = d if own is None else own
    differing = int((np.abs(own) > ROUND_OFF).sum())
    sparse = False
    if np.ptp(d) <= ROUND_OFF and len(a) == len(b) == 1:
        found = _unseen(mean, n, bound)
    elif len(a) > 1 or len(b) > 1:
        found = _over_trials(a, b, d)
        if found.low == found.high:
            found = _unseen(mean, n, bound)
    else:
        found = _studentised(d, counts)
        sparse = 2 * differing <= n
        if sparse:
            found = _both(found, _student(mean, float(d.var(ddof=1)) / len(d), n - 1))
    if n < ENOUGH and found.method != EQUAL:
        reach = _unseen(mean, n, bound)
        wider = reach.low < found.low or reach.high > found.high
        method = f"{found.method}, {RARE}" if wider else found.method
        found = _both(found, reach)._replace(method=method)
    least = min(1.0, 2.0 ** (1 - differing)) if differing else 1.0
    low, high = found.low, found.high
    if least > 2 * TAIL:
        low, high = min(low, 0.0), max(high, 0.0)
    if sparse:
        low, high = _of_sparse(low, high, own, np.ones(n) if weights is None else weights, bound)
    return Difference(
        max(low, -bound), min(high, bound), min(1.0, max(found.p, least)), found.method
    )


def _unseen(mean: float, n: int, bound: float) -> Difference:
    """Return how far units that n draws did not show could move a mean: the exact interval."""
    low, high = bounded_interval(mean, -bound, bound, n)
    p = min(1.0, 2 * (bound / (bound + abs(mean))) ** n)
    return Difference(low, high, p, EQUAL)


def _of_sparse(
    low: float, high: float, own: Floats, weights: Floats, bound: float
) -> tuple[float, float]:
    """Return the ends of an interval where most units do not differ; see above."""
    independent = float(weights.sum() ** 2 / (weights**2).sum())
    there = weights > 0
    largest = min(float((np.abs(own[there]) / weights[there]).max()) / bound, 1.0)
    gains, losses = (
        _one_way(np.maximum(sign * own, 0.0) / bound, weights, independent, largest)
        for sign in (1, -1)
    )
    down, up = (bound * float(end) for end in difference_limits(gains, losses))
    left_out = low > 0 or high < 0
    mean = float(own.mean())
    if mean >= 0 or not left_out:
        high = max(high, up)
    if mean <= 0 or not left_out:
        low = min(low, down)
    most = [
        bound * exact_limits(min(float((weights * way).mean()), 1.0), independent)[1]
        for way in (own > ROUND_OFF, own < -ROUND_OFF)
    ]
    return max(low, -most[1]), min(high, most[0])


def _one_way(x: Floats, weights: Floats, independent: float, largest: float) -> Ends:
    """Return the interval of what differs in one way, as a share of all there is.

    Where nothing does, what was not seen is taken to be no larger than what was seen the other way.
    """
    n, share = len(x), float(x.mean())
    if share <= ROUND_OFF:
        return Ends(0.0, 0.0, largest * exact_limits(0.0, independent)[1])
    added = (x - share * weights) / n
    variance = float(added @ added) * n / (n - 1)
    effective = share * (1 - share) / variance if variance > 0 else independent
    return Ends(share, *exact_limits(min(share, 1.0), max(effective, 1.0)))


def _studentised(d: Floats, counts: Floats) -> Difference:
    """Return the equal-tailed interval of the bootstrapped t, and the p that it inverts."""
    n = len(d)
    mean, centred = float(d.mean()), d - d.mean()
    error = math.sqrt(float(centred @ centred) / (n - 1) / n)
    moved = counts @ centred / n
    spread = np.maximum(counts @ centred**2 / n - moved**2, 0) / (n - 1)
    none = spread <= ROUND_OFF * error**2
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(none, np.sign(np.round(moved / error, 9)) * np.inf, moved / np.sqrt(spread))
    t = np.sort(np.where(none & np.isnan(t), 0.0, t))
    seen = mean / error
    tie = 1e-9 * max(1.0, abs(seen))
    below = int(np.searchsorted(t, seen + tie, "right"))
    above = len(t) - int(np.searchsorted(t, seen - tie, "left"))
    p = min(1.0, 2 * (1 + min(below, above)) / (len(t) + 1))
    rank = max(int(TAIL * (len(t) + 1)), 1)
    low, high = (mean - float(end) * error for end in (t[-rank] + tie, t[rank - 1] - tie))
    return Difference(low, high, p, STUDENTISED)


def _student(mean: float, variance: float, df: float) -> Difference:
    error = math.sqrt(variance)
    reach = float(stats.t.ppf(1 - TAIL, df)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, df)) if error else float(mean == 0)
    return Difference(mean - reach, mean + reach, p, STUDENT)


def _both(one: Difference, two: Difference) -> Difference:
    return Difference(min(one.low, two.low), max(one.high, two.high), max(one.p, two.p), two.method)


def _over_trials(a: Floats, b: Floats, d: Floats) -> Difference:
    """Return the t interval of variance between units and, on each side, between trials."""
    n = len(d)
    parts = [(float(d.var(ddof=1)) / n, n - 1)]
    for side in (a, b):
        trials = len(side)
        if trials < 2:
            continue
        by_trial = side.mean(axis=1)
        rest = side - side.mean(axis=0) - (by_trial - by_trial.mean())[:, None]
        interaction = float((rest**2).sum()) / ((trials - 1) * (n - 1))
        between = float(by_trial.var(ddof=1)) - interaction / n
        parts.append((max(between, 0.0) / trials, trials - 1))
    variance = sum(part for part, _ in parts)
    if variance <= ROUND_OFF**2:
        return Difference(float(d.mean()), float(d.mean()), 1.0, TRIALS)
    df = variance**2 / sum(part**2 / freedom for part, freedom in parts)
    return _student(float(d.mean()), variance, df)._replace(method=TRIALS)
