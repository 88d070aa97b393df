"""How embeddings move as a change gets more severe, from the embeddings of a run alone.

For every transformation and side with three magnitudes or more: is there one direction that tells
the severity of every clip's change, in how many dimensions do clips move, how bent are their paths,
and do two transformations move a clip the same way. After Deng et al. (ICASSP 2025); see
`nearkin.statistics.paths`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nearkin.errors import InputError
from nearkin.results.embeddings import RunEmbeddings
from nearkin.seeds import stream
from nearkin.statistics import paths
from nearkin.statistics.bootstrap import (
    mean_replicates,
    median_replicates,
    percentile_interval,
    resamples,
)
from nearkin.tables import OK, TRAJECTORIES, TRAJECTORY_AGREEMENT, TRAJECTORY_PATHS
from nearkin.transforms import magnitudes
from nearkin.transforms.magnitudes import ORIGINAL, Point

Floats = NDArray[np.float64]

FEWEST_MAGNITUDES = 3
FEWEST_CLIPS = 5
MEASURES = (
    *("R2_global", "R2_moved", "rank_moved", "R2_clip", "dimension", "first_share"),
    *("dimension_90", "curvature"),
)
"""One direction for all clips: R2 of the severity that it tells of held-out clips from their
embeddings, and from how far these moved from their originals; the median clip's rank correlation
with the latter. Each clip's own direction: R2 at magnitudes left out; dimensions that these
directions fill, the share of the first, and how many hold 90 %. Path length over distance."""


class Moved(NamedTuple):
    """One side of one transformation: all clips on their way."""

    code: str
    side: str
    points: tuple[Point, ...]
    z: Floats
    """float64[N, 1 + K, D]; NaN where a clip has no answer somewhere."""

    @property
    def name(self) -> str:
        """The short name: ``"PS+"``."""
        return magnitudes.direction(self.code, self.side)

    @property
    def whole(self) -> NDArray[np.bool_]:
        """Which clips have an answer everywhere."""
        return np.asarray(np.isfinite(self.z).all(axis=(1, 2)))


class Trajectories(NamedTuple):
    """What `trajectories` returns."""

    table: pd.DataFrame
    """Columns `nearkin.tables.TRAJECTORIES`, a row a measure."""
    agreement: pd.DataFrame
    """Columns `nearkin.tables.TRAJECTORY_AGREEMENT`, a row a pair of transformations' sides."""
    paths: pd.DataFrame
    """The mean clip's way in the plane of the first two principal components: columns
    `nearkin.tables.TRAJECTORY_PATHS`; the original is at 0, 0."""


def moves(found: RunEmbeddings) -> Iterator[Moved]:
    """Yield the sides of a run's transformations that have enough magnitudes, in page order."""
    present = [point for point in found.points if point.code != ORIGINAL]
    for code in magnitudes.code_order(point.code for point in present):
        mine = [point for point in present if point.code == code]
        for side in dict.fromkeys(point.side for point in mine):
            points = [point for point in mine if point.side == side]
            points.sort(key=lambda point: magnitudes.severity(code, point.magnitude))
            if len(points) >= FEWEST_MAGNITUDES:
                yield Moved(code, side, tuple(points), found.path(points))


def trajectories(
    found: RunEmbeddings,
    units: NDArray[np.intp],
    *,
    encoder: str,
    task: str = "",
    trial: int = 1,
    seed: int = 0,
    n_resamples: int = 1000,
) -> Trajectories:
    """Describe how one encoder's embeddings move.

    Parameters
    ----------
    found : RunEmbeddings
    units : int[N]
        Clips of one number (a file, a group) are no independent draws.
    encoder, task, trial
        What stands in the tables.
    seed, n_resamples : int
        Of the bootstrap over units.

    Returns
    -------
    Trajectories

    Raises
    ------
    InputError
        If no transformation has three magnitudes on one side.
    """
    ways = list(moves(found))
    if not ways:
        raise InputError(
            f"no transformation of the run has {FEWEST_MAGNITUDES} magnitudes on one side: a way "
            "needs them; run --grid paper or effects"
        )
    head = {"encoder": encoder, "task": task, "trial": trial}
    counts = resamples(
        len(units), n_resamples=n_resamples, rng=stream(seed, "trajectories"), clusters=units
    )
    rows = [head | row for way in ways for row in _rows(way, units, counts)]
    own = {way.name: paths.own_directions(way.z) for way in ways}
    pairs = [
        head | _agreement(a, b, own[a.name], own[b.name], counts)
        for place, a in enumerate(ways)
        for b in ways[place + 1 :]
    ]
    return Trajectories(
        pd.DataFrame(rows, columns=list(TRAJECTORIES)),
        pd.DataFrame(pairs, columns=list(TRAJECTORY_AGREEMENT)),
        _mean_paths(ways).assign(encoder=encoder, task=task, trial=trial)[list(TRAJECTORY_PATHS)],
    )


