"""The failures worth hearing: which queries went wrong at the mildest change, and their sounds.

For every encoder and transformation the mildest magnitude at which a clip was lost is looked up,
and of the clips lost there the one with the highest rank. Three sounds belong to it: the changed
clip, its own original, and the intruder that lay nearer.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nearkin import audio
from nearkin.errors import NearkinError
from nearkin.files import key
from nearkin.runs.clips import Original
from nearkin.runs.describe import centre
from nearkin.runs.folder import RunFolder
from nearkin.runs.plan import IDENTITY, Plan
from nearkin.runs.queries import transformed
from nearkin.transforms import NoiseLibrary, magnitudes
from nearkin.transforms.grids import Grid, Point

if TYPE_CHECKING:
    import pandas as pd

SILENT = ("constant",)
"""Encoders without failures worth hearing."""
PLAYER_KBPS = 64
PLAYER_RATE = 22_050
COLUMNS = (
    "encoder",
    "task",
    "trial",
    "distance",
    "transformation",
    "magnitude",
    "clip_id",
    "nearest_id",
    "rank",
    "d_own",
    "d_nearest",
    "margin",
)


def candidates(rows: pd.DataFrame, *, most: int = 20) -> pd.DataFrame:
    """Reduce one point's rows of queries.parquet to what `worst_failures` may choose from.

    Parameters
    ----------
    rows : pandas.DataFrame
        All queries of one point.
    most : int
        Errors kept of every encoder, trial and distance: those with the highest ranks.

    Returns
    -------
    pandas.DataFrame
        Errors in latent spaces, columns `COLUMNS`; none of the identity and of `SILENT`.
    """
    lost = rows[
        (rows["space"] == "latent")
        & (rows["transformation"] != IDENTITY.code)
        & ~rows["encoder"].isin(SILENT)
        & (rows["error"].fillna(0) == 1)
        & rows["nearest_id"].notna()  # an encoder's own failure cannot be heard
    ]
    lost = lost.sort_values(["rank", "clip_id"], ascending=[False, True], kind="stable")
    keys = ["encoder", "task", "trial", "distance"]
    return lost.groupby(keys, sort=False).head(most)[list(COLUMNS)]


def worst_failures(lost: pd.DataFrame, grid: Grid) -> pd.DataFrame:
    """Choose one failure for every encoder and transformation.

    Parameters
    ----------
    lost : pandas.DataFrame
        The `candidates` of all points.
    grid : Grid
        The run's grid: it says which magnitude is the mildest.

    Returns
    -------
    pandas.DataFrame
        Columns `COLUMNS`; ordered by encoder, then transformation. No clip is chosen twice for an
        encoder while there are others.
    """
    steps = _mildness(grid)
    lost = lost.assign(
        step=[steps[row] for row in zip(lost["transformation"], lost["magnitude"], strict=True)]
    )
    lost = lost.sort_values(
        ["step", "rank", "clip_id", "distance"],
        ascending=[True, False, True, True],
        kind="stable",
        ignore_index=True,
    )
    chosen: list[Any] = []
    for _, part in lost.groupby(["encoder", "task"], sort=False):
        heard: set[str] = set()
        for _, errors in part.groupby("transformation", sort=False):
            fresh = errors[~errors["clip_id"].isin(heard)]
            first = (fresh if len(fresh) else errors).iloc[0]
            heard.add(str(first["clip_id"]))
            chosen.append(first.name)
    order = ["encoder", "task", "transformation"]
    return lost.loc[chosen, list(COLUMNS)].sort_values(order, kind="stable", ignore_index=True)


def write_sounds(
    failures: pd.DataFrame,
    *,
    plan: Plan,
    folder: RunFolder,
    original: Callable[[str], Original],
    noise: NoiseLibrary,
) -> pd.DataFrame:
    """Write the three sounds of every failure under ``audio/`` as MP3.

    Parameters
    ----------
    failures : pandas.DataFrame
        What `worst_failures` chose.
    plan, folder, noise
        The run.
    original : callable
        Gives a clip by its id.

    Returns
    -------
    pandas.DataFrame
        The failures with the columns ``query_audio``, ``own_audio`` and ``nearest_audio``: names
        of files under ``audio/``; empty where a sound could not be made.
    """
    columns = ("query_audio", "own_audio", "nearest_audio")
    names: dict[str, list[str]] = {column: [] for column in columns}
    for row in failures.itertuples(index=False):
        own, nearest = original(str(row.clip_id)), original(str(row.nearest_id))
        point = Point(str(row.transformation), float(row.magnitude))  # type: ignore[arg-type]
        try:
            changed = transformed(plan, own, point, noise=noise).heard
        except NearkinError:
            changed = None
        heard = {
            f"{own.clip_id} {point}": changed,
            own.clip_id: centre(own.context, plan.clip_samples),
            nearest.clip_id: centre(nearest.context, plan.clip_samples),
        }
        written = write_together(folder, heard, plan.working_rate)
        for column, name in zip(columns, written, strict=True):
            names[column].append(name)
    return failures.assign(**names)


def write_together(
    folder: RunFolder, heard: Mapping[str, NDArray[np.float32] | None], rate: int
) -> list[str]:
    """Write sounds that are heard side by side; return their files' names, "" for a missing one.

    A browser's player clips above full scale: where one of them would, all are made quieter by as
    much, so that their loudness stays comparable.
    """
    signals = {
        name: audio.resample(y, from_sr=rate, to_sr=PLAYER_RATE)
        for name, y in heard.items()
        if y is not None
    }
    peak = max((float(np.abs(y).max()) for y in signals.values()), default=0.0)
    gain = np.float32(1 / max(peak, 1.0))
    files = []
    for name in heard:
        if name not in signals:
            files.append("")
            continue
        path = folder.root / "audio" / f"{key(f'{name} {gain}')}.mp3"
        if not folder.owned.is_whole(path):
            encoded = audio.encode_mp3(signals[name] * gain, sr=PLAYER_RATE, kbps=PLAYER_KBPS)
            folder.write(path, functools.partial(_put, encoded))
        files.append(path.name)
    return files


def _put(content: bytes, file: BinaryIO) -> None:
    file.write(content)


def _mildness(grid: Grid) -> dict[tuple[str, float], int]:
    """Number every side's magnitudes from the mildest, 0, upwards."""
    sides: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for code, value in grid.points:
        key = (code, magnitudes.side(code, value))
        sides.setdefault(key, []).append((magnitudes.severity(code, value), value))
    return {
        (code, value): step
        for (code, _), ladder in sides.items()
        for step, (_, value) in enumerate(sorted(ladder))
    }
