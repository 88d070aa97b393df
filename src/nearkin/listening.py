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

from nearkin import audio
from nearkin.errors import NearkinError
from nearkin.experiment import Original, centre, transformed
from nearkin.grids import Point
from nearkin.plan import Plan
from nearkin.store import RunFolder, key
from nearkin.transforms import NoiseLibrary, transformation

if TYPE_CHECKING:
    import pandas as pd

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


def worst_failures(
    queries: pd.DataFrame, *, silent: tuple[str, ...] = ("constant",)
) -> pd.DataFrame:
    """Choose one failure for every encoder and transformation.

    Parameters
    ----------
    queries : pandas.DataFrame
        Rows of queries.parquet.
    silent : tuple of str
        Encoders without failures worth hearing.

    Returns
    -------
    pandas.DataFrame
        Columns `COLUMNS`; ordered by encoder, then transformation. No clip is chosen twice for an
        encoder while there are others.
    """
    lost = queries[
        (queries["space"] == "latent")
        & (queries["transformation"] != "OG")
        & ~queries["encoder"].isin(silent)
        & (queries["error"].fillna(0) == 1)
    ].copy()
    steps = _mildness(queries)
    lost["step"] = [
        steps[row] for row in zip(lost["transformation"], lost["magnitude"], strict=True)
    ]
    lost = lost.sort_values(
        ["step", "rank", "clip_id", "distance"], ascending=[True, False, True, True], kind="stable"
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


def _mildness(queries: pd.DataFrame) -> dict[tuple[str, float], int]:
    """Number every side's magnitudes from the mildest, 0, upwards."""
    points = queries[["transformation", "magnitude"]].drop_duplicates()
    sides: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for code, magnitude in points.itertuples(index=False):
        change = transformation(code, magnitude)
        sides.setdefault((code, change.side), []).append((change.severity, magnitude))
    return {
        (code, magnitude): step
        for (code, _), ladder in sides.items()
        for step, (_, magnitude) in enumerate(sorted(ladder))
    }
