"""Where embeddings lie, as points of a plane: originals and their mildest changes (Figure 9).

Arrays in, a table out. Each encoder has a map of its own, by t-SNE; the same clips are in all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nearkin.results.systems import System
from nearkin.seeds import stream
from nearkin.statistics.tsne import PERPLEXITY, tsne
from nearkin.transforms import magnitudes
from nearkin.transforms.magnitudes import ORIGINAL, Point

MOST = 48
"""Clips of a map: it holds seven or so points of each, and more are a cloud."""
COLUMNS = ("encoder", "task", "clip_id", "transformation", "magnitude", "x", "y")


class Embedded(NamedTuple):
    """One encoder's embeddings: originals[N, D] and queries[N, P, D], NaN where it failed."""

    system: System
    originals: NDArray[np.floating]
    queries: NDArray[np.floating]


def projected(
    embedded: Iterable[Embedded],
    clip_ids: Sequence[str],
    points: Sequence[Point],
    *,
    seed: int = 0,
) -> pd.DataFrame:
    """Lay every encoder's embeddings out in a plane.

    Parameters
    ----------
    embedded : iterable of Embedded
        The encoders.
    clip_ids : sequence of str
        Names of the N clips.
    points : sequence of Point
        The P points of the queries.
    seed : int
        Draws the clips, where there are more than `MOST`.

    Returns
    -------
    pandas.DataFrame
        Columns `COLUMNS`: x and y of unit spread; the original has the transformation OG. Encoders
        without a map (all vectors the same, too few clips) have no rows.
    """
    n = len(clip_ids)
    drawn = np.sort(stream(seed, "projection").permutation(n)[:MOST])
    mild = magnitudes.mildest(points)
    places = [list(points).index(point) for point in mild]
    named = [Point(ORIGINAL, 0.0), *mild]
    found: list[pd.DataFrame] = []
    for one in embedded:
        parts = [one.originals[drawn], *(one.queries[drawn, place] for place in places)]
        vectors = np.concatenate(parts).astype(np.float64)
        rows = pd.DataFrame(
            {
                "encoder": one.system.encoder,
                "task": one.system.task,
                "clip_id": np.tile([clip_ids[place] for place in drawn], len(parts)),
                "transformation": np.repeat([point.code for point in named], len(drawn)),
                "magnitude": np.repeat([point.magnitude for point in named], len(drawn)),
            }
        )
        there = np.isfinite(vectors).all(axis=1)
        vectors = vectors[there]
        if len(vectors) < 4 or not np.ptp(vectors, axis=0).any():
            continue
        y = tsne(vectors, seed=seed)
        y = y / y.std()
        found.append(rows[there].assign(x=y[:, 0], y=y[:, 1]))
    if not found:
        return pd.DataFrame(columns=list(COLUMNS))
    return pd.concat(found, ignore_index=True)


def about(n: int, seed: int) -> str:
    """Say how the maps were made."""
    clips = f"{MOST} of {n} clips, drawn," if n > MOST else f"{n} clips"
    return (
        f"t-SNE of {clips} and their mildest changes: exact, from the two first principal "
        f"components, perplexity {PERPLEXITY:g}, seed {seed}. Who lies beside whom is kept; how "
        "far groups lie from one another means nothing."
    )
