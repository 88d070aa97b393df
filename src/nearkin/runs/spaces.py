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

from nearkin.consistency import Neighbours, neighbours
from nearkin.distances import latent_distance
from nearkin.runs.units import OK, Found

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


def latent_space(
    distance: str,
    queries: NDArray[np.float32] | None,
    originals: NDArray[np.float32] | None,
    status: Sequence[str],
    drawn: NDArray[np.intp],
) -> Space:
    """Measure one encoder's embeddings at one point.

    Parameters
    ----------
    distance : str
        Name of a distance of the latent space.
    queries, originals : float32[N, D] or None
        Embeddings; None if the encoder failed.
    status : sequence of N str
        Queries whose status is not ``"ok"`` are left out.
    drawn : int[M]
        The clips of `pairs`, ascending.

    Returns
    -------
    Space
    """
    n = len(status)
    found = Found(n, n)
    pairs = np.full((len(drawn), len(drawn)), np.nan)
    if queries is None or originals is None:
        return Space(distance, found.neighbours(), pairs)
    measure = latent_distance(distance)
    good = np.flatnonzero([text == OK for text in status])
    place = np.full(n, -1)
    place[drawn] = np.arange(len(drawn))
    for start in range(0, len(good), BLOCK_ROWS):
        rows = good[start : start + BLOCK_ROWS]
        d = measure.function(queries[rows], originals)
        found.put(rows, neighbours(d, own=rows))
        mine = place[rows] >= 0
        pairs[place[rows[mine]]] = d[mine][:, drawn]
    return Space(distance, found.neighbours(), pairs)
