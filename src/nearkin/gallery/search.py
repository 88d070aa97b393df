"""Which vectors of a gallery lie at least as near as a given distance: exact, and fast.

Products of float32 blocks tell for nearly all pairs on which side of the distance they lie, within
a bound of their rounding error; the few that lie within the bound are decided by the float64
distances that all of nearkin uses (`nearkin.distances`). So the result is that of float64
throughout, ties too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nearkin.distances import cosine, euclidean
from nearkin.distances.checks import call_kernel
from nearkin.distances.latent import unit_rows
from nearkin.errors import InputError

Floats = NDArray[np.float64]
DISTANCES: dict[str, Callable[[ArrayLike, ArrayLike], Floats]] = {
    "cosine": cosine,
    "euclidean": euclidean,
}
_BLOCK = 4096
_QUERIES = 1024
_FAR = 1e15
"""In units of the queries' spread: what lies farther is compared in float64 alone."""


class Nearer(NamedTuple):
    """What a gallery holds around every query.

    Attributes
    ----------
    n_nearer : int64[Q]
        Vectors of the gallery that are at least as near as the query's own original.
    nearest : int64[Q]
        Row of the nearest one, the lowest of those that tie; -1 for a query without an answer.
    d_nearest : float64[Q]
        Its distance; NaN likewise.
    """

    n_nearer: NDArray[np.int64]
    nearest: NDArray[np.int64]
    d_nearest: Floats


def nearer(
    queries: ArrayLike, d_own: ArrayLike, gallery: NDArray[Any], *, distance: str = "cosine"
) -> Nearer:
    """Count the vectors of a gallery that lie at least as near as each query's own original.

    Parameters
    ----------
    queries : array_like of shape (Q, D)
        Embeddings of changed clips; a row with NaN has no answer.
    d_own : array_like of shape (Q,)
        Each query's distance to its own original, by the same distance.
    gallery : array of shape (G, D)
        Any real dtype; it may be memory-mapped, and is read once, block by block.
    distance : str
        ``"cosine"`` or ``"euclidean"``.

    Returns
    -------
    Nearer

    Raises
    ------
    InputError
        If the shapes do not fit, the gallery holds what is not finite, or, for cosine, a vector of
        zeros.
    """
    q, own = np.asarray(queries, np.float64), np.asarray(d_own, np.float64)
    if distance not in DISTANCES:
        raise InputError(f"distance={distance!r}: must be one of {', '.join(DISTANCES)}")
    if q.ndim != 2 or own.shape != (len(q),):
        raise InputError(f"queries {q.shape} and d_own {own.shape}: must be [Q, D] and [Q]")
    if gallery.ndim != 2 or gallery.shape[1] != q.shape[1]:
        raise InputError(
            f"a gallery of shape {gallery.shape}: must be [G, {q.shape[1]}], as the embeddings are"
        )
    count = np.zeros(len(q), np.int64)
    nearest = np.full(len(q), -1, np.int64)
    d_nearest = np.full(len(q), np.nan)
    asked = np.flatnonzero(np.isfinite(q).all(axis=1) & np.isfinite(own))
    if distance == "cosine":
        asked = asked[q[asked].any(axis=1)]
    if len(asked) and len(gallery):
        search = _Search(q[asked], own[asked], distance)
        for start in range(0, len(gallery), _BLOCK):
            search.add(np.asarray(gallery[start : start + _BLOCK], np.float64), start)
        count[asked], nearest[asked], d_nearest[asked] = search.found()
    return Nearer(count, nearest, d_nearest)


