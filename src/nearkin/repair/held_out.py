"""Every clip under a map that was learned without its group: what is kept, what it costs.

Four fits are compared on the same clips, each clip against all originals of the run:

- ``before``: the embeddings as they are
- ``centred``: less the mean of the originals of other groups, nothing else (the control)
- ``seen``: the map of other groups, learned from all transformations
- ``unseen``: likewise, without the transformation that is asked about

Values are by clip, float64[N], NaN where a clip is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nearkin.consistency import rho_by_clip
from nearkin.distances import latent_distance
from nearkin.repair.choosing import Choice
from nearkin.repair.pairs import Embeddings, Floats, Folds, Without
from nearkin.runs.spaces import EncoderAtPoint, latent_space
from nearkin.tables import OK, ORIGINAL

BEFORE, CENTRED, SEEN, UNSEEN = "before", "centred", "seen", "unseen"
FITS = (CENTRED, SEEN, UNSEEN)
WITHIN, RHO, SAME_GROUP, KEPT = "C_W", "C_B_rho", "P@1", "kept@10"
NEIGHBOURS = 10


class Where(NamedTuple):
    """What a value is of."""

    measure: str
    audio_distance: str
    latent_distance: str
    code: str
    magnitude: float
    fit: str


@dataclass(frozen=True)
class HeldOut:
    """What was found, by clip.

    Attributes
    ----------
    by_clip : mapping of Where to float64[N]
        Under every fit, ``before`` among them.
    shrinkage : mapping of (fit, transformation) to tuple of float
        What was chosen in every fold; ``seen`` has the transformation ``""``.
    """

    by_clip: Mapping[Where, Floats]
    shrinkage: Mapping[tuple[str, str], tuple[float, ...]]


def held_out(
    folds: Folds,
    choice: Choice,
    *,
    distances: tuple[str, ...],
    audio: Mapping[str, NDArray[np.float32]],
    apart: NDArray[np.intp] | None,
) -> HeldOut:
    """Score all fits on clips that they were not learned from.

    Parameters
    ----------
    folds : Folds
    choice : Choice
        Chooses the shrinkage of every fold without that fold.
    distances : tuple of str
        Of the latent space.
    audio : mapping of name to float32[N, P, N]
        Audio distances, for C_B_rho; empty where the run kept none.
    apart : int[N], optional
        Groups whose clips are not compared with each other.
    """
    found = folds.found
    values: dict[Where, Floats] = {}
    chosen: dict[tuple[str, str], tuple[float, ...]] = {}
    seen = [choice.shrinkage(Without.these([fold])) for fold in range(folds.n)]
    chosen[SEEN, ""] = tuple(seen)
    for code in (ORIGINAL, *found.codes):
        unseen: list[float] = []
        if code != ORIGINAL and len(found.codes) > 1:
            unseen = [choice.shrinkage(Without.these([f], [code])) for f in range(folds.n)]
            chosen[UNSEEN, code] = tuple(unseen)
        for place in found.at(code):
            magnitude = found.points[int(place)].magnitude
            scored = _Scored(found, int(place), distances, audio, apart)
            everyone = np.ones(len(found.groups), bool)
            whole = found.originals, found.queries[:, place]
            values.update(scored.rows(BEFORE, magnitude, [(everyone, *whole)]))
            for fit, out, shrinkage in (
                (CENTRED, (), [math.inf] * folds.n),
                (SEEN, (), seen),
                (UNSEEN, (code,), unseen),
            ):
                if not shrinkage:
                    continue
                parts = []
                for fold in range(folds.n):
                    learned = folds.learned(Without.these([fold], out))
                    both = (learned.apply(side, shrinkage[fold]) for side in whole)
                    parts.append((folds.fold_of == fold, *both))
                values.update(scored.rows(fit, magnitude, parts))
    return HeldOut(values, chosen)


Part = tuple[NDArray[np.bool_], Floats, Floats]
"""The clips that are asked about, and both sides mapped for them."""


@dataclass(frozen=True)
class _Scored:
    """Scores one point of the grid."""

    found: Embeddings
    place: int
    distances: tuple[str, ...]
    audio: Mapping[str, NDArray[np.float32]]
    apart: NDArray[np.intp] | None

    def rows(self, fit: str, magnitude: float, parts: list[Part]) -> Iterator[tuple[Where, Floats]]:
        """Yield the values of one fit."""
        code = self.found.points[self.place].code
        n = len(self.found.groups)
        for distance in self.distances:
            right = np.full(n, np.nan)
            rho = {name: np.full(n, np.nan) for name in self.audio}
            same, kept = np.full(n, np.nan), np.full(n, np.nan)
            for clips, originals, queries in parts:
                self._ask(distance, clips, originals, queries, right, rho)
                if code == ORIGINAL:
                    self._unchanged(distance, clips, originals, same, kept)
            yield Where(WITHIN, "", distance, code, magnitude, fit), right
            for name, by_clip in rho.items():
                yield Where(RHO, name, distance, code, magnitude, fit), by_clip
            if code == ORIGINAL:
                yield Where(SAME_GROUP, "", distance, code, magnitude, fit), same
                yield Where(KEPT, "", distance, code, magnitude, fit), kept

    def _ask(
        self,
        distance: str,
        clips: NDArray[np.bool_],
        originals: Floats,
        queries: Floats,
        right: Floats,
        rho: Mapping[str, Floats],
    ) -> None:
        whole = _whole(queries)
        status = [OK if good else "failed" for good in whole.tolist()]
        at_point = EncoderAtPoint("", "", 1, originals, queries, status)
        drawn = np.arange(len(clips)) if rho else np.arange(0)
        asked = self.found.asked[:, self.place] & clips
        space = latent_space(distance, at_point, drawn, made=asked, groups=self.apart)
        valid = space.found.valid & clips
        right[valid] = ~space.found.error[valid]
        rows = np.flatnonzero(valid)
        for name, by_clip in rho.items():
            if len(rows):
                d_audio = self.audio[name][rows, self.place]
                by_clip[rows] = rho_by_clip(d_audio, space.pairs[rows], rows)

    def _unchanged(
        self,
        distance: str,
        clips: NDArray[np.bool_],
        originals: Floats,
        same: Floats,
        kept: Floats,
    ) -> None:
        groups = self.found.groups
        now = _nearest(distance, originals, clips, NEIGHBOURS)
        was = _nearest(distance, self.found.originals, clips, NEIGHBOURS)
        alone = np.bincount(groups)[groups] < 2
        for clip, near in now.items():
            if not alone[clip]:
                same[clip] = groups[near[0]] == groups[clip]
            if clip in was:
                kept[clip] = len(set(near) & set(was[clip])) / len(near)


def _whole(rows: Floats) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(rows).all(axis=1))


def _nearest(
    distance: str, originals: Floats, clips: NDArray[np.bool_], most: int
) -> dict[int, list[int]]:
    """Return the nearest other originals of some clips, nearest first."""
    there = np.flatnonzero(_whole(originals))
    rows = there[clips[there]]
    if not len(rows) or len(there) < 2:
        return {}
    d = latent_distance(distance).function(originals[rows], originals[there])
    own = np.searchsorted(there, rows)
    d[np.arange(len(rows)), own] = np.inf
    order = np.argsort(d, axis=1, kind="stable")[:, : min(most, len(there) - 1)]
    directed = np.isfinite(d[np.arange(len(rows)), order[:, 0]])
    return {
        int(clip): there[near].tolist()
        for clip, near, ok in zip(rows, order, directed, strict=True)
        if ok
    }
