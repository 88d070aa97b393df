"""Who is compared on what: runs of the same grid, clips they share, and each one's answers.

Tables in, arrays out. A system is one encoder (and task) of one run; its answers are numbers clip
by clip, [trial, place, clip], NaN where a query was not asked. A place is one transformation at
one magnitude; for monotonicity one side of a transformation, its magnitude NaN.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nearkin.consistency import monotonicity, within_space_at_by_clip
from nearkin.errors import InputError
from nearkin.results.systems import AUDIO, System
from nearkin.transforms import magnitudes

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RunTables:
    """What a comparison reads of a run.

    Attributes
    ----------
    name : str
        What the tables and sentences call it; no two runs of a comparison share one.
    record : mapping
        run.json.
    clips, queries : pandas.DataFrame
        The run's tables.
    attacks : pandas.DataFrame or None
        attacks.parquet, of a run with ``--attack``.
    """

    name: str
    record: Mapping[str, Any]
    clips: pd.DataFrame
    queries: pd.DataFrame
    attacks: pd.DataFrame | None = None


class Question(NamedTuple):
    """What is measured: a measure and its distances."""

    measure: str
    audio_distance: str
    latent_distance: str


class Place(NamedTuple):
    """Where: a transformation and its magnitude (monotonicity: NaN and the side)."""

    code: str
    magnitude: float
    side: str = ""


@dataclass(frozen=True)
class SystemOfRun:
    """One encoder and task of one run."""

    run: RunTables
    system: System

    @property
    def encoder(self) -> str:
        """The encoder's name in the tables."""
        return self.system.encoder

    @property
    def task(self) -> str:
        """The task's name in the tables, empty where there is none."""
        return self.system.task

    def label(self, *, several_runs: bool) -> str:
        """Return what sentences call it; the run's name is told where there are several."""
        return f"{self.system.label} ({self.run.name})" if several_runs else self.system.label


@dataclass(frozen=True)
class Answers:
    """One system's numbers for one question: value[trial, place, clip], NaN where not asked."""

    places: list[Place]
    value: Floats


# -- which runs and clips --------------------------------------------------------------


def common_clips(runs: Sequence[RunTables], n: int | None) -> tuple[list[str], bool, list[str]]:
    """Return the clips all runs share, whether these are all clips of each, and notes."""
    if not runs:
        raise InputError("no run: compare needs one or more; name their folders")
    first = runs[0]
    used = [used_clips(run) for run in runs]
    shared = [clip for clip in used[0].index if all(clip in other.index for other in used[1:])]
    for run, clips in zip(runs[1:], used[1:], strict=True):
        _require_same_grid(first, run)
        for clip in shared:
            for column in ("content_sha256", "start_s"):
                if used[0].loc[clip, column] != clips.loc[clip, column]:
                    raise InputError(
                        f"clip '{clip}' is not the same sound in {first.name} and {run.name} "
                        f"(its {column} differs): only equal clips are compared; run both on the "
                        "same files with the same seed"
                    )
    same = all(len(clips) == len(shared) for clips in used)
    if not same and (n is None or not shared):
        told = "; ".join(
            f"{run.name} has {len(clips)} clips{_such_as(clips.index, shared)}"
            for run, clips in zip(runs, used, strict=True)
        )
        if not shared:
            raise InputError(f"the runs share no clip ({told}): run them on the same files")
        raise InputError(
            f"the runs are of different clips ({told}; {len(shared)} shared), and C_W depends on "
            "how many there are: pass --n to compare C_W@n over the shared clips, or run both on "
            "the same files"
        )
    if len(shared) < 2:
        raise InputError(f"{len(shared)} clip shared: a comparison needs 2 or more; add clips")
    smallest = min(len(clips) for clips in used)
    if n is not None and not 2 <= n <= smallest:
        raise InputError(f"--n {n}: must be in 2..{smallest}, the clips of the smallest run")
    notes = []
    if not same:
        counts = ", ".join(
            f"{run.name} {len(clips)}" for run, clips in zip(runs, used, strict=True)
        )
        notes.append(
            f"the runs are of different clips ({counts}, {len(shared)} shared): C_W and C_B_acc "
            f"are not compared, only C_W@{n} and monotonicity over the shared clips"
        )
    return shared, same, notes


