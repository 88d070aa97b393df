"""Distance consistency: a transformed clip and its own original should be nearest neighbours.

Distance matrices in, numbers out: nothing here knows audio or networks, so that every number of a
study can be computed again from saved matrices alone (Kim, Urbano, Liem and Hanjalic 2019, section
3.1, doi:10.3389/fams.2019.00053, "the paper").

Conventions
-----------
``d[i, j]``, float32 or float64, shape [n, N]: distance from query i (a transformed clip) to
original j, in one space. ``own[i]``: column of the query's own original; when it is left out,
d is square and query i belongs to original i. Every original but one's own is an "other".

What failed is NaN and always whole: a row is NaN where the query failed, a column where the
original did (an all-zero vector has no cosine). A measure takes the queries that are there and
whose own original is there; with none left it is undefined, NaN. A measure of two spaces takes
what is there in both.

An error is strict: a query as near to some other as to its own original is an error.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearkin.errors import InputError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Over = Literal["pooled", "clips", "own"]


class Neighbours(NamedTuple):
    """What every query finds around it; failed queries have valid False, rank 0, nearest -1, NaN.

    Attributes
    ----------
    error : bool[n]
        Delta of the paper: some other is at least as near as the own original. Always equal to
        ``rank > 1``.
    rank : int64[n]
        1 + the number of others that are at least as near as the own original.
    margin : float64[n]
        d_nearest - d_own: negative or 0 for errors.
    d_own, d_nearest : float64[n]
        Distance to the own original and to the nearest other.
    nearest : int64[n]
        Column of the nearest other ("the intruder"); the lowest of those that tie.
    valid : bool[n]
        False where the query or its own original failed.
    n_clips : int
        Originals that are there: what chance (``1 / n_clips``) and `within_space_at` need.
    """

    error: Bools
    rank: NDArray[np.int64]
    margin: Floats
    d_own: Floats
    d_nearest: Floats
    nearest: NDArray[np.int64]
    valid: Bools
    n_clips: int


class Agreement(NamedTuple):
    """How far two spaces make the same errors.

    Attributes
    ----------
    accuracy : float
        Share of queries on which both are right or both are wrong, in [0, 1].
    chance : float
        The agreement expected of independent errors, in [0, 1].
    kappa : float
        Cohen's kappa, in [-1, 1]; NaN where chance agreement is certain.
    n : int
        Queries valid in both spaces.
    """

    accuracy: float
    chance: float
    kappa: float
    n: int


class Checked(NamedTuple):
    """A distance matrix with its own columns and what is there of it."""

    d: NDArray[Any]  # float32 or float64, [n, N]
    own: NDArray[np.intp]  # [n]
    rows: Bools  # [n], False where the query or its own original failed
    columns: Bools  # [N], False where the original failed


def validate(*distances: ArrayLike, own: ArrayLike | None = None) -> None:
    """Check distance matrices of the same queries and originals; every measure does so first.

    Parameters
    ----------
    *distances : array_like, shape [n, N]
        One matrix per space.
    own : array_like of int, shape [n], optional
        Column of each query's own original; left out, the matrices must be square.

    Raises
    ------
    InputError
        If a matrix is not two-dimensional and real, holds an infinity or single NaNs, has fewer
        than two originals that are there, or does not fit `own` or the other matrices.

    Examples
    --------
    >>> validate([[0.1, 1.0], [1.0, 0.2]])
    >>> validate([[0.1, 1.0, 2.0], [1.0, 0.2, 3.0]], own=[0, 1])
    """
    first: tuple[int, ...] | None = None
    for d in distances:
        shape = checked(d, own).d.shape
        if first is not None and shape != first:
            raise InputError(
                f"distance matrices of shapes {list(first)} and {list(shape)}: must be of the same "
                "queries and originals; compute both on the same clips"
            )
        first = shape


def checked(d: ArrayLike, own: ArrayLike | None = None) -> Checked:
    """Check one distance matrix and find what is there of it (see `validate`).

    Returns
    -------
    Checked
        The matrix as float32 or float64 (not copied if it is already), `own` filled in, and the
        masks of the queries and originals that can be used.
    """
    matrix = np.asarray(d)
    if matrix.ndim != 2:
        raise InputError(
            f"d has {matrix.ndim} dimension(s): must have 2, queries in rows and originals in "
            "columns; reshape it"
        )
    if matrix.dtype.kind not in "fiub":
        raise InputError(f"d of type {matrix.dtype}: must hold real numbers; convert it to float")
    if matrix.dtype not in (np.float32, np.float64):
        matrix = matrix.astype(np.float64)
    n, n_originals = matrix.shape
    if n < 1 or n_originals < 2:
        raise InputError(
            f"d has {n} quer{'y' if n == 1 else 'ies'} and {n_originals} original(s): at least 1 "
            "and 2 are needed, there must be others to compare with; use more clips"
        )
    columns_own = _own(own, n, n_originals)
    if np.isinf(matrix).any():
        i, j = (int(k) for k in np.argwhere(np.isinf(matrix))[0])
        raise InputError(
            f"d[{i}, {j}] is infinite: distances must be finite, or NaN where a query or an "
            "original failed; set its row or column to NaN"
        )
    missing = np.isnan(matrix)
    if not missing.any():
        return Checked(matrix, columns_own, np.ones(n, bool), np.ones(n_originals, bool))
    rows = ~missing.all(axis=1)
    columns = ~missing[rows].all(axis=0) if rows.any() else np.zeros(n_originals, bool)
    single = missing & rows[:, None] & columns
    if single.any():
        i, j = (int(k) for k in np.argwhere(single)[0])
        raise InputError(
            f"d[{i}, {j}] is NaN, its row and its column are not: a failed query is a row of NaN, "
            "a failed original a column of NaN; set the whole row or column to NaN"
        )
    return Checked(matrix, columns_own, rows & columns[columns_own], columns)


def _own(own: ArrayLike | None, n: int, n_originals: int) -> NDArray[np.intp]:
    if own is None:
        if n != n_originals:
            raise InputError(
                f"d of shape [{n}, {n_originals}] without own: must be square then; pass own, the "
                "column of each query's own original"
            )
        return np.arange(n, dtype=np.intp)
    columns = np.asarray(own)
    if columns.shape != (n,) or columns.dtype.kind not in "iu":
        raise InputError(
            f"own of shape {list(columns.shape)} and type {columns.dtype}: must be {n} integers, "
            "one a query; pass the column of each query's own original"
        )
    outside = (columns < 0) | (columns >= n_originals)
    if outside.any():
        raise InputError(
            f"own={int(columns[outside][0])}: must be in 0..{n_originals - 1}; pass the column of "
            "each query's own original"
        )
    return columns.astype(np.intp)


def neighbours(d: ArrayLike, own: ArrayLike | None = None) -> Neighbours:
    """Find for every query its rank, error, margin and nearest other.

    Parameters
    ----------
    d : array_like, shape [n, N]
        Distances from queries to originals.
    own : array_like of int, shape [n], optional
        Column of each query's own original; default: query i belongs to original i.

    Returns
    -------
    Neighbours
        One entry a query.

    Raises
    ------
    InputError
        See `validate`.

    Examples
    --------
    >>> found = neighbours([[0.1, 1.0], [0.2, 0.2]])
    >>> found.rank.tolist(), found.error.tolist(), found.nearest.tolist()
    ([1, 2], [False, True], [1, 0])
    """
    matrix, columns_own, valid, columns = checked(d, own)
    n_clips = int(columns.sum())
    here = np.arange(len(matrix))
    d_own = matrix[here, columns_own].astype(np.float64)
    # The own column compares equal with itself and stands for the 1 in "1 + others"; NaN never
    # compares, so failed originals do not count and failed queries get 0.
    rank = np.count_nonzero(matrix <= matrix[here, columns_own][:, None], axis=1).astype(np.int64)
    others = matrix.copy()
    others[here, columns_own] = np.inf
    if not columns.all():
        others[:, ~columns] = np.inf
    nearest = others.argmin(axis=1).astype(np.int64)
    d_nearest = others[here, nearest].astype(np.float64)
    valid = valid & (n_clips > 1)
    for values in (d_own, d_nearest):
        values[~valid] = np.nan
    nearest[~valid] = -1
    rank[~valid] = 0
    return Neighbours(
        error=rank > 1,
        rank=rank,
        margin=d_nearest - d_own,
        d_own=d_own,
        d_nearest=d_nearest,
        nearest=nearest,
        valid=valid,
        n_clips=n_clips,
    )


def within_space(d: ArrayLike, own: ArrayLike | None = None) -> float:
    """Within-space consistency C_W: the share of queries nearest to their own original.

    Parameters
    ----------
    d : array_like, shape [n, N]
        Distances from queries to originals, in one space.
    own : array_like of int, shape [n], optional
        Column of each query's own original; default: query i belongs to original i.

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
    found = neighbours(d, own)
    return _mean(~found.error[found.valid])


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
    return _mean(by_clip[~np.isnan(by_clip)])


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


