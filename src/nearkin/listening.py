"""The failures worth hearing: which queries went wrong at the mildest change, and their sounds.

For every encoder and transformation the mildest magnitude at which a clip was lost is looked up,
and of the clips lost there the one with the highest rank. Three sounds belong to it: the changed
clip, its own original, and the intruder that lay nearer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nearkin import audio, magnitudes
from nearkin.errors import NearkinError
from nearkin.experiment import Original, centre, transformed
from nearkin.grids import Grid, Point
from nearkin.plan import IDENTITY, Plan
from nearkin.store import RunFolder, key
from nearkin.transforms import NoiseLibrary

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
    sounds: dict[str, list[str]] = {"query_audio": [], "own_audio": [], "nearest_audio": []}
    for row in failures.itertuples(index=False):
        own = original(str(row.clip_id))
        point = Point(str(row.transformation), float(row.magnitude))  # type: ignore[arg-type]
        try:
            changed = transformed(plan, own, point, noise=noise).heard
            name = _write(folder, f"{own.clip_id} {point}", changed, plan.working_rate)
        except NearkinError:
            name = ""
        sounds["query_audio"].append(name)
        for column, clip_id in (("own_audio", row.clip_id), ("nearest_audio", row.nearest_id)):
            clip = original(str(clip_id))
            heard = centre(clip.context, plan.clip_samples)
            name = "" if heard is None else _write(folder, clip.clip_id, heard, plan.working_rate)
            sounds[column].append(name)
    return failures.assign(**sounds)


def _write(folder: RunFolder, name: str, y: NDArray[np.float32], rate: int) -> str:
    path = folder.root / "audio" / f"{key(name)}.mp3"
    if not path.is_file():
        signal = audio.resample(y, from_sr=rate, to_sr=PLAYER_RATE)
        peak = float(np.abs(signal).max())
        if peak > 1:  # a browser's player would clip it
            signal = signal / np.float32(peak)
        encoded = audio.encode_mp3(signal, sr=PLAYER_RATE, kbps=PLAYER_KBPS)
        folder.write(path, lambda file: file.write(encoded))
    return path.name


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
