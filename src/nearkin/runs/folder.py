"""A run's folder: shards while it works, tables when it is done, nothing half-written ever.

Every file is written under a temporary name and renamed, so that a kill at any moment loses only
the unit in work. ``work/`` holds the shards (arrays without pickles, and JSON) and goes when the
run is finished; the tables, ``run.json``, ``embeddings/``, ``audio/`` and the report stay.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import hashlib
import json
import math
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nearkin.consistency import Neighbours
from nearkin.errors import InputError, RunError
from nearkin.files import disk_full, write_whole
from nearkin.runs.clips import Original, Queries, Vectors

if TYPE_CHECKING:
    import pandas as pd

TABLES = ("clips", "queries", "consistency", "failures")
FOLDERS = ("work", "embeddings", "distances", "figures", "audio", "analysis")
FILES = (
    "run.json",
    "report.html",
    "consistency.csv",
    *(f"{name}.parquet" for name in TABLES),
)
PERFORMANCE_FILES = (
    "performance.json",
    "performance.parquet",
    "performance.csv",
    "performance_clips.parquet",
)
"""What ``nearkin perform`` adds to a run's folder, or keeps in one of its own."""
CONTENT = (*FOLDERS, *FILES, *PERFORMANCE_FILES)


ANALYSIS = ("gam", "anova", "marginal_means", "contrasts", "correlations")
LABELS = (
    *("measure", "audio_distance", "latent_distance", "factor", "level", "level_a", "level_b"),
    *(
        "encoder",
        "task",
        "transformation",
        "term",
        "at",
        "status",
        "trial_status",
        "kind",
        "a",
        "b",
    ),
)