def between_space_rho(
    d_audio: ArrayLike,
    d_latent: ArrayLike,
    own: ArrayLike | None = None,
    *,
    over: Over = "pooled",
) -> float:
    """Between-space consistency C_B_rho: Spearman correlation of the distances in two spaces.

    Parameters
    ----------
    d_audio, d_latent : array_like, shape [n, N]
        Distances from the same queries to the same originals, in two spaces.
    own : array_like of int, shape [n], optional
        Column of each query's own original; default: query i belongs to original i.
    over : {"pooled", "clips", "own"}
        What is correlated: all pairs of a query and an other, in one; the same query by query,
        then the mean over the queries where it is defined; or the distances to the own originals
        (the prose of the paper's section 3.1.2, where its equation leaves the own original out).

    Returns
    -------
    float
        In [-1, 1], ties get average ranks; NaN where undefined (all distances equal in a space).

    Raises
    ------
    InputError
        See `validate`; also for an unknown `over`.

    Examples
    --------
    >>> between_space_rho([[0, 1, 2], [3, 0, 4], [5, 6, 0]], [[0, 1, 3], [4, 0, 5], [7, 9, 0]])
    1.0
    """
    if over not in get_args(Over):
        raise InputError(f"over={over!r}: must be one of {', '.join(get_args(Over))}; pass one")
    if over == "clips":
        by_clip = rho_by_clip(d_audio, d_latent, own)
        return _mean(by_clip[~np.isnan(by_clip)])
    audio, latent, rows, columns = _both(d_audio, d_latent, own)
    if not rows.any():
        return float("nan")
    if over == "own":
        here = np.flatnonzero(rows)
        at = (here, audio.own[here])
        return float(spearman(audio.d[at], latent.d[at]))
    return float(
        spearman(
            others_of(audio, rows, columns).ravel(),
            others_of(latent, rows, columns).ravel(),
        )
    )


