"""How much is heard of every change of a finished run: perception.parquet, a row a clip and point.

Quality changes are heard by `nearkin.audio.perception` on the clips that the encoders heard; tempo,
pitch, speed and time are counted in just noticeable differences. A unit is a clip: it is read anew
from its recording, made again at every point and compared with itself. Units may run anywhere, in
any order, again after an interruption.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nearkin import audio
from nearkin.audio.perception import BEST, heard
from nearkin.errors import InputError, NearkinError, printable
from nearkin.files import key
from nearkin.lease import leased
from nearkin.optional import need
from nearkin.progress import Progress, Tell, silent, unsaid
from nearkin.runs.clips import Original
from nearkin.runs.describe import centre, stored
from nearkin.runs.exchange import plan_of
from nearkin.runs.folder import RunFolder
from nearkin.runs.plan import IDENTITY, Plan
from nearkin.runs.queries import noise_library, transformation_at, transformed
from nearkin.runs.shards import Shards, clear_shards
from nearkin.tables import OK, PERCEPTION
from nearkin.transforms import NoiseLibrary
from nearkin.transforms.grids import Point
from nearkin.workers import open_workers

if TYPE_CHECKING:
    import pandas as pd

UNHEARD = "its kind of change has no scale"
LOUDNESS_LU = 0.01
"""By how much a clip that is read again may differ in loudness."""


class Work(NamedTuple):
    """What every unit is given."""

    plan: Plan
    shards: Shards
    clips: Mapping[str, Mapping[str, Any]]
    noise: NoiseLibrary
    root: Path


def perceive(
    folder: RunFolder,
    *,
    root: Path = Path(),
    workers: int = 1,
    progress: Progress = silent,
    tell: Tell = unsaid,
) -> pd.DataFrame:
    """Measure how much is heard of every change of a finished run; go on where it stopped.

    Parameters
    ----------
    folder : RunFolder
        A finished run.
    root : Path
        The folder that relative paths of its clips begin in: where the run's command was given.
    workers : int
        Processes; their number changes no result.
    progress, tell : callable
        See `nearkin.progress`.

    Returns
    -------
    pandas.DataFrame
        The table perception.parquet, columns `nearkin.tables.PERCEPTION`.

    Raises
    ------
    ExtraError
        If Zimtohrli is not installed.
    InputError
        If the run is not finished, or no clip can be read again as it was.
    """
    import pandas as pd

    need("zimtohrli", extra="perception")
    record = folder.read_run()
    if record is None or not record.get("finished"):
        raise InputError(
            f"{folder.root}: holds no finished run; give its nearkin run command first"
        )
    plan = plan_of(record["plan"], ())
    clips = folder.read_table("clips")
    used = clips[clips["status"] == OK].sort_values("clip_id")
    told = json.dumps([record["created"], record["plan"], metadata.version("zimtohrli")])
    shards = Shards(folder.work / "perception", hashlib.sha256(told.encode()).hexdigest())
    rows: dict[str, dict[str, Any]] = {
        str(row["clip_id"]): {str(name): value for name, value in row.items()}
        for row in used.to_dict("records")
    }
    folder.claim()
    with leased(folder.root) as lease:
        work = Work(plan, shards, rows, noise_library(plan), root)
        todo = [clip_id for clip_id in rows if _rows(work, clip_id) is None]
        for sentence in shards.told():
            tell(sentence)
        progress("perception", len(rows) - len(todo), len(rows))
        with open_workers(work, workers=workers) as pool:
            there = len(rows) - len(todo)
            for done, _ in enumerate(pool.map(_unit, todo), start=there + 1):
                progress("perception", done, len(rows))
        found = [row for clip_id in rows for row in _rows(work, clip_id) or ()]
        table = pd.DataFrame(found, columns=list(PERCEPTION))
        lost = table[table["status"].str.startswith("failed")]
        failed = lost.drop_duplicates("clip_id")
        if len(failed) == len(rows):
            status = failed["status"].iloc[0].removeprefix("failed: ")
            raise InputError(f"no clip of {printable(folder.root)} can be read again: {status}")
        for _, row in failed.head(4).iterrows():
            tell(f"clip {row['clip_id']}: {row['status']}")
        lease.require()
        folder.write_table("perception", table)
    clear_shards(shards.work)
    return table


def _path(work: Work, clip_id: str) -> Path:
    return work.shards.work / f"{key(clip_id)}.npz"


def _rows(work: Work, clip_id: str) -> list[dict[str, Any]] | None:
    found = work.shards.read(_path(work, clip_id), clip_id)
    if found is None:
        return None
    return [
        {name: math.nan if value is None else value for name, value in row.items()}
        for row in found[0]["rows"]
    ]


def _unit(work: Work, clip_id: str) -> None:
    rows = [
        {name: None if value != value else value for name, value in row.items()}
        for row in perceived(work, clip_id)
    ]
    work.shards.write(_path(work, clip_id), {"rows": rows}, {})


def perceived(work: Work, clip_id: str) -> list[dict[str, Any]]:
    """Return the rows of one clip, one a point of the run."""
    plan = work.plan
    nothing = {"effective_magnitude": math.nan, "mos": math.nan, "zimtohrli": math.nan}
    try:
        original = read_again(plan, work.root, work.clips[clip_id])
        clip = centre(original.context, plan.clip_samples)
        if clip is None:
            raise InputError("is shorter than a clip now; restore the file")
        before, failure = stored(plan, clip), ""
    except (NearkinError, OSError) as error:
        failure = f"failed: {_in_one_line(error)}"
    rows = []
    for point in plan.points:
        made = transformation_at(plan, point, noise=work.noise)
        scale = "" if made.moves_time and made.scale == "mos" else made.scale
        row = {"clip_id": clip_id, "transformation": point.code, "magnitude": point.magnitude}
        row |= {**nothing, "scale": scale, "jnd": made.jnds(), "status": failure or OK}
        if point == IDENTITY:
            row |= {"effective_magnitude": 0.0, "mos": BEST, "zimtohrli": 0.0, "jnd": 0.0}
        elif not failure:
            row |= _row(plan, original, point, before, scale, work.noise)
        rows.append(row)
    return rows


def _row(
    plan: Plan,
    original: Original,
    point: Point,
    before: np.ndarray[Any, np.dtype[np.float32]],
    scale: str,
    noise: NoiseLibrary,
) -> dict[str, Any]:
    """Return what was heard of one point."""
    if scale == "jnd":
        return {"effective_magnitude": point.magnitude}
    if not scale:
        return {"effective_magnitude": point.magnitude, "status": UNHEARD}
    try:
        version = transformed(plan, original, point, noise=noise)
        mos, distance = heard(before, version.heard, sr=plan.working_rate)
    except NearkinError as error:
        return {"status": _in_one_line(error)}
    effective = float(version.effective_magnitude)
    return {"effective_magnitude": effective, "mos": mos, "zimtohrli": distance}


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def read_again(plan: Plan, root: Path, row: Mapping[str, Any]) -> Original:
    """Read a clip's context from its recording, and make sure that it is the one of the run.

    Parameters
    ----------
    plan : Plan
        The run's.
    root : Path
        The folder that relative paths of clips begin in.
    row : mapping
        The clip's row in clips.parquet.

    Raises
    ------
    InputError, OSError
        If its file is another one now, or cannot be read as it was.
    """
    path = root / str(row["path"])
    if audio.sha256_file(path) != row["content_sha256"]:
        raise InputError("its file is not the one the run heard; restore it or run anew")
    place = (float(row["start_s"]), float(row["duration_s"]))
    [excerpt] = audio.read_excerpts(path, lambda _: [place], sr=plan.working_rate).excerpts
    if isinstance(excerpt.signal, InputError):
        raise excerpt.signal
    context = excerpt.signal
    measured = context if plan.loudness_window == "full" else centre(context, plan.clip_samples)
    lufs = math.nan if measured is None else audio.loudness_lufs(measured, sr=plan.working_rate)
    if not abs(lufs - row["loudness_lufs"]) < LOUDNESS_LU:
        raise InputError(
            f"its clip of {lufs:.2f} LUFS was at {row['loudness_lufs']:.2f} LUFS in the run: is "
            "decoded otherwise here; run anew"
        )
    return Original(
        clip_id=str(row["clip_id"]),
        path=str(row["path"]),
        start_s=float(row["start_s"]),
        duration_s=float(row["duration_s"]),
        loudness_lufs=float(row["loudness_lufs"]),
        content_sha256=str(row["content_sha256"]),
        group=str(row["group"]),
        status=OK,
        context=context,
        frames=np.zeros((0, 0), np.float32),
    )
