"""Distance matrices, checked: what is there of them, and what failed.

Every measure takes its matrices through `checked`; the conventions are those of
`nearkin.consistency`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearkin.errors import InputError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


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


def others_of(space: Checked, rows: Bools, columns: Bools) -> NDArray[Any]:
    """Return the distances from the chosen queries to the chosen others, [rows, columns - 1]."""
    d, own, _, _ = space
    keep = np.ones(d.shape, bool)
    keep[np.arange(len(d)), own] = False
    keep &= rows[:, None] & columns
    return d[keep].reshape(int(rows.sum()), max(int(columns.sum()) - 1, 0))


def both(
    d_audio: ArrayLike, d_latent: ArrayLike, own: ArrayLike | None
) -> tuple[Checked, Checked, Bools, Bools]:
    """Return two checked spaces and the queries and originals there in both."""
    validate(d_audio, d_latent, own=own)
    audio, latent = checked(d_audio, own), checked(d_latent, own)
    columns = audio.columns & latent.columns
    rows = audio.rows & latent.rows & columns[audio.own]
    return audio, latent, rows, columns


def mean(values: NDArray[Any]) -> float:
    """Return the mean, NaN of nothing."""
    return float(values.mean()) if values.size else float("nan")
