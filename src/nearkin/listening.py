"""Which sounds a page plays or a listener asks for: results say which, runs make them.

Conventions: a sound is named by (clip id, point); the point None is the clip as it is.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nearkin.errors import InputError, NearkinError
from nearkin.files import file_name, write_whole
from nearkin.progress import Progress, silent
from nearkin.registry import suggest
from nearkin.results.lost_queries import lost_queries, mildest_lost, worth_hearing
from nearkin.results.systems import distance_order, named, systems_of
from nearkin.runs.folder import RunFolder
from nearkin.runs.sounds import BUDGET, Sounds, Wanted
from nearkin.transforms import magnitudes
from nearkin.transforms.magnitudes import Point

if TYPE_CHECKING:
    import pandas as pd

SAME = 1e-9
"""Magnitudes that lie nearer are one."""
SOUNDS = ("none", "worst", "all")
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?MB", re.IGNORECASE)


class Heard(NamedTuple):
    """One lost clip: its numbers, and the files of its sounds."""

    clip_id: str
    nearest_id: str
    rank: int
    d_own: float
    d_nearest: float
    files: tuple[Path, ...]


def sounds_of_page(
    folder: RunFolder,
    record: Mapping[str, Any],
    clips: pd.DataFrame,
    queries: pd.DataFrame,
    *,
    which: str = "worst",
    keep: bool = True,
    progress: Progress = silent,
) -> tuple[dict[Wanted, bytes], str]:
    """Make the sounds of a page's lost clips.

    Parameters
    ----------
    folder, record, clips, queries
        The run.
    which : str
        ``"none"``; ``"worst"``, the worst of every point until 2 MB are full; ``"10MB"``, or
        another size, the same until that is full; or ``"all"``, however many.
    keep : bool
        Keep them under ``audio/`` in the run's folder, so that they are made once.
    progress : callable
        Told ``("sounds", percent, 100)``.

    Returns
    -------
    sounds : dict of (clip id, Point or None) to bytes
        MP3.
    str
        Why some are missing, in a sentence, or empty.

    Raises
    ------
    InputError
        If `which` is none of these.
    """
    budget = budget_of(which)
    if which == "none":
        return {}, "This page was made without the sounds of single points (--sounds none)."
    lost = lost_queries(queries)
    if lost.empty:
        return {}, ""
    lost = lost if budget is None else lost[lost["place"] < 20]
    tested = [one.encoder for one in systems_of(record, queries) if one.role == "tested"]
    order = [(clip, Point(code, m)) for clip, code, m in worth_hearing(lost, first=tested)]
    intruders = (
        lost[lost["place"] < (1 if budget is not None else np.inf)]
        .groupby(["clip_id", "transformation", "magnitude"])["nearest_id"]
        .agg(lambda ids: sorted(set(ids)))
        .to_dict()
    )
    try:
        made = Sounds(folder, record, clips, keep=keep)
    except NearkinError as error:  # a record from elsewhere, without what a sound is made by
        return {}, "The sounds could not be made: " + " ".join(str(error).split())
    return made.chosen(
        order,
        lambda one: intruders.get((one[0], *one[1]), ()) if one[1] else (),
        budget=budget,
        progress=progress,
    )


def budget_of(which: str) -> int | None:
    """Return how many characters of base64 the sounds of a page may take; None: any number.

    Examples
    --------
    >>> budget_of("10MB"), budget_of("worst"), budget_of("none"), budget_of("all")
    (10000000, 2000000, 0, None)
    """
    if which in SOUNDS:
        return {"none": 0, "worst": BUDGET, "all": None}[which]
    size = _SIZE.fullmatch(which)
    if size is None:
        raise InputError(f"sounds '{which}': {suggest(which, SOUNDS)}; or a size, such as 10MB")
    return round(float(size[1]) * 1e6)


def listen(
    folder: RunFolder,
    record: Mapping[str, Any],
    clips: pd.DataFrame,
    queries: pd.DataFrame,
    *,
    encoder: str,
    point: Point,
    clip_ids: Sequence[str] = (),
    distance: str = "",
    most: int = 1,
    out: Path,
) -> list[Heard]:
    """Write the sounds behind one point: each lost clip changed, as it is, and its intruder.

    Parameters
    ----------
    folder, record, clips, queries
        The run.
    encoder : str
        By name, label or SPEC.
    point : Point
        A transformation and magnitude of the run's grid.
    clip_ids : sequence of str
        These clips, lost or not; by default the worst lost ones.
    distance : str
        The latent distance; by default cosine, where the run has it.
    most : int
        How many of the worst.
    out : Path
        Folder for the WAV files.

    Returns
    -------
    list of Heard
        Empty where no clip is lost there.

    Raises
    ------
    InputError
        If the run has no such encoder, point, distance or clip, or a sound cannot be made.
    """
    mine = _asked(record, queries, encoder, distance)
    at = mine[
        (mine["transformation"] == point.code)
        & (mine["magnitude"] - point.magnitude).abs().lt(SAME)
    ]
    if at.empty:
        raise InputError(_no_such_point(point, mine))
    lost = lost_queries(at) if not clip_ids else at[at["clip_id"].isin(list(clip_ids))]
    _require_clips(clip_ids, at)
    sounds = Sounds(folder, record, clips, keep=False)
    found = []
    for row in lost.head(len(clip_ids) or most).to_dict("records"):
        clip, other = str(row["clip_id"]), str(row["nearest_id"])
        stem = f"{file_name(clip)}--{point.code}{point.magnitude:g}"
        parts = {
            f"{stem}--1-changed.wav": (clip, point),
            f"{stem}--2-original.wav": (clip, None),
            f"{stem}--3-intruder.wav": (other, None),
        }
        files = []
        for name, (whose, changed) in parts.items():
            y = sounds.heard(whose, changed)
            write_whole(out / name, functools.partial(sounds.put_wav, y))
            files.append(out / name)
        rank = row["rank"]
        found.append(
            Heard(
                clip,
                other,
                0 if rank != rank or rank is None else int(rank),
                float(row["d_own"]),
                float(row["d_nearest"]),
                tuple(files),
            )
        )
    return found


def place_to_hear(
    record: Mapping[str, Any],
    queries: pd.DataFrame,
    *,
    encoder: str | None = None,
    transformation: str | None = None,
    magnitude: float | None = None,
    clip_ids: Sequence[str] = (),
    distance: str = "",
) -> tuple[str, Point] | None:
    """Return whom and which point to listen to, of which the user names some or nothing.

    Parameters
    ----------
    record, queries
        The run.
    encoder, transformation, magnitude
        As they are named. The first tested encoder that lost a clip is taken by default, and the
        mildest change at which it did.
    clip_ids, distance
        See `listen`.

    Returns
    -------
    (encoder, Point), or None where no clip is lost

    Raises
    ------
    InputError
        If the run has no such encoder, transformation, magnitude or distance.
    """
    if encoder is not None and transformation is not None and magnitude is not None:
        return encoder, Point(transformation, magnitude)
    systems = systems_of(record, queries)
    tested = [one.label for one in systems if one.role == "tested"]
    for label in [encoder] if encoder is not None else tested or [one.label for one in systems]:
        rows = _asked(record, queries, label, distance)
        if transformation is not None and transformation not in set(rows["transformation"]):
            raise InputError(_no_such_point(Point(transformation, 0.0), rows))
        there = {Point(code, float(m)) for code, m in zip(*_columns(rows), strict=True)}
        wanted = {
            point
            for point in there
            if transformation in (None, point.code)
            and (magnitude is None or abs(point.magnitude - magnitude) < SAME)
        }
        if not wanted:
            raise InputError(
                f"magnitude {magnitude:g}: no transformation was run at it; name one with "
                "--transformation, to hear at which it was"
                if transformation is None
                else _no_such_point(Point(transformation, float(magnitude or 0.0)), rows)
            )
        _require_clips(clip_ids, rows)
        lost = lost_queries(rows)
        inside = [Point(*key) in wanted for key in zip(*_columns(lost), strict=True)]
        lost = lost[np.array(inside, bool)]
        if clip_ids:
            lost = lost[lost["clip_id"].isin(list(clip_ids))]
        found = mildest_lost(lost, there)
        if found is not None:
            return label, found
    return None


def _columns(rows: pd.DataFrame) -> tuple[list[str], list[float]]:
    return list(rows["transformation"]), list(rows["magnitude"].astype(float))


def _asked(
    record: Mapping[str, Any], queries: pd.DataFrame, encoder: str, distance: str
) -> pd.DataFrame:
    """Return the rows of one encoder, by name, label or SPEC, and of one latent distance."""
    systems = systems_of(record, queries)
    match = named(encoder, systems, record)
    if not match:
        raise InputError(f"encoder '{encoder}': {suggest(encoder, [s.label for s in systems])}")
    if len(match) > 1:
        labels = ", ".join(one.label for one in match)
        raise InputError(f"encoder '{encoder}': means {labels}; name one of them")
    mine = queries[
        (queries["space"] == "latent")
        & (queries["encoder"] == match[0].encoder)
        & (queries["task"].fillna("") == match[0].task)
    ]
    return mine[mine["distance"] == _distance(distance, mine)]


def _require_clips(clip_ids: Sequence[str], rows: pd.DataFrame) -> None:
    there = list(dict.fromkeys(rows["clip_id"]))
    missing = [clip for clip in clip_ids if clip not in there]
    if missing:
        raise InputError(f"clip '{missing[0]}': {suggest(missing[0], there)}")


def _distance(asked: str, rows: pd.DataFrame) -> str:
    known = distance_order(rows["distance"])
    if asked and asked not in known:
        raise InputError(f"distance '{asked}': {suggest(asked, known)}")
    return asked or ("cosine" if "cosine" in known else known[0])


def _no_such_point(point: Point, rows: pd.DataFrame) -> str:
    codes = magnitudes.code_order(rows["transformation"].unique())
    if point.code not in codes:
        return f"transformation '{point.code}': {suggest(point.code, codes)}"
    there = sorted(rows.loc[rows["transformation"] == point.code, "magnitude"].unique())
    listed = ", ".join(f"{value:g}" for value in there)
    return f"magnitude {point.magnitude:g}: {point.code} was run at {listed}; give one of them"