def rho_by_clip(d_audio: ArrayLike, d_latent: ArrayLike, own: ArrayLike | None = None) -> Floats:
    """Correlate query by query: the terms of ``between_space_rho(over="clips")``.

    Returns
    -------
    float64[n]
        In [-1, 1]; NaN where a query is not valid in both spaces or its distances are all equal.

    Examples
    --------
    >>> rho_by_clip([[0, 1, 2], [3, 0, 4], [5, 6, 0]], [[0, 1, 3], [5, 0, 4], [7, 7, 0]])
    array([ 1., -1., nan])
    """
    audio, latent, rows, columns = _both(d_audio, d_latent, own)
    rho = np.full(len(rows), np.nan)
    if rows.any():
        rho[rows] = spearman(others_of(audio, rows, columns), others_of(latent, rows, columns))
    return rho


def between_space_accuracy(
    d_audio: ArrayLike, d_latent: ArrayLike, own: ArrayLike | None = None
) -> float:
    """Between-space consistency C_B_acc: the share of queries with the same error in both spaces.

    It rises again where both spaces fail: read it beside `agreement`'s chance and kappa.

    Parameters
    ----------
    d_audio, d_latent : array_like, shape [n, N]
        Distances from the same queries to the same originals, in two spaces.
    own : array_like of int, shape [n], optional
        Column of each query's own original; default: query i belongs to original i.

    Returns
    -------
    float
        In [0, 1]; NaN if no query is valid in both spaces.

    Raises
    ------
    InputError
        See `validate`.

    Examples
    --------
    >>> between_space_accuracy([[0.1, 1.0], [1.0, 0.2]], [[0.1, 1.0], [0.2, 1.0]])
    0.5
    """
    validate(d_audio, d_latent, own=own)
    return agreement(neighbours(d_audio, own), neighbours(d_latent, own)).accuracy


