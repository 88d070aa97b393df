"""What a run keeps while it works: a shard a recording, a shard a clip, two tables a point.

A shard is arrays without pickles and JSON, written whole or not at all; what is there is not made
again. It carries a checksum, and what it is *of*: a digest of the plan and of all that the plan is
done on. One that is damaged is removed; one that is of something else counts for nothing.
"""

from __future__ import annotations

import contextlib
import functools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nearkin.consistency import Neighbours
from nearkin.errors import RunError, printable
from nearkin.files import key, read_arrays, sha256_of, write_array, write_arrays, write_whole
from nearkin.ownership import TEMPORARY
from nearkin.runs.clips import Original, Queries, Vectors
from nearkin.workers import processor

if TYPE_CHECKING:
    import pandas as pd

FOLDERS = ("originals", "queries", "points", "attacks", "claims", "cluster")
"""The folders of shards, and of what workers of several machines leave."""
NAMES = re.compile(
    r"[0-9a-f]{20}\.(npz|npy|json|session|token)|\d{3,}(\.\w+\.parquet|\.npz)|used\.npz"
    r"|\w+-[0-9a-f]{20}(\.claim(\.\w+)?|\.\d+\.\w+\.attempt)"
)
"""What the files of shards are called."""
AGAIN = "give the same command again, it goes on where it stopped"


class Used(NamedTuple):
    """A clip that is used: its id, the recording whose shard holds it, its SHA-256 and group."""

    clip_id: str
    recording: str
    sha256: str
    group: str