def used_clips(run: RunTables) -> pd.DataFrame:
    """Return the clips that were compared, by their ids."""
    return run.clips[run.clips["status"] == "ok"].set_index("clip_id")


def units_of(run: RunTables, shared: Sequence[str]) -> NDArray[np.intp]:
    """Number the shared clips by their group, where they have one, else by their file."""
    clips = used_clips(run).loc[list(shared)]
    files = clips["content_sha256"].astype(str)
    if "group" in clips.columns:
        group = clips["group"].fillna("").astype(str)
        files = files.where(group == "", "group " + group)
    return np.asarray(pd.factorize(files)[0], np.intp)


def unit_shares(
    value: Floats, there: NDArray[np.bool_], units: NDArray[np.intp], *, centred: bool = True
) -> Floats:
    """Return what every unit adds to a mean over clips, then places: float64[trial, unit].

    Parameters
    ----------
    value : float64[trial, place, clip]
        Anything where missing.
    there : bool[place, clip]
        False where missing: such a clip adds the place's mean.
    units : int[clip]
        Clips of one number are one unit.
    centred : bool
        Weigh every unit against the mean, as a ratio of totals is linearised; otherwise a unit
        whose values are 0 adds 0.

    Returns
    -------
    float64[trial, unit]
        Its mean over units is the mean; NaN where a place has no clip.
    """
    n = value.shape[2]
    with np.errstate(invalid="ignore", divide="ignore"):
        filled = there.sum(axis=1)
        mean = (np.where(there, value, 0.0).sum(axis=2) / filled)[:, :, None] * centred
        weight = (n / filled)[:, None]
        shares = (np.where(there, (value - mean) * weight, 0.0) + mean).mean(axis=1)
    count = int(units.max()) + 1
    if count == n:
        return np.asarray(shares)
    centre = shares.mean(axis=1, keepdims=True) * centred
    summed = [np.bincount(units, weights=one, minlength=count) for one in shares - centre]
    return np.asarray(np.stack(summed) * count / n + centre)


class Shares(NamedTuple):
    """What units add to the means of two systems; see `Paired.shares`.

    Attributes
    ----------
    a, b : float64[trial, unit]
    own : float64[unit]
        Each unit's own difference over all trials, 0 where its clips do not differ.
    weights : float64[unit]
        How much of all answers a unit holds, 1 on average.
    """

    a: Floats
    b: Floats
    own: Floats
    weights: Floats


class Paired:
    """Two systems' numbers at the same places and clips, missing in one: missing in both.

    Parameters
    ----------
    a, b : float64[T_a, P, N], float64[T_b, P, N]
        Numbers by trial, place and clip; NaN where missing.
    units : int[N]
        Which clips only come together: one number each.
    """

    def __init__(self, a: Floats, b: Floats, units: NDArray[np.intp]) -> None:
        missing = np.isnan(a).any(axis=0) | np.isnan(b).any(axis=0)
        self.there: NDArray[np.bool_] = ~np.asarray(missing, bool)
        self.a, self.b = (np.where(missing, 0.0, side) for side in (a, b))
        self.units = units

    def shares(self, where: Sequence[int]) -> Shares:
        """Return what every unit adds to the two means over some places; see `unit_shares`."""
        there = self.there[where]
        a, b = self.a[:, where], self.b[:, where]
        own = (a.mean(axis=0) - b.mean(axis=0))[None]
        every = np.ones_like(own)
        return Shares(
            unit_shares(a, there, self.units),
            unit_shares(b, there, self.units),
            unit_shares(own, there, self.units, centred=False)[0],
            unit_shares(every, there, self.units, centred=False)[0],
        )

    def answered(self, where: Sequence[int]) -> int:
        """Return how many clips answered anywhere."""
        return int(self.there[where].any(axis=0).sum())


