"""One space at one point of the grid: what every query found, and the pairs that rho needs.

Rows are transformed clips, columns originals, both in the order of clips.parquet. Distances are
made block by block and dropped again; only those between the M clips drawn for C_B_rho are kept
together, as pairs[M, M].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearkin.consistency import Found, Neighbours, RankedSpace, neighbours
from nearkin.distances import latent_distance
from nearkin.runs.plan import Plan
from nearkin.seeds import stream
from nearkin.tables import OK

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

NO_COSINE = "an all-zero vector has no cosine"
LOST_ORIGINAL = "its original failed"

BLOCK_ROWS = 512
"""Queries whose distances to all originals are held at once."""


@dataclass(frozen=True)
class Space:
    """A space at a point.

    Attributes
    ----------
    distance : str
        Its distance's name.
    found : Neighbours
        What each of the N queries found among the N originals.
    pairs : float32 or float64 [M, M]
        Distances between the drawn clips; a NaN row where a query failed, a NaN column where an
        original did.
    failed : bool[N]
        Queries that the encoder failed. In `found` they are lost.
    embedded, there : bool[N]
        Originals that have a vector, and those among them that have distances (an all-zero vector
        has no cosine). Queries of the others are not asked: not valid in `found`, as are those that
        could not be made.
    """

    distance: str
    found: Neighbours
    pairs: NDArray[Any]
    failed: Bools
    embedded: Bools
    there: Bools

    @classmethod
    def of_audio(cls, distance: str, found: Neighbours, pairs: NDArray[Any]) -> Space:
        """Build the audio space's, in which every original is there and nothing fails."""
        nothing = np.zeros(len(found.rank), bool)
        return cls(distance, found, pairs, nothing, ~nothing, ~nothing)


@dataclass(frozen=True)
class EncoderAtPoint:
    """One encoder's vectors at one point.

    Attributes
    ----------
    name, task, trial
        The encoder's columns.
    originals : float32 or float64 [N, D], or None
        Embeddings of the originals; None if the encoder failed as a whole.
    queries : float32 or float64 [N, D], or None
        Embeddings of the transformed clips, NaN rows where one failed.
    status : sequence of N str
        What became of every query.
    failure : str
        Why the encoder failed as a whole; empty if it did not.
    """

    name: str
    task: str
    trial: int
    originals: NDArray[np.float32] | Floats | None
    queries: NDArray[np.float32] | Floats | None
    status: Sequence[str]
    failure: str = ""


@dataclass(frozen=True)
class AudioAtPoint:
    """The audio space at one point.

    Attributes
    ----------
    spaces : sequence of Space
        One an audio distance.
    effective : float64[N]
        Effective magnitudes.
    status : sequence of N str
        What became of every query.
    """

    spaces: Sequence[Space]
    effective: Floats
    status: Sequence[str]


@dataclass(frozen=True)
class OwnDistances:
    """How far every clip was moved at one point, in one space: what monotonicity needs.

    Attributes
    ----------
    name, task, trial, space, distance
        As in queries.parquet.
    d_own : float64[N]
        Distance of each transformed clip to its own original.
    failed : bool[N]
        Queries that the encoder failed.
    asked : bool[N]
        Queries that were asked: made, and with an original.
    reason : str
        The first reason why one is missing; empty where none is.
    """

    name: str
    task: str
    trial: int
    space: str
    distance: str
    d_own: Floats
    failed: Bools
    asked: Bools
    reason: str = ""


@dataclass(frozen=True)
class RankedAtPoint:
    """A space at a point with the ranks of its pairs, which all comparisons share.

    Attributes
    ----------
    space : Space
    ranked : RankedSpace or None
        None where the plan's C_B_rho is not pooled.
    """

    space: Space
    ranked: RankedSpace | None

    @property
    def distance(self) -> str:
        """The name of its distance."""
        return self.space.distance

    @property
    def found(self) -> Neighbours:
        """What each of the N queries found."""
        return self.space.found


