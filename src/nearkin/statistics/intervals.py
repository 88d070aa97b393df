"""95 % intervals of a share of clips, and of a mean over trials; from values, not from resamples.

A percentile bootstrap of a share near 1 has no width: of 100 simulated studies of 8 to 50 clips it
held a share of .99 in 9 to 34 instead of 95. A share's interval is therefore the exact binomial one
(Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404), and where clips come in clusters or several
trials are averaged, the same with as many clips as the variance leaves (Korn and Graubard 1998,
"Confidence intervals for proportions with small expected number of positive counts estimated from
survey data"). What these cover, and what other ways do, is simulated in benchmarks/covered.py.

Conventions
-----------
``values``: float64[T, N], T trials of the same N clips, in [0, 1], NaN where a clip is left out.
``clusters``: int[N], clips of one file or group have one number; None where every clip stands for
itself. Fewer than `FEWEST_TRIALS` trials say too little of trials: several, but fewer, have no
interval.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearkin.errors import InputError

Floats = NDArray[np.float64]

TAIL = 0.025
FEWEST_TRIALS = 3
EXACT = "clopper-pearson"
SURVEY = "korn-graubard"
BOUNDED = "beta by variance"
OVER_TRIALS = "t over trials"
BOOTSTRAP = "bootstrap"


_Z = 1.959963984540054
ROUND_OFF = 1e-24
"""Variance, over the range squared, that rounding alone may make."""


class Limits(NamedTuple):
    """An interval, how it was made, and why there is none.

    Attributes
    ----------
    low, high : float
        NaN where there is none.
    method : str
        ``ci_method`` of the tables; empty where there is none.
    reason : str
        Why there is none; empty where there is one.
    """

    low: float
    high: float
    method: str
    reason: str = ""


class Ends(NamedTuple):
    """Numbers and the ends of their intervals, each a number or [K]; NaN where there is none."""

    value: ArrayLike
    low: ArrayLike
    high: ArrayLike


def no_interval(reason: str) -> Limits:
    """Return that there is none."""
    return Limits(float("nan"), float("nan"), "", reason)


def exact_limits(share: float, n: float) -> tuple[float, float]:
    """Return the exact binomial interval of a share of n clips; ``share * n`` need not be whole.

    Examples
    --------
    >>> [round(end, 4) for end in exact_limits(1.0, 50)]
    [0.9289, 1.0]
    """
    from scipy.special import betaincinv

    hits = share * n
    low = 0.0 if share <= 0 else float(betaincinv(hits, n - hits + 1, TAIL))
    high = 1.0 if share >= 1 else float(betaincinv(hits + 1, n - hits, 1 - TAIL))
    return low, high


def share_limits(values: ArrayLike, clusters: ArrayLike | None = None) -> Limits:
    """Return the interval of a mean of values in [0, 1]: C_W, C_W@n, C_B_acc.

    Parameters
    ----------
    values : array_like, shape [N] or [T, N]
        See the conventions above.
    clusters : array_like of int, shape [N], optional

    Returns
    -------
    Limits
        Clopper and Pearson's for one trial of clips that stand for themselves. Otherwise Korn and
        Graubard's: exact for n* clips, n* = p (1 - p) / V (t_{N-1} / t_df)^2, at most N; where V
        is 0 the number of clusters. V adds the trials' variance over T and the clusters' covariance
        from trial to trial, df is Satterthwaite's.

    Raises
    ------
    InputError
        If a value lies outside of [0, 1] or the shapes do not fit.

    Examples
    --------
    >>> low, high, method, _ = share_limits([1.0, 1.0, 1.0, 0.0])
    >>> round(low, 3), round(high, 3), method
    (0.194, 0.994, 'clopper-pearson')
    >>> share_limits([[1.0, 0.0], [1.0, 1.0]]).reason
    '2 trials are too few'
    """
    table = np.atleast_2d(np.asarray(values, np.float64))
    label = np.arange(table.shape[1]) if clusters is None else np.asarray(clusters)
    if table.ndim != 2 or label.shape != table.shape[1:]:
        raise InputError(
            f"values of shape {list(table.shape)} with clusters of shape {list(label.shape)}: must "
            "be [T, N] and [N]; pass a value a trial and clip"
        )
    there = ~np.isnan(table)
    if ((table < 0) | (table > 1)).any():
        raise InputError("a value lies outside of [0, 1]: this interval is for shares only")
    n_there = there.sum(axis=1)
    if not n_there.all():
        return no_interval("no clip is left")
    if 1 < len(table) < FEWEST_TRIALS:
        return no_interval(f"{len(table)} trials are too few")
    n = int(n_there.min())
    means = np.where(there, table, 0.0).sum(axis=1) / n_there
    share = float(means.mean())
    _, place = np.unique(label[there.any(axis=0)], return_inverse=True)
    n_clusters = int(place.max()) + 1
    if len(table) == 1 and n_clusters == n:
        return Limits(*exact_limits(share, n), EXACT)
    # what every cluster adds to every trial's mean
    parts = np.where(there, table - means[:, None], 0.0) / n_there[:, None]
    added = np.zeros((len(table), n_clusters))
    np.add.at(added.T, place, parts[:, there.any(axis=0)].T)
    few = n_clusters < 2
    covariance = np.zeros((len(table), len(table))) if few else _covariance(added)
    variance, df = _with_trials(means, covariance, n_clusters)
    binomial = share * (1 - share)
    effective = float(n_clusters)
    if variance > 0 and binomial > 0:
        narrower = (_t(max(n - 1, 1)) / _t(df)) ** 2
        effective = min(min(binomial / variance, n) * narrower, n)
    return Limits(*exact_limits(share, effective), SURVEY)


def trials_limits(
    values: ArrayLike,
    replicates: ArrayLike,
    n_clusters: int,
    *,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> Limits:
    """Return the interval of a mean over trials: C_B_rho, kappa, monotonicity, a task's score.

    Parameters
    ----------
    values : array_like, shape [T]
        The number in every trial.
    replicates : array_like, shape [T, B]
        The same of the same B resamples of clips (or clusters) in every trial.
    n_clusters : int
        Clips or clusters that were resampled.
    bounds : tuple of float
        The range of the number; the interval is cut there.

    Returns
    -------
    Limits
        The mean and, on both sides, the root of t_{T-1}^2 s^2 / T + t_{N-1}^2 c: s^2 the variance
        of the trials' values, c the mean covariance of two trials' replicates, which is the clips'
        part that no number of trials takes away. (One t with Satterthwaite's degrees of freedom
        covers less where both parts count.)

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> spread = rng.normal(size=500) * 0.02
    >>> low, high, method, _ = trials_limits([0.5, 0.6, 0.55], [spread + 0.5] * 3, 50)
    >>> round(low, 2), round(high, 2), method
    (0.42, 0.68, 't over trials')
    """
    found = np.asarray(values, np.float64)
    spread = np.asarray(replicates, np.float64)
    if found.ndim != 1 or spread.ndim != 2 or len(found) != len(spread):
        raise InputError(
            f"values of shape {list(found.shape)} with replicates of shape {list(spread.shape)}: "
            "must be [T] and [T, B]; pass the replicates of every trial"
        )
    if len(found) < FEWEST_TRIALS:
        return no_interval(f"{len(found)} trials are too few")
    usable = ~np.isnan(spread).any(axis=0)
    if np.isnan(found).any() or usable.mean() < 1 - 2 * TAIL:
        return no_interval("undefined in some trials")
    df_clusters = max(n_clusters - 1, 1)
    covariance = np.cov(spread[:, usable]) * n_clusters / df_clusters
    trials, clips = _parts(found, covariance)
    if trials + clips <= 0:
        return no_interval("all resamples are equal")
    squares = _t(len(found) - 1) ** 2 * trials + _t(df_clusters) ** 2 * clips
    half = float(np.sqrt(squares))
    middle = float(found.mean())
    return Limits(max(middle - half, bounds[0]), min(middle + half, bounds[1]), OVER_TRIALS)


def bounded_limits(
    values: ArrayLike, bounds: tuple[float, float], clusters: ArrayLike | None = None
) -> Limits:
    """Return the interval of a mean of values that lie within bounds: monotonicity of one trial.

    Parameters
    ----------
    values : array_like, shape [N]
        NaN where a clip is left out.
    bounds : tuple of float
        Least and greatest value of a clip.
    clusters : array_like of int, shape [N], optional

    Returns
    -------
    Limits
        The share's interval of Korn and Graubard, of the mean's place p between the bounds: exact
        for n* = p (1 - p) / V (z / t_{N-1})^2 clips, which may be more than there are, because
        such values spread less than right and wrong do. A percentile bootstrap of 8 to 50 clips
        covers .80 to .94 where this covers .94 and more (benchmarks/covered.py).

    Examples
    --------
    >>> low, high, method, _ = bounded_limits([1.0, 0.6, 0.8, 1.0, 0.4, 0.9], (-1.0, 1.0))
    >>> round(low, 2), round(high, 2), method
    (0.39, 0.96, 'beta by variance')
    """
    table = np.asarray(values, np.float64)
    there = ~np.isnan(table)
    label = np.arange(len(table)) if clusters is None else np.asarray(clusters)
    _, place = np.unique(label[there], return_inverse=True)
    n_clusters = int(place.max(initial=-1)) + 1
    if n_clusters < 2:
        return no_interval("fewer than two clips are independent")
    low, high = bounds
    middle = float(table[there].mean())
    added = np.bincount(place, weights=table[there] - middle) / there.sum()
    variance = float(np.squeeze(_covariance(added[None])))
    if variance <= ROUND_OFF * (high - low) ** 2:
        return no_interval("all resamples are equal")
    share = (middle - low) / (high - low)
    spread = variance / (high - low) ** 2
    effective = share * (1 - share) / spread * (_Z / _t(n_clusters - 1)) ** 2
    ends = exact_limits(share, effective)
    return Limits(low + ends[0] * (high - low), low + ends[1] * (high - low), BOUNDED)


def difference_limits(one: Ends, two: Ends) -> tuple[Floats, Floats]:
    """Return the interval of a difference of two numbers that have intervals of their own.

    Zou and Donner 2008 (doi:10.1002/sim.3095) without their term for what both have in common: as
    wide as for two samples, and wider than need be where the same clips move both the same way.

    Parameters
    ----------
    one, two : Ends
        Of both sides.

    Returns
    -------
    low, high : float64[K]
        Of one less two.

    Examples
    --------
    >>> low, high = difference_limits(Ends(0.8, 0.5, 0.9), Ends(0.4, 0.2, 0.8))
    >>> round(float(low), 2), round(float(high), 2)
    (-0.1, 0.62)
    """
    a, a_low, a_high = (np.asarray(part, np.float64) for part in one)
    b, b_low, b_high = (np.asarray(part, np.float64) for part in two)
    down, up = np.hypot(a - a_low, b_high - b), np.hypot(a_high - a, b - b_low)
    return np.asarray(a - b - down), np.asarray(a - b + up)


def _covariance(added: Floats) -> Floats:
    """Return the covariance of the trials' means over draws of clusters, [T, T]."""
    n_clusters = added.shape[1]
    return np.asarray(added @ added.T * (n_clusters / (n_clusters - 1)))


def _with_trials(means: Floats, covariance: Floats, n_clusters: int) -> tuple[float, float]:
    """Return the variance of the mean over trials, and its degrees of freedom."""
    n_trials = len(means)
    df_clusters = max(n_clusters - 1, 1)
    if n_trials == 1:
        return float(np.squeeze(covariance)), float(df_clusters)
    trials, clips = _parts(means, covariance)
    total = trials + clips
    if total <= 0:
        return 0.0, float(df_clusters)
    return total, total**2 / (trials**2 / (n_trials - 1) + clips**2 / df_clusters)


def _parts(means: Floats, covariance: Floats) -> tuple[float, float]:
    """Return the trials' and the clips' part of the variance of the mean over trials."""
    n_trials = len(means)
    shared = (covariance.sum() - np.trace(covariance)) / (n_trials * (n_trials - 1))
    return float(np.var(means, ddof=1)) / n_trials, max(float(shared), 0.0)


def _t(df: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(df, 1 - TAIL))