def failed_notes(
    systems: Sequence[SystemOfRun], pairs: Iterable[tuple[int, int]], *, several_runs: bool
) -> list[str]:
    """Say of every system that is compared how many queries it failed."""
    notes = []
    for index in sorted({index for pair in pairs for index in pair}):
        one = systems[index]
        rows = one.run.queries
        mine = rows[(rows["encoder"] == one.encoder) & (rows["task"].fillna("") == one.task)]
        if mine.empty:
            continue
        mine = mine[mine["distance"] == mine["distance"].iloc[0]]
        mine = mine[mine["error"].notna()]
        failed = int(failed_rows(mine).sum())
        if failed:
            label = one.label(several_runs=several_runs)
            notes.append(f"{failed} of {len(mine)} queries of {label} failed; each counts as lost")
    return notes


def failed_rows(rows: pd.DataFrame) -> pd.Series[bool]:
    """Tell which queries an encoder failed: they count as lost and have no distance."""
    return (rows["error"].fillna(0) == 1) & rows["d_own"].isna()


def _such_as(clips: pd.Index[Any], shared: Sequence[str]) -> str:
    own = sorted(set(clips) - set(shared))
    return f", '{own[0]}' only there" if own else ""


def _require_same_grid(one: RunTables, two: RunTables) -> None:
    grids = [
        {(str(code), float(magnitude)) for code, magnitude in run.record["grid"]["points"]}
        for run in (one, two)
    ]
    parts = []
    for run, points in ((one, grids[0] - grids[1]), (two, grids[1] - grids[0])):
        if points:
            code, magnitude = min(points)
            more = f" and {len(points) - 1} more" if len(points) > 1 else ""
            parts.append(f"{code} {magnitude:g}{more} only in {run.name}")
    if parts:
        raise InputError(
            f"{one.name} and {two.name} are of different grids ({'; '.join(parts)}): only equal "
            "grids are compared; run both on the same --grid"
        )
    seconds = [run.record.get("plan", {}).get("clip_seconds") for run in (one, two)]
    if seconds[0] != seconds[1]:
        raise InputError(
            f"clips last {seconds[0]} s in {one.name} and {seconds[1]} s in {two.name}: only equal "
            "clips are compared; run both with the same --clip-seconds"
        )


# -- what each answered --------------------------------------------------------------------------


def answers_of(
    one: SystemOfRun,
    shared: Sequence[str],
    *,
    n: int | None,
    same_clips: bool,
    ladders: bool = True,
) -> dict[Question, Answers]:
    """Return a system's numbers clip by clip, for every measure the tables can give."""
    rows = one.run.queries
    mine = rows[(rows["encoder"] == one.encoder) & (rows["task"].fillna("") == one.task)]
    found: dict[Question, Answers] = {}
    spaces = {str(name): part for name, part in mine.groupby("distance", sort=False)}
    audio: dict[str, Floats] = {}
    places = places_of(one.run)
    if same_clips and one.encoder != AUDIO:
        sound = rows[rows["encoder"] == AUDIO]
        audio = {
            str(name): cube(part, "error", places, shared)[0]
            for name, part in sound.groupby("distance", sort=False)
        }
    for distance, part in spaces.items():
        own = (distance, "") if one.encoder == AUDIO else ("", distance)
        error = cube(part, "error", places, shared)
        if same_clips:
            found[Question("C_W", *own)] = Answers(places, 1 - error)
            for name, heard in audio.items():
                agree = np.where(np.isnan(error + heard), np.nan, error == heard)
                found[Question("C_B_acc", name, distance)] = Answers(places, agree)
        if n is not None:
            by_clip = in_collections(one.run, part, places, shared, n=n)
            found[Question(f"C_W@{n}", *own)] = Answers(places, by_clip)
        steps = list(_ladders(one.run, places)) if ladders else []
        if steps:
            moved = cube(part, "d_own", places, shared)
            failed = ~np.isnan(error) & np.isnan(moved)
            value = np.stack(
                [
                    [
                        monotonicity(severity, trial[where].T, failed=lost[where].T)
                        for trial, lost in zip(moved, failed, strict=True)
                    ]
                    for _, where, severity in steps
                ],
                axis=1,
            )
            found[Question("monotonicity", *own)] = Answers([at for at, _, _ in steps], value)
    return found


