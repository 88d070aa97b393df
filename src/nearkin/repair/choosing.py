"""The shrinkage, by cross-validation: what keeps most clips nearest under a change never seen.

For a map that is to be tested on some folds and transformations, one more fold and one more
transformation are left out in turn, and each shrinkage is scored on what was left out. Scores are
C_W by cosine from matrix products in float32: they only choose, no table holds them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nearkin.maps.linear import SHRINKAGES
from nearkin.repair.pairs import Folds, Without

Floats = NDArray[np.float64]


class Choice:
    """Chooses shrinkages, and remembers every score.

    Parameters
    ----------
    folds : Folds
    """

    def __init__(self, folds: Folds) -> None:
        self.folds = folds
        self._scores: dict[tuple[int, str, Without], tuple[float, ...]] = {}

    def shrinkage(self, without: Without) -> float:
        """Return the shrinkage of a map that leaves these out; the largest of equally good ones."""
        scores = []
        codes = [c for c in self.folds.found.codes if c not in without.codes]
        for fold in range(self.folds.n):
            if fold in without.folds:
                continue
            for code in codes:
                # with a single transformation there is no other to learn from
                out = {code} if len(codes) > 1 else set()
                key = fold, code, Without(without.folds | {fold}, without.codes | out)
                if key not in self._scores:
                    self._scores[key] = self._scored(*key)
                scores.append(self._scores[key])
        mean = np.nanmean(scores, axis=0)
        best = np.flatnonzero(mean >= mean.max() - 1e-12)
        return SHRINKAGES[int(best[-1])]

    def _scored(self, fold: int, code: str, without: Without) -> tuple[float, ...]:
        """Return C_W of one fold under one transformation, for every shrinkage."""
        found = self.folds.found
        learned = self.folds.learned(without)
        clips = np.flatnonzero(self.folds.fold_of == fold)
        there = np.asarray(np.isfinite(found.originals).all(axis=1))
        clips = clips[there[clips]]
        if not len(clips):
            return (float("nan"),) * len(SHRINKAGES)
        queries = found.queries[np.ix_(clips, found.at(code))]
        usable = np.asarray(np.isfinite(queries).all(axis=2))
        rotated = _rotated(learned.spectrum.vectors, queries - learned.centre)
        others = _rotated(learned.spectrum.vectors, found.originals[there] - learned.centre)
        own = (np.cumsum(there) - 1)[clips]
        shares = []
        for shrinkage in SHRINKAGES:
            weights = ((learned.spectrum.values + shrinkage) / (1 + shrinkage)) ** -0.5
            shares.append(_within(rotated * weights, others * weights, own, usable))
        return tuple(shares)


def _rotated(vectors: Floats, rows: Floats) -> NDArray[np.float32]:
    return np.asarray(np.nan_to_num(rows) @ vectors, np.float32)


def _within(
    queries: Floats | NDArray[np.float32],
    originals: Floats | NDArray[np.float32],
    own: NDArray[np.intp],
    usable: NDArray[np.bool_],
) -> float:
    """Return the share of queries [n, P, D] that are nearest to their own by cosine."""
    n, n_points, size = queries.shape
    rows = queries.reshape(n * n_points, size)
    similar = _unit(rows) @ _unit(originals).T
    place = np.repeat(own, n_points)
    here = np.arange(len(rows))
    mine = similar[here, place].copy()
    similar[here, place] = -np.inf
    right = (mine > similar.max(axis=1)) & usable.ravel()
    return float(right.mean())


def _unit(rows: Floats | NDArray[np.float32]) -> NDArray[np.float32]:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(length > 0, length, 1), np.float32)
