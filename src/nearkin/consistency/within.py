"""Within one space: C_W, C_W in a smaller collection, and monotonicity.

C_W is the paper's section 3.1.1; monotonicity tests its assumption (ii).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from nearkin.consistency.matrices import Bools, Floats, mean
from nearkin.consistency.neighbours import neighbours
from nearkin.consistency.ranks import spearman
from nearkin.errors import InputError


def within_space(
    d: ArrayLike, own: ArrayLike | None = None, *, failed: ArrayLike | None = None
) -> float:
    """Within-space consistency C_W: the share of queries nearest to their own original.

    Parameters
    ----------
    d : array_like, shape [n, N]
        Distances from queries to originals, in one space.
    own : array_like of int, shape [n], optional
        Column of each query's own original; default: query i belongs to original i.
    failed : array_like of bool, shape [n], optional
        Queries that the encoder failed: they count as lost.

    Returns
    -------
    float
        In [0, 1]; chance gives 1/N, and it falls as the collection grows (`within_space_at`).
        NaN if no query is valid.

    Raises
    ------
    InputError
        See `validate`.

    Notes
    -----
    The paper's section 3.1.1: 1 minus the mean of delta, where delta is 0 if
    d(p_tau, p) < d(p_tau, p') for all p' != p and 1 otherwise.

    Examples
    --------
    >>> within_space([[0.1, 1.0, 2.0], [1.0, 0.2, 0.1], [2.0, 1.0, 0.3]])
    0.6666666666666666
    """
    found = neighbours(d, own, failed=failed)
    return mean(~found.error[found.valid])


def within_space_at(rank: ArrayLike, *, n: int, n_clips: int) -> float:
    """C_W as it would be in a collection of n clips drawn from the n_clips there are.

    Parameters
    ----------
    rank : array_like of int
        Ranks of the queries, 1..n_clips; 0 marks a failed query and is left out.
    n : int
        Size of the collection asked for, 2..n_clips.
    n_clips : int
        Size of the collection the ranks were found in.

    Returns
    -------
    float
        In [0, 1]; chance gives 1/n. NaN if no query is valid.

    Raises
    ------
    InputError
        If n or a rank is out of range.

    Examples
    --------
    >>> within_space_at([1, 2, 3], n=2, n_clips=3)
    0.5
    """
    by_clip = within_space_at_by_clip(rank, n=n, n_clips=n_clips)
    return mean(by_clip[~np.isnan(by_clip)])


def within_space_at_by_clip(rank: ArrayLike, *, n: int, n_clips: int) -> Floats:
    """Return the terms of `within_space_at`: the chance that a query is right among n clips.

    Returns
    -------
    float64, shape of `rank`
        binom(N - r, n - 1) / binom(N - 1, n - 1): the share of all collections of n clips that
        hold the own original and none of the r - 1 others as near; NaN where rank is 0.

    Examples
    --------
    >>> within_space_at_by_clip([1, 2, 3, 0], n=2, n_clips=3)
    array([1. , 0.5, 0. , nan])
    """
    if not 2 <= n <= n_clips:
        raise InputError(
            f"n={n}: must be in 2..{n_clips}, the clips there are; ask for a smaller collection"
        )
    ranks = np.asarray(rank)
    if ranks.dtype.kind not in "iu" and ranks.size:
        raise InputError(
            f"rank of type {ranks.dtype}: must hold integers; drop failed queries or give them 0"
        )
    ranks = ranks.astype(np.int64)
    if ranks.size and not 0 <= ranks.min() <= ranks.max() <= n_clips:
        wrong = ranks[(ranks < 0) | (ranks > n_clips)].flat[0]
        raise InputError(
            f"rank={wrong}: must be in 1..{n_clips}, or 0 for a failed query; pass the n_clips the "
            "ranks were found in"
        )
    # The quotient of binomials as a running product over the others that are in the way: exact at
    # both ends, and nothing overflows.
    k = np.arange(1, n_clips, dtype=np.float64)
    table = np.cumprod(np.concatenate([[1.0], np.maximum(n_clips - n - k + 1, 0) / (n_clips - k)]))
    return np.where(ranks > 0, table[np.maximum(ranks, 1) - 1], np.nan)


def monotonicity(
    severity: ArrayLike, d_own: ArrayLike, *, failed: ArrayLike | None = None
) -> Floats:
    """Test assumption (ii) clip by clip: a more severe change should move the clip further.

    Parameters
    ----------
    severity : array_like, shape [P]
        Severity of the P magnitudes of one side of one transformation, larger is more severe.
    d_own : array_like, shape [n, P]
        Distance of every clip's transformed versions to its own original; NaN where it is missing.
    failed : array_like of bool, shape [n, P], optional
        Queries that the encoder failed. They did not grow: each counts as far away as the
        clip's next query that is there and not more severe (0, the original itself, if there is
        none).

    Returns
    -------
    float64[n]
        Spearman correlation over the magnitudes that are not missing, in [-1, 1]; NaN where fewer
        than two of them differ in severity or in distance; 0 where a clip with failed queries
        never grows.

    Raises
    ------
    InputError
        If the shapes do not fit or a value is infinite.

    Examples
    --------
    >>> monotonicity([1, 2, 3], [[0.1, 0.2, 0.3], [0.3, 0.2, 0.1], [0.0, 0.0, 0.0]])
    array([ 1., -1., nan])
    >>> monotonicity([1, 2], [[0.1, np.nan]], failed=[[False, True]])
    array([0.])
    """
    grave = np.asarray(severity, np.float64)
    moved = np.asarray(d_own, np.float64)
    if grave.ndim != 1 or moved.ndim != 2 or moved.shape[1] != len(grave):
        raise InputError(
            f"severity of shape {list(grave.shape)} with d_own of shape {list(moved.shape)}: must "
            "be [P] and [n, P]; pass one column of d_own a magnitude"
        )
    if not np.isfinite(grave).all() or np.isinf(moved).any():
        raise InputError(
            "severity or d_own is infinite or a severity is NaN: must be finite, only distances "
            "may be NaN; give failed queries NaN"
        )
    rho = np.full(len(moved), np.nan)
    lost = np.zeros(moved.shape, bool) if failed is None else np.asarray(failed, bool)
    if lost.any():
        moved = _without_growth(grave, moved, lost)
    there = ~np.isnan(moved)
    for pattern in np.unique(there, axis=0):
        if pattern.sum() < 2:
            continue
        clips = (there == pattern).all(axis=1)
        part = moved[np.ix_(clips, pattern)]
        rho[clips] = spearman(np.broadcast_to(grave[pattern], part.shape), part)
    rho[np.isnan(rho) & lost.any(axis=1) & (there.sum(axis=1) > 1)] = 0.0
    return rho


def _without_growth(severity: Floats, d_own: Floats, lost: Bools) -> Floats:
    """Put failed queries where the next query of their clip is that is not more severe."""
    filled = d_own.copy()
    reached = np.zeros(len(d_own))
    for column in np.argsort(severity, kind="stable"):
        filled[lost[:, column], column] = reached[lost[:, column]]
        reached = np.where(np.isnan(filled[:, column]), reached, filled[:, column])
    return filled
