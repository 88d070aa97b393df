"""The pairs of a run, (original, changed clip), in folds of groups; and maps learned from some.

Embeddings are Z[N, D] of the originals and Q[N, P, D] of the changed clips, NaN where one is
missing; a fold is a set of groups. Everything is summed once a fold and transformation, so that a
map that leaves any of them out costs one eigendecomposition.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nearkin.errors import InputError
from nearkin.maps.linear import Spectrum
from nearkin.seeds import stream
from nearkin.tables import ORIGINAL
from nearkin.transforms.grids import Point

Floats = NDArray[np.float64]

FOLDS = 5
FEWEST_GROUPS = 3
"""One to test on, one to choose the shrinkage on, one to learn from."""
_KEPT_BYTES = 4e8
LARGEST = 4096
"""Dimensions beyond which a scatter matrix, D x D a fold and transformation, is refused."""


@dataclass(frozen=True)
class Embeddings:
    """What a run left of one encoder.

    Attributes
    ----------
    originals : float64[N, D]
    queries : float64[N, P, D]
    points : sequence of P Point
        The identity among them.
    asked : bool[N, P]
        Queries that were asked; those of them that are NaN are lost.
    groups : int[N]
        Clips of one group have one number.
    """

    originals: Floats = field(repr=False)
    queries: Floats = field(repr=False)
    points: Sequence[Point]
    asked: NDArray[np.bool_] = field(repr=False)
    groups: NDArray[np.intp] = field(repr=False)

    @functools.cached_property
    def codes(self) -> tuple[str, ...]:
        """The transformations but the identity, in the grid's order."""
        found = dict.fromkeys(point.code for point in self.points)
        return tuple(code for code in found if code != ORIGINAL)

    @functools.cached_property
    def n_groups(self) -> int:
        """How many groups there are."""
        return len(np.unique(self.groups))

    def at(self, code: str) -> NDArray[np.intp]:
        """Return the places of a transformation's points."""
        return np.flatnonzero([point.code == code for point in self.points])


class Without(NamedTuple):
    """What a map was not learned from."""

    folds: frozenset[int] = frozenset()
    codes: frozenset[str] = frozenset()

    @classmethod
    def these(cls, folds: Iterable[int] = (), codes: Iterable[str] = ()) -> Without:
        """Name folds and transformations."""
        return cls(frozenset(folds), frozenset(codes))


class Learned(NamedTuple):
    """A centre and a spectrum: a map of any shrinkage."""

    centre: Floats
    spectrum: Spectrum

    def apply(self, vectors: Floats, shrinkage: float) -> Floats:
        """Map embeddings [..., D]; an infinite shrinkage centres alone."""
        centred = vectors - self.centre
        if np.isinf(shrinkage):
            return centred
        return np.asarray(centred @ self.spectrum.matrix(shrinkage))


class Folds:
    """Pairs in folds of groups, and the maps learned from some of them.

    Parameters
    ----------
    found : Embeddings
    seed : int
        Deals the groups to folds.

    Raises
    ------
    InputError
        If there are too few groups, too many dimensions, or nothing was changed.
    """

    def __init__(self, found: Embeddings, *, seed: int) -> None:
        size = found.originals.shape[1]
        if size > LARGEST:
            raise InputError(
                f"embeddings of {size} values: a map of {size} x {size} takes too much memory, at "
                f"most {LARGEST}; pool them or take a smaller layer"
            )
        if found.n_groups < FEWEST_GROUPS:
            raise InputError(
                f"{found.n_groups} groups (files, or the manifest's groups): repair needs at least "
                f"{FEWEST_GROUPS}, to learn, to choose and to test on different music"
            )
        if not found.codes:
            raise InputError("the run changed nothing: give it a grid with transformations")
        self.found = found
        self.n = min(FOLDS, found.n_groups)
        self.fold_of = _dealt(found.groups, self.n, seed)
        self._known: dict[Without, Learned] = {}
        self._most = max(8, int(_KEPT_BYTES / (8 * size**2)))
        self._sums = {
            (fold, code): _scatter(found, self.fold_of == fold, code)
            for fold in range(self.n)
            for code in found.codes
        }

    def learned(self, without: Without) -> Learned:
        """Learn from all pairs but some.

        Every transformation counts alike, however many magnitudes of it the grid has.
        """
        if without not in self._known:
            while len(self._known) >= self._most:
                del self._known[next(iter(self._known))]
            self._known[without] = self._learned(without)
        return self._known[without]

    def _learned(self, without: Without) -> Learned:
        originals = self.found.originals
        here = ~np.isin(self.fold_of, list(without.folds))
        here &= np.isfinite(originals).all(axis=1)
        parts = []
        for code in self.found.codes:
            if code in without.codes:
                continue
            sums = [self._sums[f, code] for f in range(self.n) if f not in without.folds]
            n_pairs = sum(n for _, n in sums)
            if n_pairs:
                parts.append(np.sum([total for total, _ in sums], axis=0) / n_pairs)
        if not parts or not here.any():
            raise InputError("no changed clip has an embedding: there is nothing to learn from")
        return Learned(originals[here].mean(axis=0), Spectrum.of(np.mean(parts, axis=0)))


def _dealt(groups: NDArray[np.intp], n_folds: int, seed: int) -> NDArray[np.intp]:
    """Deal groups to folds of about as many clips each: the largest first, equal ones drawn."""
    names, sizes = np.unique(groups, return_counts=True)
    drawn = stream(seed, "folds of repair", len(names)).permutation(len(names))
    order = drawn[np.argsort(-sizes[drawn], kind="stable")]
    held = np.zeros(n_folds, np.intp)
    fold_of = np.zeros(int(names.max()) + 1, np.intp)
    for place in order:
        fold = int(held.argmin())
        fold_of[names[place]] = fold
        held[fold] += sizes[place]
    return fold_of[groups]


def _scatter(found: Embeddings, clips: NDArray[np.bool_], code: str) -> tuple[Floats, int]:
    """Sum the outer products of the pairs' differences, and count the pairs."""
    size = found.originals.shape[1]
    total, n_pairs = np.zeros((size, size)), 0
    for place in found.at(code):
        moved = found.queries[clips, place] - found.originals[clips]
        moved = moved[np.isfinite(moved).all(axis=1)]
        total += moved.T @ moved
        n_pairs += len(moved)
    return total, n_pairs