class RunFolder:
    """Paths, shards and tables of one run.

    Parameters
    ----------
    root : Path
        The folder; it need not exist yet.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.work = root / "work"

    # -- the folder ------------------------------------------------------------------------------

    def claim(self) -> None:
        """Make the folder ready to be written to.

        Raises
        ------
        InputError
            If it cannot be created or written, or holds something that is no run.
        """
        if self.root.exists() and not self.root.is_dir():
            raise InputError(f"--out {self.root}: is a file; name a folder")
        if self.root.is_dir() and not self.is_run() and any(self.root.iterdir()):
            raise InputError(
                f"--out {self.root}: holds something that is no nearkin run; name another folder"
            )
        try:
            self.work.mkdir(parents=True, exist_ok=True)
            probe = self.work / f".probe-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise disk_full(self.root) from error
            raise InputError(
                f"--out {self.root}: cannot be written ({error.strerror}); name another folder"
            ) from error
        for leftover in self.work.rglob("*.tmp"):
            leftover.unlink(missing_ok=True)

    def is_run(self) -> bool:
        """Tell whether the folder holds a run or task scores, finished or begun."""
        records = (self.root / "run.json", self.root / "performance.json")
        return any(path.is_file() for path in records) or self.work.is_dir()

    def clear(self) -> None:
        """Delete everything a run writes, and nothing else."""
        for name in FOLDERS:
            shutil.rmtree(self.root / name, ignore_errors=True)
        for name in (*FILES, *PERFORMANCE_FILES):
            (self.root / name).unlink(missing_ok=True)

    def finish(self) -> None:
        """Delete the shards."""
        shutil.rmtree(self.work, ignore_errors=True)

    # -- run.json --------------------------------------------------------------------------------

    def read_run(self) -> dict[str, Any] | None:
        """Return run.json, or None where no run has begun.

        Raises
        ------
        RunError
            If it cannot be read.
        """
        return self._read_record("run.json", "start anew")

    def write_run(self, run: Mapping[str, Any]) -> None:
        """Write run.json."""
        self._write_record("run.json", run)

    def read_performance(self) -> dict[str, Any] | None:
        """Return performance.json, or None where no task was scored.

        Raises
        ------
        RunError
            If it cannot be read.
        """
        return self._read_record("performance.json", "score anew")

    def write_performance(self, record: Mapping[str, Any]) -> None:
        """Write performance.json."""
        self._write_record("performance.json", record)

    def _read_record(self, name: str, remedy: str) -> dict[str, Any] | None:
        path = self.root / name
        try:
            record: dict[str, Any] = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise RunError(f"{path}: cannot be read ({error}); use --force to {remedy}") from error
        return record

    def _write_record(self, name: str, record: Mapping[str, Any]) -> None:
        text = json.dumps(finite(record), indent=2, ensure_ascii=False, allow_nan=False)
        self.write(self.root / name, lambda file: file.write(text.encode() + b"\n"))

    # -- tables ----------------------------------------------------------------------------------

    def write_table(self, name: str, table: pd.DataFrame, *, csv: bool = False) -> None:
        """Write ``name.parquet`` and, on request, ``name.csv``."""
        path = self.root / f"{name}.parquet"
        self.write(path, lambda file: table.to_parquet(file, index=False))
        if csv:
            self.write_csv(name, table)

    def write_csv(self, name: str, table: pd.DataFrame) -> None:
        """Write ``name.csv``."""
        text = table.to_csv(index=False, lineterminator="\n").encode()
        self.write(self.root / f"{name}.csv", lambda file: file.write(text))

    def read_table(self, name: str) -> pd.DataFrame:
        """Read ``name.parquet``.

        Raises
        ------
        RunError
            If the run has no such table (yet).
        """
        import pandas as pd

        path = self.root / f"{name}.parquet"
        if not path.is_file():
            raise RunError(f"{self.root}: has no {name}.parquet; run nearkin run to its end first")
        return pd.read_parquet(path)

    def has_table(self, name: str) -> bool:
        """Tell whether the run has ``name.parquet``."""
        return (self.root / f"{name}.parquet").is_file()

    # -- what `nearkin analyze` adds -------------------------------------------------------------

    def read_analysis(self) -> dict[str, pd.DataFrame]:
        """Return the tables of ``analysis/`` by name; empty where the run was not analysed.

        Raises
        ------
        RunError
            If one is missing or cannot be read.
        """
        import pandas as pd

        folder = self.root / "analysis"
        if not (folder / "summary.txt").is_file():
            return {}
        tables = {}
        for name in ANALYSIS:
            path = folder / f"{name}.csv"
            try:
                # Labels are texts whatever they look like: an encoder may be called "1" or "NA".
                found = pd.read_csv(
                    path,
                    dtype=dict.fromkeys(LABELS, str),
                    keep_default_na=False,
                    na_values={column: [""] for column in _header(path) if column not in LABELS},
                )
            except (OSError, ValueError) as error:
                raise RunError(
                    f"{path}: cannot be read ({error}); give nearkin analyze {self.root} again"
                ) from error
            tables[name] = found
        return tables

    def read_words(self) -> tuple[str, ...]:
        """Return the paragraphs of ``analysis/summary.txt``."""
        text = (self.root / "analysis" / "summary.txt").read_text("utf-8")
        return tuple(part.strip() for part in text.split("\n\n") if part.strip())

    # -- shards of originals ---------------------------------------------------------------------

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
        self.write_arrays(self.originals_path(recording), {"rows": rows}, arrays)

    def read_originals(self, recording: str, *, audio: bool = True) -> list[Original] | None:
        """Return the clips of one recording, or None if they are not there (whole).

        Parameters
        ----------
        recording : str
            The recording's name.
        audio : bool
            Read the contexts too; without them `Original.context` is empty.
        """
        with _shard(self.originals_path(recording)) as found:
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

    # -- shards of queries -----------------------------------------------------------------------

    def queries_path(self, clip_id: str) -> Path:
        """Return where the queries of one clip are kept while the run works."""
        return self.work / "queries" / f"{key(clip_id)}.npz"

    def distances_path(self, clip_id: str) -> Path:
        """Return where one clip's audio distances are kept, [distance, point, K originals]."""
        return self.work / "queries" / f"{key(clip_id)}.npy"

    def write_queries(self, clip_id: str, queries: Queries) -> None:
        """Keep the queries of one clip; the shard counts only when both files are there."""
        self.write(self.distances_path(clip_id), lambda file: np.save(file, queries.distances))
        arrays: dict[str, NDArray[Any]] = {"effective": queries.effective}
        for number, found in enumerate(queries.audio):
            arrays[f"audio{number}"] = np.stack([found.rank, found.nearest])
            arrays[f"moved{number}"] = np.stack([found.d_own, found.d_nearest])
        notes = {
            "status": queries.status,
            "n_clips": [found.n_clips for found in queries.audio],
            "vectors": _pack(queries.vectors, "", arrays),
        }
        self.write_arrays(self.queries_path(clip_id), notes, arrays)

    def read_queries(self, clip_id: str) -> Queries | None:
        """Return the queries of one clip (distances memory-mapped), or None."""
        with _shard(self.queries_path(clip_id)) as found:
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

    # -- arrays that stay ------------------------------------------------------------------------

    def embeddings_path(self, label: str, *, of: str = "queries") -> Path:
        """Return where an encoder's embeddings of ``"queries"`` or ``"originals"`` are."""
        suffix = ".originals.npy" if of == "originals" else ".npy"
        return self.root / "embeddings" / f"{file_name(label)}{suffix}"

    def write_array(self, path: Path, array: NDArray[Any]) -> None:
        """Write one array as .npy."""
        self.write(path, lambda file: np.save(file, array))

    def write_arrays(
        self, path: Path, notes: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> None:
        """Write arrays and JSON-able notes as one .npz."""
        text = np.frombuffer(json.dumps(finite(notes)).encode(), np.uint8)
        self.write(path, lambda file: np.savez(file, allow_pickle=False, notes=text, **arrays))

    def read_arrays(self, path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]] | None:
        """Read what `write_arrays` wrote, notes and arrays; None if it is not there (whole)."""
        try:
            with _shard(path) as found:
                if found is None:
                    return None
                notes, arrays = found
                return notes, {name: arrays[name] for name in arrays if name != "notes"}
        except (ValueError, EOFError, zipfile.BadZipFile, zlib.error):
            return None

    def write(self, path: Path, put: Callable[[BinaryIO], Any]) -> None:
        """Write a file under a temporary name and rename it.

        Raises
        ------
        RunError
            If the disk is full or the file cannot be written; what was there before stays.
        """
        write_whole(path, put)