def _rows(way: Moved, units: NDArray[np.intp], counts: Any) -> list[dict[str, Any]]:
    whole = way.whole
    n = int(whole.sum())
    head = {
        "transformation": way.code, "side": way.side, "n_magnitudes": len(way.points), "n": n,
        "value": math.nan, "ci_low": math.nan, "ci_high": math.nan,
    }  # fmt: skip
    z = way.z[whole]
    why = ""
    if n < FEWEST_CLIPS or len(np.unique(units[whole])) < 2:
        why = f"{n} clips are too few"
    elif not np.ptp(z, axis=1).any():
        why = "no embedding moves"
    if why:
        return [head | {"measure": measure, "status": why} for measure in MEASURES]
    weights = counts[:, whole]
    told = paths.projections(z, units[whole])
    moved = paths.projections(z - z[:, :1], units[whole])
    ones = np.ones((1, n))
    directions = paths.own_directions(z)
    filled = paths.spectrum(directions)
    r2 = [float(paths.squared_correlation(one, ones)[0]) for one in (told, moved)]
    values: dict[str, tuple[float, Floats | None]] = {
        "R2_global": (r2[0], paths.squared_correlation(told, weights)),
        "R2_moved": (r2[1], paths.squared_correlation(moved, weights)),
        "rank_moved": _median(_ranks(moved), weights),
        "R2_clip": _median(paths.own_r2(z), weights),
        "dimension": (filled.dimension, None),
        "first_share": (filled.first, None),
        "dimension_90": (float(filled.most), None),
        "curvature": _median(paths.curvature(z), weights),
    }
    rows = []
    for measure, (value, replicates) in values.items():
        row = head | {"measure": measure, "value": value, "status": OK}
        if replicates is not None:
            low, high, _ = percentile_interval(replicates)
            row |= {"ci_low": float(low), "ci_high": float(high)}
        rows.append(row)
    return rows


def _median(values: Floats, counts: Any) -> tuple[float, Floats]:
    there = np.isfinite(values)
    if not there.any():
        return math.nan, np.full(len(counts), math.nan)
    kept = np.ascontiguousarray(counts[:, there])
    return float(np.median(values[there])), median_replicates(values[there], kept)