def agreement(audio: Neighbours, latent: Neighbours) -> Agreement:
    """Compare the errors of two spaces, over the queries valid in both.

    Examples
    --------
    >>> both = agreement(neighbours([[0, 1], [1, 0]]), neighbours([[0, 1], [0, 1]]))
    >>> both.accuracy, both.chance, both.kappa
    (0.5, 0.5, 0.0)
    """
    if len(audio.error) != len(latent.error):
        raise InputError(
            f"{len(audio.error)} and {len(latent.error)} queries: must be the same queries; "
            "compute both on the same clips"
        )
    valid = audio.valid & latent.valid
    a, b = ~audio.error[valid], ~latent.error[valid]
    accuracy = _mean(a == b)
    chance = float(agreement_by_chance(_mean(a), _mean(b)))
    return Agreement(accuracy, chance, float(kappa(accuracy, chance)), int(valid.sum()))


def agreement_by_chance(a: ArrayLike, b: ArrayLike) -> Floats:
    """Return the agreement of two spaces that are right independently, a and b of the time.

    Examples
    --------
    >>> float(agreement_by_chance(0.5, 0.75))
    0.5
    """
    right_a, right_b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return np.asarray(right_a * right_b + (1 - right_a) * (1 - right_b))


def kappa(accuracy: ArrayLike, chance: ArrayLike) -> Floats:
    """Cohen's kappa: the agreement beyond chance over what was left to reach; NaN at chance 1.

    Examples
    --------
    >>> float(kappa(0.75, 0.5))
    0.5
    """
    seen, expected = np.asarray(accuracy, np.float64), np.asarray(chance, np.float64)
    left = 1 - expected
    return np.where(left > 0, (seen - expected) / np.where(left > 0, left, 1), np.nan)