def clip_row(clip: Original) -> dict[str, Any]:
    """Return a clip's row of clips.parquet."""
    return {
        "clip_id": clip.clip_id,
        "path": clip.path,
        "start_s": clip.start_s,
        "duration_s": clip.duration_s,
        "loudness_lufs": clip.loudness_lufs,
        "content_sha256": clip.content_sha256,
        "status": clip.status,
    }


def _header(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file), [])


def key(name: str) -> str:
    """Return a file name that stands for any name: the head of its SHA-256.

    Examples
    --------
    >>> key("a/b.wav")
    '3549c5121e6b18d287ba'
    """
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:20]


def file_name(label: str) -> str:
    """Return an encoder's label as a file name that no two labels share.

    Examples
    --------
    >>> file_name("mfcc")
    'mfcc'
    >>> file_name("pkg:f/g").startswith("pkg_f_g-")
    True
    """
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in label)
    plain = plain.lstrip(".")
    return plain if plain == label and plain else f"{plain[:60]}-{key(label)[:8]}"


def finite(value: Any) -> Any:
    """Return JSON values in which what is not finite is null.

    Examples
    --------
    >>> finite({"a": [1.0, float("nan")]})
    {'a': [1.0, None]}
    """
    if isinstance(value, Mapping):
        return {str(name): finite(item) for name, item in value.items()}
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Iterable):
        return [finite(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


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


@contextlib.contextmanager
def _shard(path: Path) -> Iterator[tuple[dict[str, Any], Mapping[str, NDArray[Any]]] | None]:
    """Open a shard; a missing or broken one (a power cut) is None, to be computed again."""
    with contextlib.ExitStack() as stack:
        try:
            raw = stack.enter_context(path.open("rb"))
            arrays = stack.enter_context(np.load(raw, allow_pickle=False))
            notes = json.loads(arrays["notes"].tobytes())
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
            yield None
            return
        yield notes, arrays
