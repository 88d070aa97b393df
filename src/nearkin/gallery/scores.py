"""A run's queries among its originals and a gallery: ranks, and C_W over the size of it all."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nearkin.errors import InputError, RunError
from nearkin.gallery.curve import FARTHEST, at_size, beyond, curve_sizes
from nearkin.gallery.search import DISTANCES, nearer
from nearkin.gallery.vectors import Gallery
from nearkin.progress import Progress, silent
from nearkin.results.answers import RunTables, units_of, used_clips
from nearkin.results.embeddings import RunEmbeddings
from nearkin.statistics.scores import Score, over_trials
from nearkin.tables import CONSISTENCY, GALLERY, GALLERY_QUERIES, OK
from nearkin.transforms.magnitudes import ORIGINAL

MEASURED, EXTRAPOLATED = "measured", "extrapolated"


class Found(NamedTuple):
    """The tables `nearkin.tables.GALLERY` (C_W over size) and `GALLERY_QUERIES`."""

    table: pd.DataFrame
    queries: pd.DataFrame


def scores(
    run: RunTables,
    embeddings: Mapping[str, RunEmbeddings],
    gallery: Gallery,
    *,
    sizes: Collection[int] = (),
    extrapolate: bool = False,
    progress: Progress = silent,
) -> Found:
    """Ask where every query of a run lies among its originals and a gallery.

    Parameters
    ----------
    run : RunTables
        Its queries hold the ranks among the originals.
    embeddings : mapping of str to RunEmbeddings
        By the label of run.json.
    gallery : mapping of str to array[G, D]
        Likewise; the same recordings in each.
    sizes : collection of int
        Collections that are tabulated beside those of `curve_sizes`.
    extrapolate : bool
        Add sizes beyond what was measured, up to 19 times it.
    progress : callable
        Told ``("gallery", done, total)``, a unit an encoder and distance.

    Returns
    -------
    Found
    """
    labels = {str(one.get("label") or one["name"]): one for one in run.record["encoders"]}
    asked = [(label, distance) for label in gallery for distance in DISTANCES]
    measured: list[Score] = []
    guessed: list[dict[str, Any]] = []
    queries = []
    at = _sizes(run, gallery, sizes, extrapolate=extrapolate)
    progress("gallery", 0, len(asked))
    for done, (label, distance) in enumerate(asked, start=1):
        vectors, mine = gallery[label], embeddings[label]
        ranked = _ranks(run, labels[label], mine, vectors, distance)
        queries.append(ranked)
        for point in _points(run, ranked, mine.clip_ids):
            others = len(mine.clip_ids) + len(vectors) - 1
            measured += _measured(point, others, at.measured)
            guessed += _guessed(point, others, at.beyond)
        progress("gallery", done, len(asked))
    rows = [_row(score) for score in [*measured, *over_trials(measured)]] + guessed
    return Found(
        pd.DataFrame(rows, columns=list(GALLERY)),
        pd.concat(queries, ignore_index=True)[list(GALLERY_QUERIES)],
    )


def rows_at(run: RunTables, ranked: pd.DataFrame, n_gallery: int, size: int) -> pd.DataFrame:
    """Return C_W in collections of one size, in the consistency table's form, from ranks among all.

    Parameters
    ----------
    run : RunTables
    ranked : pandas.DataFrame
        gallery_queries.parquet.
    n_gallery : int
        Recordings of the gallery.
    size : int
        2 up to N + `n_gallery`: what was measured.

    Raises
    ------
    InputError
        If the size is none that was measured.
    """
    clip_ids = [str(clip) for clip in used_clips(run).index]
    most = len(clip_ids) + n_gallery
    if not 2 <= size <= most:
        raise InputError(
            f"C_W@{size}: must be in 2..{most}, the clips of run and gallery; what lies beyond is "
            "extrapolated and decides nothing"
        )
    found = [
        score
        for _, part in ranked.groupby(["encoder", "task", "trial", "distance"], sort=False)
        for point in _points(run, part, clip_ids)
        for score in _measured(point, most - 1, [size])
    ]
    rows = [score.row() for score in [*found, *over_trials(found)]]
    return pd.DataFrame(rows, columns=list(CONSISTENCY))


class _At(NamedTuple):
    """The sizes of collections that are measured, and those that are extrapolated to."""

    measured: tuple[int, ...]
    beyond: tuple[int, ...]


def require_sizes(sizes: Collection[int], most: int, *, extrapolate: bool) -> int:
    """Return the largest size that can be tabulated for `most` clips of run and gallery.

    Raises
    ------
    InputError
        If one is larger.
    """
    farthest = int(FARTHEST * most) if extrapolate else most
    for size in sizes:
        if size > farthest:
            told = f"{FARTHEST:g} times the {most} clips" if extrapolate else f"{most}, the clips"
            remedy = "" if extrapolate else "; --extrapolate goes beyond, by a model of the ranks"
            raise InputError(f"--n {size}: must be at most {told} of run and gallery{remedy}")
    return farthest


def _sizes(run: RunTables, gallery: Gallery, more: Collection[int], *, extrapolate: bool) -> _At:
    """Return the sizes that are tabulated.

    Raises
    ------
    InputError
        If one is too large.
    """
    n, n_gallery = int(run.record["n"]), len(next(iter(gallery.values())))
    most = n + n_gallery
    farthest = require_sizes(more, most, extrapolate=extrapolate)
    powers = {10**power for power in range(1, 12) if most < 10**power <= farthest}
    beyond = powers | {size for size in more if size > most}
    measured = {*curve_sizes(n, n_gallery), *(size for size in more if size <= most)}
    return _At(tuple(sorted(measured)), tuple(sorted(beyond)))


def _ranks(
    run: RunTables,
    encoder: Mapping[str, Any],
    embeddings: RunEmbeddings,
    vectors: NDArray[Any],
    distance: str,
) -> pd.DataFrame:
    """Return the queries of one encoder and distance, ranked among originals and gallery."""
    own = {"encoder": encoder["name"], "task": encoder.get("task") or "",
           "trial": int(encoder.get("trial") or 1)}  # fmt: skip
    queries = run.queries
    there = (
        (queries["encoder"] == own["encoder"])
        & (queries["task"].fillna("") == own["task"])
        & (queries["trial"] == own["trial"])
        & (queries["space"] != "audio")
        & (queries["distance"] == distance)
    )
    part = queries[there].reset_index(drop=True)
    clip = {name: place for place, name in enumerate(embeddings.clip_ids)}
    point = {tuple(one): place for place, one in enumerate(embeddings.points)}
    pairs = zip(part["clip_id"], part["transformation"], part["magnitude"], strict=True)
    if any(name not in clip or (code, size) not in point for name, code, size in pairs):
        raise RunError(
            f"queries.parquet and embeddings/ of '{own['encoder']}' are of different clips or "
            "points; give the run's command again"
        )
    at_clip = part["clip_id"].map(clip).to_numpy()
    at_point = np.array(
        [point[c, m] for c, m in zip(part["transformation"], part["magnitude"], strict=True)]
    )
    asked = embeddings.changed[at_clip, at_point]
    d_own = part["d_own"].to_numpy(np.float64)
    found = nearer(asked, d_own, vectors, distance=distance)
    answered = np.isfinite(d_own)
    n_all = len(embeddings.clip_ids) + len(vectors)
    rank = part["rank"].to_numpy(np.float64) + np.where(answered, found.n_nearer, 0)
    # what the encoder failed was counted as lost among the originals; so it is among all
    rank = np.where(~answered & (part["rank"].to_numpy() > 0), n_all, rank)
    return pd.DataFrame(
        {
            **own,
            "clip_id": part["clip_id"],
            "transformation": part["transformation"],
            "magnitude": part["magnitude"],
            "distance": distance,
            "rank": rank.astype(np.int64),
            "n_nearer": np.where(answered, found.n_nearer, 0),
            "nearest_row": found.nearest,
            "d_nearest": found.d_nearest,
            "status": part["status"],
        }
    )


class _Point(NamedTuple):
    """What became of the clips of one encoder at one point."""

    where: dict[str, Any]
    rank: NDArray[np.int64]
    clusters: NDArray[np.intp]


def _points(run: RunTables, ranked: pd.DataFrame, clip_ids: Sequence[str]) -> Iterator[_Point]:
    unit_of = dict(zip(clip_ids, units_of(run, clip_ids), strict=True))
    for (code, _), part in ranked.groupby(["transformation", "magnitude"], sort=False):
        asked = part[part["rank"] > 0]
        if code == ORIGINAL or asked.empty:
            continue
        failed = int((asked["status"] != OK).sum())
        first = asked.iloc[0]
        where = {
            **{name: first[name] for name in ("encoder", "task")},
            "trial": int(first["trial"]),
            "latent_distance": str(first["distance"]),
            "transformation": str(code),
            "magnitude": float(first["magnitude"]),
            "n": len(asked),
            "n_failed": failed,
            "status": f"{failed} of {len(asked)} queries failed" if failed else OK,
        }
        clusters = np.array([unit_of[one] for one in asked["clip_id"]])
        yield _Point(where, asked["rank"].to_numpy(), clusters)


def _measured(point: _Point, others: int, sizes: Sequence[int]) -> Iterator[Score]:
    """Yield C_W in collections of every size up to all."""
    for size in sizes:
        shares = at_size(point.rank - 1, others, size)
        yield Score(
            **point.where,
            measure=f"C_W@{size}",
            value=float(shares.mean()),
            replicates=np.zeros(0),
            chance=1 / size,
            shares=shares,
            clusters=point.clusters,
        )


def _guessed(point: _Point, others: int, sizes: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Yield C_W in collections larger than what was measured, with its bracket."""
    for size in sizes:
        guess = beyond(point.rank - 1, others, size)
        yield {
            **point.where,
            "size": size,
            "kind": EXTRAPOLATED,
            "value": guess.value,
            "ci_low": guess.low,
            "ci_high": guess.high,
            "ci_method": "bracket",
            "chance": 1 / size,
        }


def _row(score: Score) -> dict[str, Any]:
    row = score.row()
    return {**row, "size": int(score.measure.removeprefix("C_W@")), "kind": MEASURED}
