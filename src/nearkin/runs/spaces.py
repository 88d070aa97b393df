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

NO_COSINE = "an all-zero vector has no cosine"

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
    """

    distance: str
    found: Neighbours
    pairs: NDArray[Any]


@dataclass(frozen=True)
class EncoderAtPoint:
    """One encoder's vectors at one point.

    Attributes
    ----------
    name, task, trial
        The encoder's columns.
    originals : float32[N, D] or None
        Embeddings of the originals; None if the encoder failed as a whole.
    queries : float32[N, D] or None
        Embeddings of the transformed clips, NaN rows where one failed.
    status : sequence of N str
        What became of every query.
    failure : str
        Why the encoder failed as a whole; empty if it did not.
    """

    name: str
    task: str
    trial: int
    originals: NDArray[np.float32] | None
    queries: NDArray[np.float32] | None
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
class Moved:
    """How far every clip was moved at one point, in one space: what monotonicity needs.

    Attributes
    ----------
    name, task, trial, space, distance
        As in queries.parquet.
    d_own : float64[N]
        Distance of each transformed clip to its own original.
    """

    name: str
    task: str
    trial: int
    space: str
    distance: str
    d_own: Floats


@dataclass(frozen=True)
class RankedAtPoint:
    """A space at a point with the ranks of its pairs, which all comparisons share.

    Attributes
    ----------
    distance, found, pairs
        As in `Space`.
    ranked : RankedSpace or None
        None where the plan's C_B_rho is not pooled.
    """

    distance: str
    found: Neighbours
    pairs: NDArray[Any]
    ranked: RankedSpace | None


def ranked(space: Space, plan: Plan) -> RankedAtPoint:
    """Rank a space's pairs, if the plan's C_B_rho needs it."""
    ranks = RankedSpace(space.pairs) if plan.rho == "pooled" else None
    return RankedAtPoint(space.distance, space.found, space.pairs, ranks)


def drawn_clips(plan: Plan, n_clips: int) -> NDArray[np.intp]:
    """Return the clips over which C_B_rho is taken, int[M], ascending.

    All of them up to `plan.rho_clips`; of a larger collection as many, drawn: a pooled correlation
    needs all M x M distances at once, and its interval over drawn clips tells what drawing costs.
    """
    if n_clips <= plan.rho_clips:
        return np.arange(n_clips)
    order = stream(plan.seed, "clips of C_B_rho", n_clips).permutation(n_clips)
    return np.sort(order[: plan.rho_clips])


def latent_space(distance: str, encoder: EncoderAtPoint, drawn: NDArray[np.intp]) -> Space:
    """Measure one encoder's embeddings at one point.

    Parameters
    ----------
    distance : str
        Name of a distance of the latent space.
    encoder : EncoderAtPoint
        Its vectors; queries whose status is not ``"ok"`` are left out.
    drawn : int[M]
        The clips of `pairs`, ascending.

    Returns
    -------
    Space
    """
    queries, originals = encoder.queries, encoder.originals
    n = len(encoder.status)
    found = Found(n, n)
    pairs = np.full((len(drawn), len(drawn)), np.nan)
    if queries is None or originals is None:
        return Space(distance, found.neighbours(), pairs)
    measure = latent_distance(distance)
    good = np.flatnonzero([text == OK for text in encoder.status])
    place = np.full(n, -1)
    place[drawn] = np.arange(len(drawn))
    for start in range(0, len(good), BLOCK_ROWS):
        rows = good[start : start + BLOCK_ROWS]
        d = measure.function(queries[rows], originals)
        found.put(rows, neighbours(d, own=rows))
        mine = place[rows] >= 0
        pairs[place[rows[mine]]] = d[mine][:, drawn]
    return Space(distance, found.neighbours(), pairs)


def with_zero_vectors(found: Neighbours, status: Sequence[str]) -> list[str]:
    """Say of queries that are ok and yet found nothing why that is so."""
    return [
        NO_COSINE if text == OK and not valid else text
        for text, valid in zip(status, found.valid, strict=True)
    ]