def places_of(run: RunTables) -> list[Place]:
    """Return the points of a run's grid."""
    points = run.record["grid"]["points"]
    return [Place(str(code), float(magnitude)) for code, magnitude in points]


def cube(rows: pd.DataFrame, column: str, places: Sequence[Place], clips: Sequence[str]) -> Floats:
    """Return a column of queries as float64[trial, place, clip]."""
    points = pd.MultiIndex.from_tuples([(place.code, place.magnitude) for place in places])
    return np.stack(
        [
            trial.pivot(index=["transformation", "magnitude"], columns="clip_id", values=column)
            .reindex(index=points, columns=list(clips))
            .to_numpy(np.float64, na_value=np.nan)
            for _, trial in rows.groupby("trial")
        ]
    )


def in_collections(
    run: RunTables, rows: pd.DataFrame, places: Sequence[Place], clips: Sequence[str], *, n: int
) -> Floats:
    """Return the terms of C_W@n, float64[trial, place, clip]; 0 where the encoder failed.

    NaN where a query was not asked, or has fewer than n clips to be compared with.
    """
    error, rank = (cube(rows, column, places, clips) for column in ("error", "rank"))
    around = clips_around(run, rows, clips)
    terms = np.full(error.shape, np.nan)
    for number in np.unique(around):
        if number < n:
            continue
        here = (around == number) & ~np.isnan(error)
        lost = np.where(np.isnan(rank), number, rank)  # a failed query has the last rank
        terms[here] = within_space_at_by_clip(lost[here].astype(np.int64), n=n, n_clips=int(number))
    return terms


def clips_around(run: RunTables, rows: pd.DataFrame, clips: Sequence[str]) -> NDArray[np.intp]:
    """Count the clips, itself included, that every clip's queries were compared with.

    They are those that answer for themselves, and with ``--others group`` those of other groups.
    """
    still = rows[(rows["transformation"] == magnitudes.ORIGINAL) & rows["error"].notna()]
    there = set(still["clip_id"])
    total = len(there) or int(run.record["n"])
    if run.record.get("plan", {}).get("others", "all") != "group":
        return np.full(len(clips), total)
    group = used_clips(run)["group"]
    own = group[np.array([clip in there for clip in group.index], bool)].value_counts()
    return np.array([total - int(own.get(group[clip], 0)) + 1 for clip in clips])


def _ladders(run: RunTables, places: Sequence[Place]) -> Iterator[tuple[Place, list[int], Floats]]:
    """Yield every transformation and side of two magnitudes or more: its places and severities.

    The severity is that of the effective magnitude, as in the run's own monotonicity.
    """
    columns = ["transformation", "magnitude"]
    effective = run.queries.groupby(columns)["effective_magnitude"].median().to_dict()
    sides: dict[Place, list[int]] = {}
    for index, place in enumerate(places):
        side = magnitudes.side(place.code, place.magnitude)
        sides.setdefault(Place(place.code, math.nan, side), []).append(index)
    for at, where in sides.items():
        if len(where) > 1:
            asked = [places[index].magnitude for index in where]
            done = [effective.get((at.code, magnitude), magnitude) for magnitude in asked]
            yield at, where, np.array([magnitudes.severity(at.code, m) for m in done])


# -- C_W in a smaller collection -----------------------------------------------------------------
