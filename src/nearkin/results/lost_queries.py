"""The queries that an encoder lost, of every point of the grid, the worst first.

Tables in, tables out. A query is lost where another clip's original lies at least as near as its
own. What an encoder failed to answer has no intruder and is not here; nor is an encoder that tells
no two unchanged clips apart (`constant`): its distances say nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from nearkin.tables import ORIGINAL
from nearkin.transforms import magnitudes
from nearkin.transforms.magnitudes import Point

KEYS = ("encoder", "task", "distance", "transformation", "magnitude")
COLUMNS = (*KEYS, "trial", "clip_id", "nearest_id", "rank", "d_own", "d_nearest")


def lost_queries(queries: pd.DataFrame) -> pd.DataFrame:
    """Return the lost queries of the latent spaces, each point's worst first.

    Parameters
    ----------
    queries : pandas.DataFrame
        The run's table.

    Returns
    -------
    pandas.DataFrame
        Columns `COLUMNS`, and ``place``: 0 for the worst of its encoder, distance and point.
    """
    latent = queries[queries["space"] == "latent"]
    latent = latent.assign(task=latent["task"].fillna(""))
    blind = _blind(latent)
    lost = latent[
        (latent["error"].fillna(0) == 1)
        & latent["nearest_id"].notna()
        & (latent["transformation"] != ORIGINAL)
    ]
    told = [pair not in blind for pair in zip(lost["encoder"], lost["task"], strict=True)]
    lost = lost.loc[told, list(COLUMNS)].sort_values(
        ["rank", "clip_id", "trial"], ascending=[False, True, True], kind="stable"
    )
    place = lost.groupby(list(KEYS), sort=False).cumcount()
    return lost.assign(place=place).sort_values([*KEYS, "place"], kind="stable", ignore_index=True)


def worth_hearing(lost: pd.DataFrame, *, first: Sequence[str] = ()) -> list[tuple[str, str, float]]:
    """Return the changed clips to play, the most telling first: (clip, transformation, magnitude).

    The worst of every point come before the second worst of any; among equals those of the
    encoders named in `first`, then the ones that more encoders and distances lost.

    Parameters
    ----------
    lost : pandas.DataFrame
        Of `lost_queries`.
    first : sequence of str
        Encoders whose failures come first: the tested ones.
    """
    key = ["clip_id", "transformation", "magnitude"]
    ranked = lost.assign(order=2 * lost["place"] + ~lost["encoder"].isin(list(first)))
    found = ranked.groupby(key, sort=True).agg(order=("order", "min"), times=("order", "size"))
    found = found.reset_index().sort_values(
        ["order", "times", *key], ascending=[True, False, True, True, True]
    )
    rows = zip(found["clip_id"], found["transformation"], found["magnitude"], strict=True)
    return [(str(clip), str(code), float(magnitude)) for clip, code, magnitude in rows]


def mildest_lost(lost: pd.DataFrame, tried: Iterable[Point]) -> Point | None:
    """Return the point to hear first: the mildest at which clips are lost.

    Of transformations with losses at equally mild magnitudes the one that loses most clips.

    Parameters
    ----------
    lost : pandas.DataFrame
        Rows of `lost_queries` of one encoder and distance.
    tried : iterable of Point
        All points of the run: they say how many milder magnitudes there are.

    Examples
    --------
    >>> columns = {"transformation": ["MP", "PN"], "magnitude": [64.0, 30.0], "clip_id": ["a", "a"]}
    >>> points = [Point("MP", 192.0), Point("MP", 64.0), Point("PN", 30.0)]
    >>> mildest_lost(pd.DataFrame(columns), points)
    Point(code='PN', magnitude=30.0)
    """
    there = lost.groupby(["transformation", "magnitude"])["clip_id"].nunique().reset_index()
    counts = {
        Point(str(code), float(magnitude)): int(n)
        for code, magnitude, n in there.itertuples(index=False, name=None)
    }
    if not counts:
        return None
    points = set(tried)
    order = magnitudes.code_order(point.code for point in counts)

    def place(point: Point) -> tuple[int, int, int, float]:
        severity, side = magnitudes.severity(*point), magnitudes.side(*point)
        milder = [one for one in points if (one.code, magnitudes.side(*one)) == (point.code, side)]
        n_milder = sum(magnitudes.severity(*one) < severity for one in milder)
        return n_milder, -counts[point], order.index(point.code), point.magnitude

    return min(counts, key=place)


def _blind(latent: pd.DataFrame) -> set[tuple[str, str]]:
    """Return the encoders whose unchanged clips are all lost."""
    still = latent[latent["transformation"] == ORIGINAL]
    lost = still["error"].fillna(0).eq(1).groupby([still["encoder"], still["task"]]).min()
    return {(str(key[0]), str(key[1])) for key in lost.index[lost.to_numpy(bool)].tolist()}
