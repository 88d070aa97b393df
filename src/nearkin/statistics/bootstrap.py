"""Bootstrap over clips: one set of resamples for a whole run, applied to sums instead of samples.

A resample of N clips is a row of counts W[b, :] that sums to N: how often it drew each clip. Every
measure is then a weighted mean, and 1,000 resamples of all clips are one matrix product. Using the
same W for all magnitudes and encoders makes their replicates joint: differences may be taken
replicate by replicate.

Conventions
-----------
``counts``: float32[B, N], B resamples of N clips, clip j being column j of the distance matrices.
Replicates are float64 with resamples on the last axis, NaN where a resample leaves the measure
undefined. C_W and C_B_acc are means over queries: the clip is a row, weighing w. The pooled rho is
a mean over pairs (x, x'), in which a clip is both row and column: the pair weighs w_x w_x' (rows
alone understate the spread by half). Ranks are those of the full sample in every resample.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearkin.consistency import (
    Bools,
    Floats,
    Neighbours,
    agreement_by_chance,
    centred_ranks,
    centred_ranks_of_others,
    checked,
    kappa,
)
from nearkin.errors import InputError

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


class AgreementReplicates(NamedTuple):
    """Replicates of `nearkin.consistency.Agreement`, each float64[B]."""

    accuracy: Floats
    chance: Floats
    kappa: Floats


class PairSums(NamedTuple):
    """Weighted sums over the pairs of one space, each float64[B]."""

    weight: Floats
    mean: Floats
    mean_square: Floats


def resamples(n_clips: int, *, n_resamples: int = 1000, rng: np.random.Generator) -> Counts:
    """Draw resamples of clips, with replacement, as counts.

    Parameters
    ----------
    n_clips : int
        Clips to draw from and to draw, N >= 1.
    n_resamples : int
        Resamples B >= 1.
    rng : numpy.random.Generator
        Source of the draws; the same state gives the same counts on every platform.

    Returns
    -------
    float32[B, N]
        How often each resample drew each clip; every row sums to N. Transposed, resamples of
        trials are what `crossed_replicates` takes.

    Raises
    ------
    InputError
        If a number is below 1.

    Examples
    --------
    >>> counts = resamples(5, n_resamples=3, rng=np.random.default_rng(0))
    >>> counts.shape, counts.sum(axis=1).tolist()
    ((3, 5), [5.0, 5.0, 5.0])
    """
    for name, value in (("n_clips", n_clips), ("n_resamples", n_resamples)):
        if value < 1:
            raise InputError(f"{name}={value}: must be >= 1; pass a larger number")
    drawn = rng.integers(0, n_clips, size=(n_resamples, n_clips))
    drawn += np.arange(n_resamples)[:, None] * n_clips
    counts = np.bincount(drawn.ravel(), minlength=n_resamples * n_clips)
    return counts.reshape(n_resamples, n_clips).astype(np.float32)


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
        total = _weighted_sum(row, counts)
        weight = n_drawn if whole else _weighted_sum(there[k].astype(np.float64), counts)
        means[k] = _quotient(total, weight)
    return means[0] if table.ndim == 1 else means


def agreement_replicates(
    audio: Neighbours, latent: Neighbours, counts: Counts
) -> AgreementReplicates:
    """Resample the agreement of two spaces: accuracy, chance and kappa, jointly.

    Parameters
    ----------
    audio, latent : Neighbours
        What the same queries found in two spaces; query i is clip i of the counts.
    counts : float32[B, N]
        See `resamples`.

    Returns
    -------
    AgreementReplicates
        Over the queries valid in both spaces; kappa is NaN where chance agreement is certain.
    """
    valid = audio.valid & latent.valid
    a, b = ~audio.error, ~latent.error
    columns = np.stack([a == b, a, b]).astype(np.float64)
    columns[:, ~valid] = np.nan
    accuracy, right_a, right_b = mean_replicates(columns, counts)
    chance = agreement_by_chance(right_a, right_b)
    return AgreementReplicates(accuracy, chance, kappa(accuracy, chance))


class RankedSpace:
    """The ranks of one space's pairs (query, other), taken once and shared by every comparison.

    Parameters
    ----------
    d : array_like, shape [n, N]
        Distances from queries to originals.
    own : array_like of int, shape [n], optional
        Column of each query's own original; default: query i belongs to original i.
    rows, columns : bool[n] and bool[N], optional
        Queries and originals to leave out although they are there in this space.

    Attributes
    ----------
    rows : bool[n]
        The queries whose pairs were ranked; the others failed or were left out.
    columns : bool[N]
        The originals, likewise.
    constant : bool
        All distances are equal (or there are none): every correlation is undefined.

    Raises
    ------
    InputError
        See `nearkin.consistency.validate`.

    Notes
    -----
    Holds two matrices of the size of `d`: the centred ranks in float64 (exact), from which the
    value is computed, and the same scaled to unit variance in float32, from which the replicates
    are: unit variance keeps every sum small, and their error below 1e-5 (measured at 1,000 clips,
    with and without ties: 5e-7).
    """

    def __init__(
        self,
        d: ArrayLike,
        own: ArrayLike | None = None,
        *,
        rows: Bools | None = None,
        columns: Bools | None = None,
    ) -> None:
        self._space = space = checked(d, own)
        self.columns: Bools = space.columns if columns is None else space.columns & columns
        kept = space.rows if rows is None else space.rows & rows
        self.rows: Bools = kept & self.columns[space.own]
        self.ranks: Floats = centred_ranks_of_others(space, self.rows, self.columns)
        self.sum_of_squares = float((self.ranks * self.ranks).sum())
        self.constant = self.sum_of_squares == 0.0
        n_pairs = int(self.rows.sum()) * (int(self.columns.sum()) - 1)
        scale = 0.0 if self.constant else float(np.sqrt(n_pairs / self.sum_of_squares))
        self.standardised: NDArray[np.float32] = (self.ranks * scale).astype(np.float32)
        self._sums: tuple[Counts, PairSums] | None = None
        self._restricted: dict[bytes, RankedSpace] = {}

    @property
    def own(self) -> NDArray[np.intp]:
        """Column of each query's own original."""
        return self._space.own

    def restricted(self, rows: Bools, columns: Bools) -> RankedSpace:
        """Return the space ranked anew over some of its pairs; itself if nothing is left out."""
        columns = self.columns & columns
        rows = self.rows & rows & columns[self.own]
        if np.array_equal(rows, self.rows) and np.array_equal(columns, self.columns):
            return self
        key = rows.tobytes() + columns.tobytes()
        if key not in self._restricted:
            self._restricted[key] = RankedSpace(self._space.d, self.own, rows=rows, columns=columns)
        return self._restricted[key]

    def row_weights(self, counts: Counts) -> Counts:
        """Return the weight of every query in every resample: that of its own clip, [B, n]."""
        own = self.own
        if len(own) == counts.shape[1] and np.array_equal(own, np.arange(len(own))):
            return counts
        return counts[:, own]

    def sums(self, counts: Counts) -> PairSums:
        """Return the weighted sums that every correlation of this space needs (kept)."""
        if self._sums is None or self._sums[0] is not counts:
            require_fit(len(self.columns), counts)
            weights = self.row_weights(counts)
            rows = self.rows.astype(np.float64)
            columns = self.columns.astype(np.float64)
            # A query and its own original are no pair.
            same = np.einsum("bi,bi,i->b", weights, counts[:, self.own], rows, dtype=np.float64)
            weight = _weighted_sum(rows, weights) * _weighted_sum(columns, counts) - same
            mean = _quotient(_pair_sum(self.standardised, weights, counts), weight)
            squares = self.standardised * self.standardised
            mean_square = _quotient(_pair_sum(squares, weights, counts), weight)
            self._sums = (counts, PairSums(weight, mean, mean_square))
        return self._sums[1]


