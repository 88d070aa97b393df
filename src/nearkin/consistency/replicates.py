"""The measures resampled over clips, from the counts of `nearkin.statistics.bootstrap`.

Conventions
-----------
``counts``: float32[B, N], B resamples of N clips, clip j being column j of the distance matrices.
C_W and C_B_acc are means over queries: the clip is a row, weighing w. The pooled rho is a mean over
pairs (x, x'), in which a clip is both row and column: the pair weighs w_x w_x' (rows alone
understate the spread by half). Ranks are those of the full sample in every resample. Replicates are
float64[B], NaN where a resample leaves the measure undefined.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearkin.consistency.between import agreement_by_chance, kappa
from nearkin.consistency.matrices import Bools, Floats, checked
from nearkin.consistency.neighbours import Neighbours
from nearkin.consistency.ranks import centred_ranks, centred_ranks_of_others
from nearkin.errors import InputError
from nearkin.statistics.bootstrap import (
    Counts,
    mean_replicates,
    quotient,
    require_fit,
    weighted_sum,
)


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
            weight = weighted_sum(rows, weights) * weighted_sum(columns, counts) - same
            mean = quotient(_pair_sum(self.standardised, weights, counts), weight)
            squares = self.standardised * self.standardised
            mean_square = quotient(_pair_sum(squares, weights, counts), weight)
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
    covariance = quotient(product, sums_a.weight) - sums_a.mean * sums_b.mean
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


def _correlation(covariance: Floats, variance_a: Floats, variance_b: Floats) -> Floats:
    # A resample in which a side is constant has a variance of rounding errors, of either sign.
    varies = (variance_a > 1e-6) & (variance_b > 1e-6)
    scale = np.sqrt(np.where(varies, variance_a * variance_b, 1.0))
    return np.where(varies, np.clip(covariance / scale, -1, 1), np.nan)


def _unit(centred: Floats) -> Floats:
    deviation = np.sqrt(np.mean(centred * centred))
    return centred / deviation if deviation > 0 else centred