def monotonicity(severity: ArrayLike, d_own: ArrayLike) -> Floats:
    """Test assumption (ii) clip by clip: a graver change should move the clip further.

    Parameters
    ----------
    severity : array_like, shape [P]
        Severity of the P magnitudes of one side of one transformation, larger is graver.
    d_own : array_like, shape [n, P]
        Distance of every clip's transformed versions to its own original; NaN where one failed.

    Returns
    -------
    float64[n]
        Spearman correlation over the magnitudes that did not fail, in [-1, 1]; NaN where fewer
        than two of them differ in severity or in distance.

    Raises
    ------
    InputError
        If the shapes do not fit or a value is infinite.

    Examples
    --------
    >>> monotonicity([1, 2, 3], [[0.1, 0.2, 0.3], [0.3, 0.2, 0.1], [0.0, 0.0, 0.0]])
    array([ 1., -1., nan])
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
    there = ~np.isnan(moved)
    for pattern in np.unique(there, axis=0):
        if pattern.sum() < 2:
            continue
        clips = (there == pattern).all(axis=1)
        part = moved[np.ix_(clips, pattern)]
        rho[clips] = spearman(np.broadcast_to(grave[pattern], part.shape), part)
    return rho


def chance_level(n_clips: int) -> float:
    """C_W of a space that knows nothing: one of n_clips originals is as good as another.

    Examples
    --------
    >>> chance_level(1000)
    0.001
    """
    return 1 / n_clips


def spearman(a: ArrayLike, b: ArrayLike) -> Floats:
    """Spearman's rank correlation along the last axis; NaN where a side is constant.

    Examples
    --------
    >>> float(spearman([1, 2, 3], [10, 30, 20]))
    0.5
    """
    x, y = centred_ranks(a), centred_ranks(b)
    scale = np.sqrt((x * x).sum(axis=-1) * (y * y).sum(axis=-1))
    rho = (x * y).sum(axis=-1) / np.where(scale > 0, scale, np.nan)
    # Rounding may carry a perfect correlation a last bit past 1.
    return np.asarray(np.clip(rho, -1, 1))


def centred_ranks(values: ArrayLike) -> Floats:
    """Ranks along the last axis, ties averaged, less their mean: exact multiples of one half.

    Examples
    --------
    >>> centred_ranks([10.0, 30.0, 20.0, 30.0])
    array([-1.5,  1. , -0.5,  1. ])
    """
    array = np.asarray(values)
    length = array.shape[-1]
    if array.size == 0:
        return np.zeros(array.shape)
    rows = array.reshape(-1, length)
    order = rows.argsort(axis=1)
    order += np.arange(len(rows))[:, None] * length
    ranks = np.empty(array.size)
    ranks[order] = _ranks_in_order(rows.ravel()[order])
    return ranks.reshape(array.shape)


def centred_ranks_of_others(space: Checked, rows: Bools, columns: Bools) -> Floats:
    """Rank all pairs of a chosen query and a chosen other in one; 0 where there is no pair.

    Returns
    -------
    float64[n, N]
        The same as `centred_ranks` over the pairs, each where its distance stands.
    """
    d, own, _, _ = space
    n_pairs = int(rows.sum()) * max(int(columns.sum()) - 1, 0)
    # What is no pair sorts behind all that are: cheaper than taking the pairs out and back.
    pairs = d.copy()
    pairs[np.arange(len(d)), own] = np.inf
    pairs[~rows] = np.inf
    pairs[:, ~columns] = np.inf
    flat = pairs.ravel()
    order = flat.argsort()[:n_pairs]
    ranks = np.zeros(d.size)
    if n_pairs:
        ranks[order] = _ranks_in_order(flat[order][None])[0]
    return ranks.reshape(d.shape)


def _ranks_in_order(ascending: NDArray[Any]) -> Floats:
    """Rank rows that are sorted: ties averaged, the mean rank subtracted."""
    length = ascending.shape[1]
    first = np.ones(ascending.shape, bool)
    np.not_equal(ascending[:, 1:], ascending[:, :-1], out=first[:, 1:])
    middle = (length - 1) / 2
    if first.all():
        return np.broadcast_to(np.arange(length) - middle, ascending.shape)
    starts = np.flatnonzero(first)
    counts = np.diff(starts, append=ascending.size)
    ranks = starts % length + (counts - 1) / 2 - middle
    return np.repeat(ranks, counts).reshape(ascending.shape)


def others_of(space: Checked, rows: Bools, columns: Bools) -> NDArray[Any]:
    """Return the distances from the chosen queries to the chosen others, [rows, columns - 1]."""
    d, own, _, _ = space
    keep = np.ones(d.shape, bool)
    keep[np.arange(len(d)), own] = False
    keep &= rows[:, None] & columns
    return d[keep].reshape(int(rows.sum()), max(int(columns.sum()) - 1, 0))


def _both(
    d_audio: ArrayLike, d_latent: ArrayLike, own: ArrayLike | None
) -> tuple[Checked, Checked, Bools, Bools]:
    """Two checked spaces and the queries and originals there in both."""
    validate(d_audio, d_latent, own=own)
    audio, latent = checked(d_audio, own), checked(d_latent, own)
    columns = audio.columns & latent.columns
    rows = audio.rows & latent.rows & columns[audio.own]
    return audio, latent, rows, columns


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if values.size else float("nan")