def rho(a: RankedSpace, b: RankedSpace) -> float:
    """Spearman's correlation of the distances of two spaces, pooled over all pairs.

    The same number as ``between_space_rho(d_a, d_b)``, from ranks that were taken before. Pairs
    that are missing in one space are left out of both, and what is left is ranked anew.

    Returns
    -------
    float
        In [-1, 1]; NaN where undefined.
    """
    a, b = _common(a, b)
    if a.constant or b.constant:
        return float("nan")
    value = (a.ranks * b.ranks).sum() / np.sqrt(a.sum_of_squares * b.sum_of_squares)
    return float(np.clip(value, -1, 1))


def rho_replicates(a: RankedSpace, b: RankedSpace, counts: Counts) -> Floats:
    """Resample the pooled correlation over clips, which are rows and columns at once.

    Parameters
    ----------
    a, b : RankedSpace
        Two spaces of the same queries and originals.
    counts : float32[B, N]
        See `resamples`. Passing the same array again saves the sums of each space.

    Returns
    -------
    float64[B]
        Weighted Pearson correlation of the full sample's ranks, the pair (x, x') weighing
        w_x w_x'; NaN where undefined. Within 1e-5 of float64. With BLAS held to one thread, the
        same bytes in every process of a machine.

    Raises
    ------
    InputError
        If the shapes do not fit.
    """
    a, b = _common(a, b)
    if a.constant or b.constant:
        return np.full(len(counts), np.nan)
    sums_a, sums_b = a.sums(counts), b.sums(counts)
    product = _pair_sum(a.standardised * b.standardised, a.row_weights(counts), counts)
    covariance = _quotient(product, sums_a.weight) - sums_a.mean * sums_b.mean
    return _correlation(
        covariance,
        sums_a.mean_square - sums_a.mean**2,
        sums_b.mean_square - sums_b.mean**2,
    )