def _ranks(told: Floats) -> Floats:
    """Return Spearman's correlation of each row with its order."""
    from scipy.stats import rankdata

    ranks = rankdata(told, axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    order = np.arange(told.shape[1]) - (told.shape[1] - 1) / 2
    power = np.sqrt((ranks**2).sum(axis=1) * (order**2).sum())
    return np.asarray(np.where(power > 0, ranks @ order / np.where(power > 0, power, 1.0), 0.0))


def _agreement(a: Moved, b: Moved, own_a: Floats, own_b: Floats, counts: Any) -> dict[str, Any]:
    """Return how alike two transformations move a clip: the mean cosine of its two directions."""
    there = np.isfinite(own_a).all(axis=1) & np.isfinite(own_b).all(axis=1)
    row: dict[str, Any] = {
        "transformation_a": a.code, "side_a": a.side, "transformation_b": b.code,
        "side_b": b.side, "n": int(there.sum()), "cosine": math.nan, "ci_low": math.nan,
        "ci_high": math.nan, "cosine_of_means": math.nan, "status": OK,
    }  # fmt: skip
    if there.sum() < FEWEST_CLIPS:
        return row | {"status": f"{int(there.sum())} clips are too few"}
    cosines = np.einsum("nd,nd->n", own_a[there], own_b[there])
    kept = np.ascontiguousarray(counts[:, there])
    low, high, _ = percentile_interval(mean_replicates(cosines, kept))
    means = own_a[there].mean(axis=0), own_b[there].mean(axis=0)
    lengths = np.linalg.norm(means[0]) * np.linalg.norm(means[1])
    return row | {
        "cosine": float(cosines.mean()), "ci_low": float(low), "ci_high": float(high),
        "cosine_of_means": float(means[0] @ means[1] / lengths) if lengths > 0 else math.nan,
    }  # fmt: skip


def _mean_paths(ways: Sequence[Moved]) -> pd.DataFrame:
    """Return the mean clip's ways in the plane that holds most of them."""
    means = []
    for way in ways:
        z = way.z[way.whole]
        means.append((z - z[:, :1]).mean(axis=0) if len(z) else np.zeros(way.z.shape[1:]))
    stacked = np.concatenate(means)
    _, _, right = np.linalg.svd(stacked, full_matrices=False)
    plane = right[:2]
    # The sign of a principal component is free: its largest entry is positive, so that equal
    # embeddings give equal pictures.
    plane = plane * np.sign(plane[np.arange(len(plane)), np.abs(plane).argmax(axis=1)])[:, None]
    rows = []
    for way, mean in zip(ways, means, strict=True):
        flat = np.zeros((len(mean), 2))
        flat[:, : len(plane)] = mean @ plane.T
        for step, (x, y) in enumerate(flat.tolist()):
            magnitude = math.nan if step == 0 else way.points[step - 1].magnitude
            rows.append({"name": way.name, "step": step, "x": x, "y": y, "magnitude": magnitude})
    return pd.DataFrame(rows)


IN_ORDER = 0.9
CLEAR_R2 = 0.5
STRAIGHT = 1.5


def sentences(table: pd.DataFrame, agreement: pd.DataFrame) -> list[str]:
    """Say what the tables of one encoder mean.

    Parameters
    ----------
    table, agreement : pandas.DataFrame
        Of `trajectories`.
    """
    told = []
    keys = ["transformation", "side"]
    for (code, side), rows in table.groupby(keys, sort=False):
        known = rows.set_index("measure")["value"].reindex(list(MEASURES))
        value: Mapping[Any, Any] = known.to_dict()
        name = magnitudes.direction(str(code), str(side))
        if rows["status"].iloc[0] != OK:
            told.append(f"{name}: {rows['status'].iloc[0]}.")
            continue
        one = "one direction" if value["rank_moved"] >= IN_ORDER else "no one direction"
        knows = "tells" if value["R2_global"] >= CLEAR_R2 else "does not tell"
        bent = "nearly straight" if value["curvature"] < STRAIGHT else "bent"
        told.append(
            f"{name}: clips move in order along {one} (rank correlation "
            f"{value['rank_moved']:.2f}, R² {value['R2_moved']:.2f}, on clips it was not fitted "
            f"to); where a clip lies {knows} how severe its change is (R² "
            f"{value['R2_global']:.2f}); their own directions fill {value['dimension']:.1f} "
            f"dimensions (the first holds {value['first_share']:.0%}), on {bent} ways "
            f"({value['curvature']:.1f} times their distance)."
        )
    there = agreement[agreement["status"] == OK]
    if len(there):
        order = np.argsort(there["cosine"].to_numpy(np.float64), kind="stable")
        ends = [there.iloc[int(order[-1])], there.iloc[int(order[0])]]
        alike = [
            f"{magnitudes.direction(str(row['transformation_a']), str(row['side_a']))} and "
            f"{magnitudes.direction(str(row['transformation_b']), str(row['side_b']))} "
            f"(cosine {row['cosine']:+.2f})"
            for row in ends
        ]
        told.append(f"A clip moves most alike under {alike[0]}, least alike under {alike[1]}.")
    return told
