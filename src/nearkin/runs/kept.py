"""The embeddings that a finished run keeps, read again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nearkin.errors import RunError, printable
from nearkin.files import NO_ARRAYS
from nearkin.runs.folder import RunFolder
from nearkin.transforms.magnitudes import Point


class Kept(NamedTuple):
    """A run's embeddings: ids of N clips, P points, and the arrays of every encoder.

    ``arrays`` holds (row of run.json, originals[N, D], queries[N, P, D]), NaN where it failed.
    """

    clip_ids: list[str]
    points: list[Point]
    arrays: list[tuple[Mapping[str, Any], NDArray[np.floating], NDArray[np.floating]]]


def kept_embeddings(folder: RunFolder, record: Mapping[str, Any]) -> Kept | None:
    """Read the embeddings of the first trial of every encoder; None where the run keeps none.

    Raises
    ------
    RunError
        If a file is damaged.
    """
    root = folder.root / "embeddings"
    if not (root / "ids.json").is_file():
        return None
    arrays = []
    try:
        ids = json.loads((root / "ids.json").read_text("utf-8"))
        names = [str(name) for name in ids["clip_id"]]
        points = [Point(str(code), float(magnitude)) for code, magnitude in ids["points"]]
        for row in record["encoders"]:
            label = str(row.get("label") or row["name"])
            path = folder.embeddings_path(label, of="originals")
            if not path.is_file() or int(row.get("trial") or 1) != 1:
                continue
            folder.require_embeddings(label)
            originals = np.load(path, allow_pickle=False)
            queries = np.load(folder.embeddings_path(label), mmap_mode="r", allow_pickle=False)
            if queries.shape != (len(names), len(points), originals.shape[-1]):
                raise ValueError(f"'{label}' has values of {list(queries.shape)}")
            arrays.append((row, originals, queries))
    except NO_ARRAYS as error:
        told = " ".join(str(error).split())
        raise RunError(f"{printable(root)}: cannot be read ({told}); run anew") from error
    return Kept(names, points, arrays)
