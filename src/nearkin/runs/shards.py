"""What a run keeps while it works: a shard a recording, a shard a clip, two tables a point.

A shard is arrays without pickles and JSON, written whole or not at all; what is there is not made
again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearkin.consistency import Neighbours
from nearkin.files import key, read_arrays, write_array, write_arrays
from nearkin.runs.clips import Original, Queries, Vectors


class Shards:
    """Originals and queries, to and from their files.

    Parameters
    ----------
    work : Path
        The folder they lie in; it need not exist yet.
    """

    def __init__(self, work: Path) -> None:
        self.work = work

    def originals_path(self, recording: str) -> Path:
        """Return where the clips of one recording are kept while the run works."""
        return self.work / "originals" / f"{key(recording)}.npz"

    def write_originals(self, recording: str, clips: list[Original]) -> None:
        """Keep the clips of one recording."""
        arrays: dict[str, NDArray[Any]] = {}
        rows = []
        for number, clip in enumerate(clips):
            arrays[f"context{number}"] = clip.context
            arrays[f"frames{number}"] = clip.frames
            rows.append({**clip_row(clip), "vectors": _pack(clip.vectors, f"{number}", arrays)})
        write_arrays(self.originals_path(recording), {"rows": rows}, arrays)

    def read_originals(self, recording: str, *, audio: bool = True) -> list[Original] | None:
        """Return the clips of one recording, or None if they are not there (whole).

        Parameters
        ----------
        recording : str
            The recording's name.
        audio : bool
            Read the contexts too; without them `Original.context` is empty.
        """
        found = read_arrays(self.originals_path(recording), without=None if audio else "context")
        if found is None:
            return None
        notes, arrays = found
        nothing = np.zeros(0, np.float32)
        return [
            Original(
                **_row_values(row),
                context=arrays[f"context{number}"] if audio else nothing,
                frames=arrays[f"frames{number}"],
                vectors=_unpack(row["vectors"], arrays),
            )
            for number, row in enumerate(notes["rows"])
        ]

    def queries_path(self, clip_id: str) -> Path:
        """Return where the queries of one clip are kept while the run works."""
        return self.work / "queries" / f"{key(clip_id)}.npz"

    def distances_path(self, clip_id: str) -> Path:
        """Return where one clip's audio distances are kept, [distance, point, K originals]."""
        return self.work / "queries" / f"{key(clip_id)}.npy"

    def write_queries(self, clip_id: str, queries: Queries) -> None:
        """Keep the queries of one clip; the shard counts only when both files are there."""
        write_array(self.distances_path(clip_id), queries.distances)
        arrays: dict[str, NDArray[Any]] = {"effective": queries.effective}
        for number, found in enumerate(queries.audio):
            arrays[f"audio{number}"] = np.stack([found.rank, found.nearest])
            arrays[f"moved{number}"] = np.stack([found.d_own, found.d_nearest])
        notes = {
            "status": queries.status,
            "n_clips": [found.n_clips for found in queries.audio],
            "vectors": _pack(queries.vectors, "", arrays),
        }
        write_arrays(self.queries_path(clip_id), notes, arrays)

    def read_queries(self, clip_id: str) -> Queries | None:
        """Return the queries of one clip (distances memory-mapped), or None."""
        found = read_arrays(self.queries_path(clip_id))
        if found is None:
            return None
        notes, arrays = found
        try:
            distances = np.load(self.distances_path(clip_id), mmap_mode="r")
        except (OSError, ValueError, EOFError):
            return None
        return Queries(
            effective=arrays["effective"],
            status=tuple(notes["status"]),
            audio=tuple(
                Neighbours.of(rank, nearest, d_own, d_nearest, n_clips)
                for number, n_clips in enumerate(notes["n_clips"])
                for rank, nearest in [arrays[f"audio{number}"]]
                for d_own, d_nearest in [arrays[f"moved{number}"]]
            ),
            distances=distances,
            vectors=_unpack(notes["vectors"], arrays),
        )

    def has_queries(self, clip_id: str) -> bool:
        """Tell whether the queries of one clip are there."""
        return self.queries_path(clip_id).is_file() and self.distances_path(clip_id).is_file()

    def point_path(self, index: int, table: str) -> Path:
        """Return where one point's rows of a table are kept while the run works."""
        return self.work / "points" / f"{index:03d}.{table}.parquet"


def clip_row(clip: Original) -> dict[str, Any]:
    """Return a clip's row of clips.parquet."""
    return {
        "clip_id": clip.clip_id,
        "path": clip.path,
        "start_s": clip.start_s,
        "duration_s": clip.duration_s,
        "loudness_lufs": clip.loudness_lufs,
        "content_sha256": clip.content_sha256,
        "group": clip.group,
        "status": clip.status,
        "note": clip.note,
        "sound_sha256": clip.sound_sha256,
    }


def _pack(
    vectors: Mapping[str, Vectors], prefix: str, arrays: dict[str, NDArray[Any]]
) -> list[dict[str, Any]]:
    notes = []
    for number, (label, found) in enumerate(vectors.items()):
        name = ""
        if found.array is not None:
            name = f"vectors{prefix}_{number}"
            arrays[name] = found.array
        notes.append(
            {"label": label, "array": name, "status": found.status, "failure": found.failure}
        )
    return notes


def _unpack(notes: list[dict[str, Any]], arrays: Mapping[str, NDArray[Any]]) -> dict[str, Vectors]:
    return {
        note["label"]: Vectors(
            array=arrays[note["array"]] if note["array"] else None,
            status=tuple(note["status"]),
            failure=note["failure"],
        )
        for note in notes
    }


def _row_values(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a clip's columns from JSON, where what is not a number is null."""
    values = {name: value for name, value in row.items() if name != "vectors"}
    for name in ("start_s", "duration_s", "loudness_lufs"):
        values[name] = math.nan if values[name] is None else values[name]
    return values
