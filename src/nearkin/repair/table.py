"""The table of a repair: every value before and after, their intervals, and that of the difference.

Intervals are those of the consistency table: exact for shares, over groups where clips share one;
the bootstrap over groups for C_B_rho (here the mean over clips of the correlation clip by clip).
The difference is tested paired, over groups, as ``nearkin compare`` does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nearkin.repair.held_out import BEFORE, RHO, SAME_GROUP, SEEN, HeldOut, Where
from nearkin.repair.pairs import Embeddings, Floats
from nearkin.results.answers import unit_shares
from nearkin.seeds import stream
from nearkin.statistics.bootstrap import mean_replicates, percentile_interval, resamples
from nearkin.statistics.intervals import share_limits
from nearkin.statistics.paired import paired_difference
from nearkin.tables import OK, ORIGINAL

if TYPE_CHECKING:
    import pandas as pd

ALL = "all"
"""``transformation`` of the mean over all transformations but the identity."""
RESAMPLES = 2000
COLUMNS = (
    *("measure", "audio_distance", "latent_distance", "transformation", "magnitude", "fit"),
    *("before", "before_low", "before_high", "after", "after_low", "after_high"),
    *("difference", "ci_low", "ci_high", "p", "n", "n_groups", "chance", "shrinkage", "status"),
)


def is_table(data: bytes) -> bool:
    """Tell whether a CSV has the columns of a repair's table.

    Examples
    --------
    >>> is_table(b"path,clip_id")
    False
    """
    return data.partition(b"\n")[0].decode("utf-8", "replace").split(",") == list(COLUMNS)


def rows_of(found: Embeddings, scores: HeldOut, *, seed: int) -> pd.DataFrame:
    """Return the table: a row a measure, point and fit.

    Beside every point stand the means of a transformation over its magnitudes (``magnitude`` NaN)
    and over all transformations (``"all"``).
    """
    import pandas as pd

    units = _units(found.groups)
    draws: dict[int, Floats] = {}

    def counts(n_units: int) -> Floats:
        if n_units not in draws:
            rng = stream(seed, "bootstrap of repair", n_units)
            drawn = resamples(n_units, n_resamples=RESAMPLES, rng=rng)
            draws[n_units] = drawn.astype(np.float64)
        return draws[n_units]

    by_clip = {**scores.by_clip, **_means(scores.by_clip)}
    rows = []
    for where, after in by_clip.items():
        if where.fit == BEFORE:
            continue
        before = by_clip[where._replace(fit=BEFORE)]
        row = _row(where, before, after, units, counts)
        if where.measure == "C_W":
            row["chance"] = 1 / int(np.isfinite(found.originals).all(axis=1).sum())
        row["shrinkage"] = _shrinkage(where, scores)
        rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _units(groups: NDArray[np.intp]) -> NDArray[np.intp]:
    return np.asarray(np.unique(groups, return_inverse=True)[1], np.intp)


def _means(values: Mapping[Where, Floats]) -> dict[Where, Floats]:
    """Average each clip over the magnitudes of a transformation, and these over transformations."""
    parts: dict[Where, list[Floats]] = {}
    for where, by_clip in values.items():
        if where.code != ORIGINAL:
            parts.setdefault(where._replace(magnitude=math.nan), []).append(by_clip)
    means = {_plain(where): _nanmean(several) for where, several in parts.items()}
    over: dict[Where, list[Floats]] = {}
    for where, by_clip in means.items():
        over.setdefault(where._replace(code=ALL), []).append(by_clip)
    return {**means, **{where: _nanmean(several) for where, several in over.items()}}


def _plain(where: Where) -> Where:
    """Return the same place with the one NaN that equals itself as a key."""
    return where._replace(magnitude=math.nan)


def _nanmean(several: list[Floats]) -> Floats:
    table = np.stack(several)
    there = ~np.isnan(table)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(there, table, 0.0).sum(axis=0) / there.sum(axis=0))


def _row(
    where: Where,
    before: Floats,
    after: Floats,
    units: NDArray[np.intp],
    counts: Callable[[int], Floats],
) -> dict[str, Any]:
    both = ~np.isnan(before) & ~np.isnan(after)
    used = _units(units[both])
    n_units = int(used.max(initial=-1)) + 1
    row: dict[str, Any] = {
        "measure": where.measure,
        "audio_distance": where.audio_distance,
        "latent_distance": where.latent_distance,
        "transformation": where.code,
        "magnitude": where.magnitude,
        "fit": where.fit,
        "n": int(both.sum()),
        "n_groups": n_units,
        "status": OK,
    }
    if n_units < 2:
        reason = "no two groups have two clips" if where.measure == SAME_GROUP else "too few groups"
        return {**row, "status": f"undefined: {reason}"}
    drawn = counts(n_units)
    everywhere = np.ones((1, len(used)), bool)
    sides: list[Floats] = []
    for name, by_clip in (("after", after[both]), ("before", before[both])):
        low, high = _limits(where, by_clip, used, drawn)
        row |= {name: float(by_clip.mean()), f"{name}_low": low, f"{name}_high": high}
        sides.append(unit_shares(by_clip[None, None], everywhere, used))
    own, weights = (
        unit_shares(one[None, None], everywhere, used, centred=False)[0]
        for one in ((after - before)[both], np.ones(len(used)))
    )
    bound = 2.0 if where.measure == RHO else 1.0
    found = paired_difference(sides[0], sides[1], drawn, bound=bound, own=own, weights=weights)
    row |= {"difference": row["after"] - row["before"], "ci_low": found.low, "ci_high": found.high}
    return {**row, "p": found.p}


def _limits(
    where: Where, by_clip: Floats, units: NDArray[np.intp], counts: Floats
) -> tuple[float, float]:
    if where.measure == RHO:
        drawn = np.ascontiguousarray(counts[:, units], np.float32)
        low, high, _ = percentile_interval(mean_replicates(by_clip, drawn))
        return float(low), float(high)
    alone = len(np.unique(units)) == len(units)
    limits = share_limits(by_clip, None if alone else units)
    return limits.low, limits.high


def _shrinkage(where: Where, scores: HeldOut) -> float:
    """Return the median over folds of what was chosen; NaN where there is none."""
    code = "" if where.fit == SEEN else where.code
    chosen = scores.shrinkage.get((where.fit, code))
    return float(np.median(chosen)) if chosen else math.nan