class _Search:
    """Goes through a gallery block by block.

    What is compared is a score, a product in float32 that is the higher the nearer: of unit vectors
    for cosine; for Euclidean of vectors less the mean of the queries (which changes no distance,
    and leaves fewer digits to lose), less half the square of the gallery's.
    """

    def __init__(self, queries: Floats, own: Floats, distance: str) -> None:
        self._cosine = distance == "cosine"
        self._queries = unit_rows(queries) if self._cosine else queries
        self._own = own
        self._centre, self._scale = np.zeros(queries.shape[1]), 1.0
        if not self._cosine:
            self._centre = queries.mean(axis=0)
            # a power of two, which is exact: squares shall fit into float32
            self._scale = float(2.0 ** -np.frexp(np.abs(queries - self._centre).max())[1])
        placed = self._placed(self._queries)
        squares = np.einsum("ij,ij->i", placed, placed)
        self._lengths = np.sqrt(squares)
        if self._cosine:
            self._limits = 1.0 - own
        else:
            self._limits = (squares - (self._scale * own) ** 2) / 2
            placed = np.column_stack([placed, np.ones(len(placed))])
        self._single = placed.astype(np.float32)
        self._best = np.full(len(queries), -np.inf)
        self._count = np.zeros(len(queries), np.int64)
        self._nearest = np.full(len(queries), -1, np.int64)
        self._least = np.full(len(queries), np.inf)

    def found(self) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
        """Return counts, nearest rows and their distances."""
        return self._count, self._nearest, self._least

    def add(self, block: Floats, start: int) -> None:
        """Take the next rows of the gallery."""
        from nearkin.distances import kernels

        _require_usable(block, start, "cosine" if self._cosine else "euclidean")
        rows = unit_rows(block) if self._cosine else block
        placed = self._placed(rows)
        squares = np.einsum("ij,ij->i", placed, placed)
        if not self._cosine:
            placed = np.column_stack([placed, -squares / 2])
        single = placed.astype(np.float32).T
        bound = self._bound(float(np.sqrt(squares.max())))
        surely = _above(self._limits + bound)
        perhaps = _below(self._limits - bound)
        close = _below(self._best - bound)
        for first in range(0, len(self._queries), _QUERIES):
            some = slice(first, first + _QUERIES)
            call_kernel(
                kernels.judge_scores, self._single[some] @ single, self._queries[some], rows,
                self._own[some], surely[some], perhaps[some], close[some], bound[some],
                self._cosine, start, self._count[some], self._nearest[some], self._least[some],
                self._best[some],
            )  # fmt: skip

    def _placed(self, rows: Floats) -> Floats:
        if self._cosine:
            return rows
        return np.clip((rows - self._centre) * self._scale, -_FAR, _FAR)

    def _bound(self, longest: float) -> Floats:
        """Return how far a score may lie from the truth, against rows as long as `longest`.

        n products and their sum, in any order, are off by at most n u sum(|a b|), u the unit of
        rounding; a few more u are for the vectors' own rounding. The float64 parts of a score are
        off by their own unit, relative to what was subtracted.
        """
        if longest >= _FAR:
            return np.full(len(self._lengths), np.inf)
        single, double = np.finfo(np.float32), np.finfo(np.float64)
        size = self._queries.shape[1] + 16
        products = self._lengths * longest + (0.0 if self._cosine else longest**2 / 2)
        far = self._lengths + longest
        away = self._scale * float(np.sqrt((self._centre**2).sum())) + far
        bound: Floats = size * (
            float(single.eps) / 2 * products + float(single.tiny) + float(double.eps) * away * far
        )
        return bound


def _above(values: Floats) -> NDArray[np.float32]:
    """Round up to float32."""
    return np.nextafter(values.astype(np.float32), np.float32(np.inf))


def _below(values: Floats) -> NDArray[np.float32]:
    """Round down to float32."""
    return np.nextafter(values.astype(np.float32), np.float32(-np.inf))


def _require_usable(block: Floats, start: int, distance: str) -> None:
    finite = np.isfinite(block).all(axis=1)
    if not finite.all():
        row = start + int(np.flatnonzero(~finite)[0])
        raise InputError(f"row {row} of the gallery holds what is not finite; leave it out")
    there = block.any(axis=1)
    if distance == "cosine" and not there.all():
        row = start + int(np.flatnonzero(~there)[0])
        raise InputError(f"row {row} of the gallery is all zero: no direction; leave it out")
