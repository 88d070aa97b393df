"""The embeddings that a run kept: arrays in, nothing computed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nearkin.errors import RunError, printable
from nearkin.files import NO_ARRAYS, file_name
from nearkin.transforms.magnitudes import Point

AGAIN = "give the run's command again, with --force where it says the run is finished"


@dataclass(frozen=True)
class RunEmbeddings:
    """What one encoder made of a run's clips.

    Attributes
    ----------
    clip_ids : tuple of str
    points : tuple of Point
        The original (OG) among them.
    originals : float64[clip, dimension]
    changed : float64[clip, point, dimension]
        NaN where there is no answer.
    """

    clip_ids: tuple[str, ...]
    points: tuple[Point, ...]
    originals: NDArray[np.float64]
    changed: NDArray[np.float64]

    def path(self, points: Sequence[Point]) -> NDArray[np.float64]:
        """Return float64[clip, 1 + point, dimension]: the original, then the points named."""
        places = [self.points.index(point) for point in points]
        return np.concatenate([self.originals[:, None], self.changed[:, places]], axis=1)


def read_embeddings(root: Path, label: str) -> RunEmbeddings:
    """Read the embeddings of one encoder from a run's folder.

    Parameters
    ----------
    root : Path
        The run's folder.
    label : str
        The encoder's label in run.json.

    Raises
    ------
    RunError
        If they are missing, damaged, or do not fit one another.
    """
    folder = root / "embeddings"
    try:
        ids = json.loads((folder / "ids.json").read_text("utf-8"))
        stem = file_name(label)
        originals = np.load(folder / f"{stem}.originals.npy", allow_pickle=False)
        changed = np.load(folder / f"{stem}.npy", allow_pickle=False)
        names = tuple(str(name) for name in ids["clip_id"])
        points = tuple(Point(str(code), float(magnitude)) for code, magnitude in ids["points"])
    except NO_ARRAYS as error:
        told = " ".join(str(error).split())
        raise RunError(
            f"{printable(folder)}: the embeddings of '{label}' cannot be read ({told}); {AGAIN}"
        ) from error
    shape = (len(names), len(points), originals.shape[-1] if originals.ndim else 0)
    if originals.shape != shape[::2] or changed.shape != shape:
        raise RunError(
            f"{printable(folder)}: arrays of '{label}' of shape {list(originals.shape)} and "
            f"{list(changed.shape)} for {shape[0]} clips and {shape[1]} points: do not fit; {AGAIN}"
        )
    return RunEmbeddings(names, points, originals.astype(np.float64), changed.astype(np.float64))
