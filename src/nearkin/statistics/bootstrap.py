"""Bootstrap over clips: one set of resamples for a whole run, applied to sums instead of samples.

A resample of N clips is a row of counts W[b, :] that sums to N: how often it drew each clip. Every
measure is then a weighted mean, and 1,000 resamples of all clips are one matrix product. Using the
same W for all magnitudes and encoders makes their replicates joint: differences may be taken
replicate by replicate.

Conventions
-----------
``counts``: float32[B, N], B resamples of N clips. Replicates are float64 with resamples on the last
axis, NaN where a resample leaves the measure undefined.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearkin.errors import InputError

Floats = NDArray[np.float64]
Counts = NDArray[np.float32]


class Interval(NamedTuple):
    """A percentile interval, and how many of the replicates it could not use.

    Attributes
    ----------
    low, high : float64[...]
        NaN where fewer than `level` of the replicates are defined.
    n_undefined : int64[...]
        Replicates that are NaN.
    """

    low: Floats
    high: Floats
    n_undefined: NDArray[np.int64]


def resamples(
    n_clips: int,
    *,
    n_resamples: int = 1000,
    rng: np.random.Generator,
    clusters: ArrayLike | None = None,
) -> Counts:
    """Draw resamples of clips, or of clusters of clips, with replacement, as counts.

    Parameters
    ----------
    n_clips : int
        Clips to draw from and to draw, N >= 1.
    n_resamples : int
        Resamples B >= 1.
    rng : numpy.random.Generator
        Source of the draws; the same state gives the same counts on every platform.
    clusters : array_like of int, shape [N], optional
        Clips of one number are drawn together (see `clusters_of`); None draws clip by clip.

    Returns
    -------
    float32[B, N]
        How often each resample drew each clip; without clusters every row sums to N. Transposed,
        resamples of trials are what `crossed_replicates` takes.

    Raises
    ------
    InputError
        If a number is below 1 or the clusters do not fit.

    Examples
    --------
    >>> counts = resamples(5, n_resamples=3, rng=np.random.default_rng(0))
    >>> counts.shape, counts.sum(axis=1).tolist()
    ((3, 5), [5.0, 5.0, 5.0])
    """
    for name, value in (("n_clips", n_clips), ("n_resamples", n_resamples)):
        if value < 1:
            raise InputError(f"{name}={value}: must be >= 1; pass a larger number")
    if clusters is not None:
        label = np.asarray(clusters)
        if label.shape != (n_clips,):
            raise InputError(
                f"clusters of shape {list(label.shape)} for {n_clips} clips: must be [{n_clips}]; "
                "pass one number a clip"
            )
        _, place = np.unique(label, return_inverse=True)
        whole = resamples(int(place.max()) + 1, n_resamples=n_resamples, rng=rng)
        return np.ascontiguousarray(whole[:, place])
    drawn = rng.integers(0, n_clips, size=(n_resamples, n_clips))
    drawn += np.arange(n_resamples)[:, None] * n_clips
    counts = np.bincount(drawn.ravel(), minlength=n_resamples * n_clips)
    return counts.reshape(n_resamples, n_clips).astype(np.float32)


def clusters_of(groups: Sequence[str]) -> NDArray[np.intp] | None:
    """Number the clips' groups in the order they come; None where every clip is one of its own.

    Examples
    --------
    >>> clusters_of(["a", "b", "a"])
    array([0, 1, 0])
    >>> clusters_of(["a", "b", "c"])
    """
    numbers = {name: number for number, name in enumerate(dict.fromkeys(groups))}
    if len(numbers) == len(groups):
        return None
    return np.array([numbers[name] for name in groups], dtype=np.intp)


def percentile_interval(replicates: ArrayLike, *, level: float = 0.95) -> Interval:
    """Take the percentile bootstrap interval along the last axis.

    Parameters
    ----------
    replicates : array_like, shape [..., B]
        Replicates of one or more measures; NaN where undefined.
    level : float
        Coverage asked for, in (0, 1).

    Returns
    -------
    Interval
        Limits from the replicates that are defined. Where fewer than `level` of them are, what is
        missing could be a whole tail: both limits are NaN then. The number of undefined
        replicates is returned in any case.

    Raises
    ------
    InputError
        If `level` is out of range or there are no replicates.

    Examples
    --------
    >>> low, high, n_undefined = percentile_interval(np.arange(101.0), level=0.5)
    >>> float(low), float(high), int(n_undefined)
    (25.0, 75.0, 0)
    """
    if not 0 < level < 1:
        raise InputError(f"level={level}: must be between 0 and 1; pass 0.95 for 95 %")
    values = np.asarray(replicates, np.float64)
    if values.ndim < 1 or values.shape[-1] < 1:
        raise InputError("no replicates: must be at least 1; draw resamples first")
    defined = ~np.isnan(values)
    n_undefined = (~defined).sum(axis=-1, dtype=np.int64)
    usable = n_undefined <= (1 - level) * values.shape[-1] + 1e-9  # 0.05 is not exact
    limits = np.full((2, *usable.shape), np.nan)
    tails = [round((1 - level) / 2, 12), round((1 + level) / 2, 12)]
    complete = n_undefined == 0
    limits[:, complete] = np.quantile(values[complete], tails, axis=-1)
    for at in np.argwhere(usable & ~complete):
        one = tuple(at)
        limits[(slice(None), *one)] = np.quantile(values[one][defined[one]], tails)
    return Interval(limits[0], limits[1], n_undefined)


def mean_replicates(values: ArrayLike, counts: Counts) -> Floats:
    """Resample the mean of a number per clip: C_W, C_W@n, C_B_acc, monotonicity, per-clip rho.

    Parameters
    ----------
    values : array_like, shape [N] or [K, N]
        One value a clip, or K rows of them; NaN where it failed (it is left out of the mean).
    counts : float32[B, N]
        See `resamples`.

    Returns
    -------
    float64[B] or float64[K, B]
        Means; NaN where a resample holds no clip with a value. A row's replicates do not depend
        on which other rows are passed with it.

    Raises
    ------
    InputError
        If the clips of the two do not fit.

    Examples
    --------
    >>> counts = np.array([[2, 0, 0], [0, 1, 1], [0, 0, 2]], np.float32)
    >>> mean_replicates([1.0, 0.5, np.nan], counts)
    array([1. , 0.5, nan])
    """
    table = np.asarray(values, np.float64)
    rows = np.atleast_2d(table)
    require_fit(rows.shape[-1], counts)
    there = ~np.isnan(rows)
    filled = np.where(there, rows, 0.0)
    means = np.empty((len(rows), len(counts)))
    whole = there.all()
    n_drawn = counts.sum(axis=1, dtype=np.float64)
    for k, row in enumerate(filled):
        # Column by column: a batched product would round by the size of its batch.
        total = weighted_sum(row, counts)
        weight = n_drawn if whole else weighted_sum(there[k].astype(np.float64), counts)
        means[k] = quotient(total, weight)
    return means[0] if table.ndim == 1 else means


def median_replicates(values: ArrayLike, counts: Counts) -> Floats:
    """Resample the median of a number per clip; no resample is ever written out.

    Parameters
    ----------
    values : array_like, shape [N] or [K, N]
        One value a clip, or K rows of them; NaN where it failed (it is left out).
    counts : float32[B, N]
        See `resamples`.

    Returns
    -------
    float64[B] or float64[K, B]
        Medians, each clip repeated as often as it was drawn: the mean of the two in the middle
        where their number is even. NaN where a resample holds no clip with a value.

    Raises
    ------
    InputError
        If the clips of the two do not fit.

    Examples
    --------
    >>> counts = np.array([[2, 1, 0], [0, 1, 1], [0, 0, 2]], np.float32)
    >>> median_replicates([1.0, 3.0, np.nan], counts)
    array([ 1.,  3., nan])
    """
    table = np.asarray(values, np.float64)
    rows = np.atleast_2d(table)
    require_fit(rows.shape[-1], counts)
    medians = np.full((len(rows), len(counts)), np.nan)
    for row, target in zip(rows, medians, strict=True):
        there = np.flatnonzero(~np.isnan(row))
        if there.size == 0:
            continue
        order = there[np.argsort(row[there], kind="stable")]
        ordered = row[order]
        upto = np.cumsum(counts[:, order], axis=1, dtype=np.int64)
        drawn = upto[:, -1:]
        lower = np.argmax(2 * upto >= drawn, axis=1)
        upper = np.argmax(2 * upto > drawn, axis=1)
        with np.errstate(invalid="ignore"):  # the middle of -inf and inf is undefined
            found = (ordered[lower] + ordered[upper]) / 2
        target[:] = np.where(drawn[:, 0] > 0, found, np.nan)
    return medians[0] if table.ndim == 1 else medians


def crossed_replicates(per_trial: ArrayLike, trial_counts: ArrayLike) -> Floats:
    """Resample the mean over trials, crossed with the resamples of clips.

    Parameters
    ----------
    per_trial : array_like, shape [T, B]
        Replicates over clips of every trial, all from the same resamples.
    trial_counts : array_like, shape [T, B]
        How often resample b drew trial t: ``resamples(T, n_resamples=B, rng=rng).T``.

    Returns
    -------
    float64[B]
        Mean over the drawn trials; NaN where one that was drawn is NaN.

    Raises
    ------
    InputError
        If the shapes do not fit.

    Examples
    --------
    >>> crossed_replicates([[0.2, 0.4], [0.6, 0.8]], [[1, 2], [1, 0]])
    array([0.4, 0.4])
    """
    values, drawn = np.asarray(per_trial, np.float64), np.asarray(trial_counts, np.float64)
    if values.ndim != 2 or values.shape != drawn.shape:
        raise InputError(
            f"per_trial of shape {list(values.shape)} with trial_counts of shape "
            f"{list(drawn.shape)}: must both be [T, B]; transpose the resamples of trials"
        )
    total = np.where(drawn > 0, values, 0.0) * drawn
    return quotient(total.sum(axis=0), drawn.sum(axis=0))


def weighted_sum(values: Floats, counts: Counts) -> Floats:
    """Sum a number per clip, [N], over the clips of every resample: float64[B]."""
    return np.asarray(np.einsum("bi,i->b", counts, values, dtype=np.float64))


def quotient(total: Floats, weight: Floats) -> Floats:
    """Divide sums by their weights; NaN where there is no weight."""
    return np.asarray(np.where(weight > 0, total / np.where(weight > 0, weight, 1.0), np.nan))


def require_fit(n_clips: int, counts: NDArray[Any]) -> None:
    """Refuse counts that are not [B, n_clips]: an `InputError`."""
    if counts.ndim != 2 or counts.shape[1] != n_clips:
        raise InputError(
            f"counts of shape {list(counts.shape)} for {n_clips} clips: must be [B, {n_clips}]; "
            "draw the resamples for these clips"
        )
