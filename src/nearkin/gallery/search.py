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
from nearkin.errors import InputError

Floats = NDArray[np.float64]
DISTANCES: dict[str, Callable[[ArrayLike, ArrayLike], Floats]] = {
    "cosine": cosine,
    "euclidean": euclidean,
}
_BLOCK = 4096
_QUERIES = 1024


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
        self._queries, self._own, self._distance = queries, own, distance
        self._centre = np.zeros(queries.shape[1]) if distance == "cosine" else queries.mean(axis=0)
        placed = self._placed(queries)
        squares = (placed**2).sum(axis=1)
        self._lengths = np.sqrt(squares)
        if distance == "cosine":
            self._limits = 1.0 - own
        else:
            self._limits = (squares - own**2) / 2
            placed = np.column_stack([placed, np.ones(len(placed))])
        self._single = placed.astype(np.float32)
        # rounding of D products and their sum, of the vectors to float32, and some to spare
        self._relative = (queries.shape[1] + 16) * float(np.finfo(np.float32).eps)
        self._best = np.full(len(queries), -np.inf)
        self._count = np.zeros(len(queries), np.int64)
        self._nearest = np.full(len(queries), -1, np.int64)
        self._d = np.full(len(queries), np.inf)

    def found(self) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
        """Return counts, nearest rows and their distances."""
        return self._count, self._nearest, self._d

    def add(self, block: Floats, start: int) -> None:
        """Take the next rows of the gallery."""
        _require_usable(block, start, self._distance)
        placed = self._placed(block)
        squares = (placed**2).sum(axis=1)
        longest = float(np.sqrt(squares.max()))
        if self._distance == "euclidean":
            placed = np.column_stack([placed, -squares / 2])
        single = np.ascontiguousarray(placed.astype(np.float32).T)
        for first in range(0, len(self._queries), _QUERIES):
            some = slice(first, first + _QUERIES)
            scores = self._single[some] @ single
            self._judge(scores, self._relative * (self._lengths[some] + longest) ** 2,
                        first, start, block)  # fmt: skip

    def _placed(self, vectors: Floats) -> Floats:
        if self._distance == "euclidean":
            placed: Floats = vectors - self._centre
            return placed
        scaled = vectors / np.abs(vectors).max(axis=1, keepdims=True)
        unit: Floats = scaled / np.sqrt((scaled**2).sum(axis=1, keepdims=True))
        return unit

    def _judge(
        self, scores: NDArray[np.float32], bound: Floats, first: int, start: int, block: Floats
    ) -> None:
        """Count what surely is near, decide what is not sure, and keep the nearest."""
        rows = slice(first, first + len(scores))
        limit = self._limits[rows]
        surely = _above(limit + bound)
        perhaps = _below(limit - bound)
        n_surely = (scores > surely[:, None]).sum(axis=1)
        n_perhaps = (scores >= perhaps[:, None]).sum(axis=1)
        self._count[rows] += n_surely
        for place in np.flatnonzero(n_perhaps > n_surely):
            mine = scores[place]
            columns = np.flatnonzero((mine >= perhaps[place]) & (mine <= surely[place]))
            exact = self._exact(first + int(place), block[columns])
            self._count[first + place] += int((exact <= self._own[first + place]).sum())
        highest = scores.max(axis=1).astype(np.float64)
        for place in np.flatnonzero(highest + bound >= self._best[rows] - bound):
            columns = np.flatnonzero(scores[place] >= highest[place] - 2 * bound[place])
            exact = self._exact(first + int(place), block[columns])
            lowest = int(exact.argmin())
            if exact[lowest] < self._d[first + place]:  # of those that tie the first row stays
                self._d[first + place] = exact[lowest]
                self._nearest[first + place] = start + columns[lowest]
        self._best[rows] = np.maximum(self._best[rows], highest)

    def _exact(self, query: int, rows: Floats) -> Floats:
        found: Floats = DISTANCES[self._distance](self._queries[query][None], rows)[0]
        return found


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