def ranked(space: Space, plan: Plan) -> RankedAtPoint:
    """Rank a space's pairs, if the plan's C_B_rho needs it."""
    return RankedAtPoint(space, RankedSpace(space.pairs) if plan.rho == "pooled" else None)


def drawn_clips(plan: Plan, n_clips: int) -> NDArray[np.intp]:
    """Return the clips over which C_B_rho is taken, int[M], ascending.

    All of them up to `plan.rho_clips`; of a larger collection as many, drawn: a pooled correlation
    needs all M x M distances at once, and its interval over drawn clips tells what drawing costs.
    """
    if n_clips <= plan.rho_clips:
        return np.arange(n_clips)
    order = stream(plan.seed, "clips of C_B_rho", n_clips).permutation(n_clips)
    return np.sort(order[: plan.rho_clips])


def latent_space(
    distance: str,
    encoder: EncoderAtPoint,
    drawn: NDArray[np.intp],
    *,
    made: Bools,
    groups: NDArray[np.intp] | None = None,
) -> Space:
    """Measure one encoder's embeddings at one point.

    Parameters
    ----------
    distance : str
        Name of a distance of the latent space.
    encoder : EncoderAtPoint
        Its vectors.
    drawn : int[M]
        The clips of `pairs`, ascending.
    made : bool[N]
        The queries that could be made. Those among them whose status is not ``"ok"`` are lost; the
        others are left out.
    groups : int[N], optional
        Group of every original: others are then those of other groups only.

    Returns
    -------
    Space
    """
    queries, originals = encoder.queries, encoder.originals
    n = len(encoder.status)
    pairs = np.full((len(drawn), len(drawn)), np.nan)
    nothing = np.zeros(n, bool)
    if queries is None or originals is None:
        return Space(distance, Found(n, n).neighbours(), pairs, nothing, nothing, nothing)
    measure = latent_distance(distance)
    embedded: Bools = np.asarray(np.isfinite(originals).all(axis=1))
    columns = np.flatnonzero(embedded)
    found = Found(n, len(columns))
    answered = np.array([text == OK for text in encoder.status]) & made & embedded
    good = np.flatnonzero(answered)
    place = np.full(n, -1)
    place[drawn] = np.arange(len(drawn))
    directed = np.zeros(n, bool)  # an all-zero original has no cosine
    for start in range(0, len(good), BLOCK_ROWS):
        rows = good[start : start + BLOCK_ROWS]
        d = np.full((len(rows), n), np.nan)
        d[:, columns] = measure.function(queries[rows], originals[columns])
        directed |= ~np.isnan(d).all(axis=0)
        found.put(rows, neighbours(d, own=rows, groups=groups))
        mine = place[rows] >= 0
        pairs[place[rows[mine]]] = d[mine][:, drawn]
    there: Bools = np.asarray(embedded & directed) if directed.any() else embedded
    met = found.neighbours()
    failed = made & there & ~met.valid & (others_of_each(there, groups) > 0)
    return Space(distance, met.losing(failed), pairs, failed, embedded, there)


def others_of_each(there: Bools, groups: NDArray[np.intp] | None) -> NDArray[np.intp]:
    """Count for every query the originals it is compared with, int[N].

    Examples
    --------
    >>> others_of_each(np.array([True, True, True]), None).tolist()
    [2, 2, 2]
    >>> others_of_each(np.array([True, True, True]), np.array([0, 0, 1])).tolist()
    [1, 1, 2]
    """
    own = there.astype(np.intp)
    if groups is not None:
        own = np.bincount(groups, weights=there, minlength=int(groups.max()) + 1)[groups]
        own = own.astype(np.intp)
    return np.asarray(there.sum() - own)


def with_zero_vectors(found: Neighbours, status: Sequence[str]) -> list[str]:
    """Say of queries that are ok and yet found nothing why that is so."""
    return [
        NO_COSINE if text == OK and missing else text
        for text, missing in zip(status, np.isnan(found.d_own), strict=True)
    ]