class Shards:
    """Originals and queries, to and from their files.

    Parameters
    ----------
    work : Path
        The folder they lie in; it need not exist yet.
    of : str
        What the shards are of: those of something else are not read.

    Attributes
    ----------
    damaged : list of str
        What was found damaged, and removed.
    """

    def __init__(self, work: Path, of: str) -> None:
        self.work = work
        self.of = of
        self.damaged: list[str] = []

    def told(self) -> list[str]:
        """Say once what was damaged."""
        if not self.damaged:
            return []
        said = (
            f"{len(self.damaged)} files in {printable(self.work)} were damaged, such as that of "
            f"'{self.damaged[0]}'; they were removed and are made again"
        )
        self.damaged.clear()
        return [said]

    def write(self, path: Path, notes: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """Write a shard."""
        write_arrays(path, {"of": self.of, "processor": processor(), **notes}, arrays)

    def read(
        self, path: Path, name: str, *, without: str | None = None
    ) -> tuple[dict[str, Any], dict[str, NDArray[Any]]] | None:
        """Read a shard; None where there is none of this, whole. A damaged one is removed."""
        found = read_arrays(path, without=without)
        if found is None:
            self._remove(path, name)
        return None if found is None or found[0].get("of") != self.of else found

    def _remove(self, path: Path, name: str) -> None:
        if path.is_file() and not path.is_symlink():
            self.damaged.append(name)
            path.unlink(missing_ok=True)

    # -- the clips that are used -----------------------------------------------------------------

    def write_used(self, used: Sequence[Used]) -> None:
        """Keep which clips are used, in order."""
        self.write(self.work / "used.npz", {"used": used}, {})

    def read_used(self) -> tuple[Used, ...]:
        """Return the clips that are used.

        Raises
        ------
        RunError
            If they are not known.
        """
        found = self.read(self.work / "used.npz", "used.npz")
        if found is None:
            raise RunError(f"{printable(self.work)}: lost its list of clips; {AGAIN}")
        return tuple(Used(*row) for row in found[0]["used"])

    # -- originals -------------------------------------------------------------------------------

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
        self.write(self.originals_path(recording), {"rows": rows}, arrays)

    def read_originals(self, recording: str, *, audio: bool = True) -> list[Original] | None:
        """Return the clips of one recording, or None if they are not there (whole).

        Parameters
        ----------
        recording : str
            The recording's name.
        audio : bool
            Read the contexts too; without them `Original.context` is empty.
        """
        path = self.originals_path(recording)
        found = self.read(path, recording, without=None if audio else "context")
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

    def has_originals(self, recording: str) -> bool:
        """Tell whether the clips of one recording are there, whole; what is damaged is removed."""
        return self.read(self.originals_path(recording), recording) is not None

    def queries_path(self, clip_id: str) -> Path:
        """Return where the queries of one clip are kept while the run works."""
        return self.work / "queries" / f"{key(clip_id)}.npz"

    def distances_path(self, clip_id: str) -> Path:
        """Return where one clip's audio distances are kept, [distance, point, K originals]."""
        return self.work / "queries" / f"{key(clip_id)}.npy"

    def write_queries(self, clip_id: str, queries: Queries) -> None:
        """Keep the queries of one clip; the shard counts only when both files are there."""
        sha256 = write_array(self.distances_path(clip_id), queries.distances)
        arrays: dict[str, NDArray[Any]] = {"effective": queries.effective}
        for number, found in enumerate(queries.audio):
            arrays[f"audio{number}"] = np.stack([found.rank, found.nearest])
            arrays[f"moved{number}"] = np.stack([found.d_own, found.d_nearest])
        notes = {
            "distances": sha256,
            "status": queries.status,
            "n_clips": [found.n_clips for found in queries.audio],
            "vectors": _pack(queries.vectors, "", arrays),
        }
        self.write(self.queries_path(clip_id), notes, arrays)

    def read_queries(self, clip_id: str) -> Queries | None:
        """Return the queries of one clip (distances memory-mapped), or None."""
        found = self.read(self.queries_path(clip_id), clip_id)
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
            processor=str(notes.get("processor", "")),
        )

    def has_queries(self, clip_id: str) -> bool:
        """Tell whether the queries of one clip are there, whole; what is damaged is removed."""
        found = self.read(self.queries_path(clip_id), clip_id)
        if found is None:
            return False
        if sha256_of(self.distances_path(clip_id)) == found[0].get("distances"):
            return True
        self._remove(self.distances_path(clip_id), clip_id)
        return False

    # -- points ----------------------------------------------------------------------------------

    def point_path(self, index: int, table: str) -> Path:
        """Return where one point's rows of a table are kept while the run works."""
        return self.work / "points" / f"{index:03d}.{table}.parquet"

    def write_point(self, index: int, tables: Mapping[str, pd.DataFrame]) -> None:
        """Keep one point's rows; they count only when their seal, written last, is there."""
        sha256 = {}
        for name, table in tables.items():
            path = self.point_path(index, name)
            write_whole(path, functools.partial(_put_table, table))
            sha256[name] = sha256_of(path)
        self.write(self._seal(index), {"sha256": sha256}, {})

    def has_point(self, index: int) -> bool:
        """Tell whether one point's rows are there, whole; what is damaged is removed."""
        name = f"point {index}"
        found = self.read(self._seal(index), name)
        if found is None:
            return False
        for table, sha256 in found[0]["sha256"].items():
            if sha256_of(self.point_path(index, table)) != sha256:
                self._remove(self.point_path(index, table), name)
                return False
        return True

    def _seal(self, index: int) -> Path:
        return self.work / "points" / f"{index:03d}.npz"


def shard_files(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder that are shards, or begun ones; follow no link."""
    if folder.is_symlink() or not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if path.is_symlink():
            continue
        if path.is_dir():
            yield from shard_files(path)
        elif NAMES.fullmatch(path.name) or TEMPORARY.fullmatch(path.name):
            yield path


def clear_shards(folder: Path) -> None:
    """Delete the shards below a folder, and the folders that are empty then."""
    folders = {folder, *(folder / name for name in FOLDERS)}
    for path in shard_files(folder):
        path.unlink(missing_ok=True)
        folders.add(path.parent)
    for one in sorted(folders, key=lambda one: -len(one.parts)):
        with contextlib.suppress(OSError):  # it is not there, is a link, or holds something else
            one.rmdir()


def sweep_shards(folder: Path) -> None:
    """Delete what killed commands left half-written below a folder."""
    for path in shard_files(folder):
        if TEMPORARY.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _put_table(table: pd.DataFrame, file: BinaryIO) -> None:
    table.to_parquet(file)


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