def own_rho_replicates(d_own_a: ArrayLike, d_own_b: ArrayLike, counts: Counts) -> Floats:
    """Resample the correlation of the distances to the own originals (``over="own"``).

    Parameters
    ----------
    d_own_a, d_own_b : array_like, shape [N]
        Distance of every clip's query to its own original, in two spaces; NaN where it failed.
    counts : float32[B, N]
        See `resamples`; a clip is a row only.

    Returns
    -------
    float64[B]
        Weighted Pearson correlation of the full sample's ranks; NaN where undefined.

    Examples
    --------
    >>> counts = np.array([[1, 1, 1], [2, 1, 0], [3, 0, 0]], np.float32)
    >>> own_rho_replicates([1.0, 2.0, 3.0], [1.0, 3.0, 2.0], counts)
    array([0.5, 1. , nan])
    """
    x, y = np.asarray(d_own_a, np.float64), np.asarray(d_own_b, np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise InputError(
            f"own distances of shapes {list(x.shape)} and {list(y.shape)}: must both be [N]; pass "
            "one distance a clip"
        )
    valid = ~(np.isnan(x) | np.isnan(y))
    table = np.full((5, len(x)), np.nan)
    if valid.any():
        a, b = (_unit(centred_ranks(values[valid])) for values in (x, y))
        table[:, valid] = a, b, a * a, b * b, a * b
    mean_a, mean_b, square_a, square_b, product = mean_replicates(table, counts)
    return _correlation(product - mean_a * mean_b, square_a - mean_a**2, square_b - mean_b**2)


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
    return _quotient(total.sum(axis=0), drawn.sum(axis=0))


def _common(a: RankedSpace, b: RankedSpace) -> tuple[RankedSpace, RankedSpace]:
    """Restrict two spaces to the pairs there in both."""
    if a.ranks.shape != b.ranks.shape or not np.array_equal(a.own, b.own):
        raise InputError(
            f"spaces of shapes {list(a.ranks.shape)} and {list(b.ranks.shape)}: must be of the "
            "same queries, originals and own; compute both on the same clips"
        )
    return a.restricted(b.rows, b.columns), b.restricted(a.rows, a.columns)


def _pair_sum(values: NDArray[np.float32], weights: Counts, counts: Counts) -> Floats:
    """Sum w_i w_j values[i, j] over all pairs, for every resample: float64[B]."""
    weighted = weights @ values
    weighted *= counts
    return np.asarray(weighted.sum(axis=1, dtype=np.float64))


def _weighted_sum(values: Floats, counts: Counts) -> Floats:
    return np.asarray(np.einsum("bi,i->b", counts, values, dtype=np.float64))


def _quotient(total: Floats, weight: Floats) -> Floats:
    return np.asarray(np.where(weight > 0, total / np.where(weight > 0, weight, 1.0), np.nan))


def _correlation(covariance: Floats, variance_a: Floats, variance_b: Floats) -> Floats:
    # A resample in which a side is constant has a variance of rounding errors, of either sign.
    varies = (variance_a > 1e-6) & (variance_b > 1e-6)
    scale = np.sqrt(np.where(varies, variance_a * variance_b, 1.0))
    return np.where(varies, np.clip(covariance / scale, -1, 1), np.nan)


def _unit(centred: Floats) -> Floats:
    deviation = np.sqrt(np.mean(centred * centred))
    return centred / deviation if deviation > 0 else centred


def require_fit(n_clips: int, counts: NDArray[Any]) -> None:
    """Refuse counts that are not [B, n_clips]: an `InputError`."""
    if counts.ndim != 2 or counts.shape[1] != n_clips:
        raise InputError(
            f"counts of shape {list(counts.shape)} for {n_clips} clips: must be [B, {n_clips}]; "
            "draw the resamples for these clips"
        )
