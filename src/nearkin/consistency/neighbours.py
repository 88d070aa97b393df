"""What every query finds around it: rank, error, margin and nearest other.

Paper, section 3.1.1; conventions as in `nearkin.consistency`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearkin.consistency.matrices import Bools, Floats, checked


class Neighbours(NamedTuple):
    """What every query finds around it; missing queries have valid False, rank 0, nearest -1, NaN.

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
        False where the query or its own original is missing.
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

    @classmethod
    def of(
        cls,
        rank: NDArray[np.int64],
        nearest: NDArray[np.int64],
        d_own: Floats,
        d_nearest: Floats,
        n_clips: int,
    ) -> Neighbours:
        """Build from what is stored of every query; the rest follows from it.

        Examples
        --------
        >>> rank, nearest = np.array([1, 2, 0]), np.array([1, 0, -1])
        >>> d_own, d_nearest = np.array([0.1, 0.5, np.nan]), np.array([0.4, 0.2, np.nan])
        >>> found = Neighbours.of(rank, nearest, d_own, d_nearest, n_clips=3)
        >>> found.error.tolist(), found.valid.tolist()
        ([False, True, False], [True, True, False])
        """
        return cls(
            error=rank > 1,
            rank=rank,
            margin=d_nearest - d_own,
            d_own=d_own,
            d_nearest=d_nearest,
            nearest=nearest,
            valid=rank > 0,
            n_clips=n_clips,
        )

    def losing(self, failed: ArrayLike) -> Neighbours:
        """Count the queries that the encoder failed as lost: error 1 and the last rank.

        They have no distance and no nearest other. Nothing changes where there are no two
        originals to compare.

        Examples
        --------
        >>> found = neighbours([[0.1, 1.0], [np.nan, np.nan]]).losing([False, True])
        >>> found.error.tolist(), found.rank.tolist(), found.valid.tolist()
        ([False, True], [1, 2], [True, True])
        """
        lost = np.asarray(failed, bool)
        if not lost.any() or self.n_clips < 2:
            return self
        return Neighbours.of(
            np.where(lost, self.n_clips, self.rank),
            np.where(lost, -1, self.nearest),
            np.where(lost, np.nan, self.d_own),
            np.where(lost, np.nan, self.d_nearest),
            self.n_clips,
        )


class Found:
    """Collects, piece by piece, what n queries found among all originals.

    Parameters
    ----------
    n : int
        Queries; those never put stay missing.
    n_clips : int
        Originals.

    Examples
    --------
    >>> found = Found(2, 2)
    >>> found.put(np.array([1]), neighbours([[0.3, 0.1]], own=[1]))
    >>> found.neighbours().rank.tolist()
    [0, 1]
    """

    def __init__(self, n: int, n_clips: int) -> None:
        self._rank = np.zeros(n, np.int64)
        self._nearest = np.full(n, -1, np.int64)
        self._d_own = np.full(n, np.nan)
        self._d_nearest = np.full(n, np.nan)
        self._n_clips = n_clips

    def put(self, at: NDArray[np.intp], part: Neighbours) -> None:
        """Lay what some queries found in its place."""
        self._rank[at] = part.rank
        self._nearest[at] = part.nearest
        self._d_own[at] = part.d_own
        self._d_nearest[at] = part.d_nearest
        if part.valid.any():
            self._n_clips = min(self._n_clips, part.n_clips)

    def neighbours(self) -> Neighbours:
        """Return all of it."""
        return Neighbours.of(self._rank, self._nearest, self._d_own, self._d_nearest, self._n_clips)


def neighbours(
    d: ArrayLike,
    own: ArrayLike | None = None,
    *,
    failed: ArrayLike | None = None,
    groups: ArrayLike | None = None,
) -> Neighbours:
    """Find for every query its rank, error, margin and nearest other.

    Parameters
    ----------
    d : array_like, shape [n, N]
        Distances from queries to originals.
    own : array_like of int, shape [n], optional
        Column of each query's own original; default: query i belongs to original i.
    failed : array_like of bool, shape [n], optional
        Queries that the encoder failed: lost, if their own original is there.
    groups : array_like of int, shape [N], optional
        Group of every original: others are then those of other groups only.

    Returns
    -------
    Neighbours
        One entry a query; missing where there is no other.

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
    others = matrix.copy()
    others[here, columns_own] = np.inf
    if not columns.all():
        others[:, ~columns] = np.inf
    if groups is not None:
        label = np.asarray(groups)
        others[label[None] == label[columns_own][:, None]] = np.inf
    # NaN never compares: failed queries have no other that is as near.
    rank = 1 + np.count_nonzero(others <= matrix[here, columns_own][:, None], axis=1)
    rank = rank.astype(np.int64)
    nearest = others.argmin(axis=1).astype(np.int64)
    d_nearest = others[here, nearest].astype(np.float64)
    valid = valid & np.isfinite(d_nearest)
    for values in (d_own, d_nearest):
        values[~valid] = np.nan
    nearest[~valid] = -1
    rank[~valid] = 0
    found = Neighbours.of(rank, nearest, d_own, d_nearest, n_clips)
    return (
        found if failed is None else found.losing(np.asarray(failed, bool) & columns[columns_own])
    )
