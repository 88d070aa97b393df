"""Recordings decoded once: one flat file of samples for all trainings, and an index beside it.

Samples are int16 at 22,050 Hz in mono, with a float32 scale for every recording, so that the
loudest sample of each is full scale: nothing clips, and quiet recordings keep their resolution. A
recording is known by its path, size and time of change. Writing may be stopped at any
moment: what the index names is whole. Several processes may fill one cache at a time.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nearkin.audio import SAMPLE_RATE, read, sha256_file
from nearkin.audio.decoding import addressed
from nearkin.errors import InputError, RunError, printable
from nearkin.ownership import OwnFolder
from nearkin.progress import Progress
from nearkin.workers import open_workers

FULL_SCALE = 32_767
_BYTES_AT_ONCE = 32_000_000
_IF_NOT = "IF NOT EXISTS "
_SCHEMA = """
CREATE TABLE IF NOT EXISTS recordings (
    path BLOB, size INTEGER, changed_ns INTEGER, start INTEGER, samples INTEGER, scale REAL,
    sha256 TEXT, PRIMARY KEY (path, size, changed_ns)
)
"""
_SAMPLES, _INDEX = "samples.i16", "index.sqlite"
_Key = tuple[bytes, int, int]


class Cached(NamedTuple):
    """Where a recording lies in the flat file.

    Attributes
    ----------
    start, samples : int
        Its first sample and their number.
    scale : float
        Samples times this are the sound.
    sha256 : str
        Of the sound file's bytes.
    """

    start: int
    samples: int
    scale: float
    sha256: str


class _Decoded(NamedTuple):
    values: NDArray[np.int16]
    scale: float
    sha256: str


class AudioCache:
    """A folder of decoded recordings.

    Parameters
    ----------
    root : path
        The folder, made when it is first written to.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)
        files = (_SAMPLES, _INDEX)
        self._owned = OwnFolder(self.root, "cache", files, option="--cache")

    @property
    def samples_path(self) -> Path:
        """The flat file: int16, little-endian, no header."""
        return self.root / _SAMPLES

    def fill(
        self, paths: Sequence[Path], *, workers: int = 1, progress: Progress | None = None
    ) -> dict[Path, Cached | str]:
        """Decode what is not there yet.

        Parameters
        ----------
        paths : sequence of Path
            Sound files, or streams of them (``song.stem.mp4#stream=4``).
        workers : int
            Processes that decode.
        progress : callable, optional
            Told ``(stage, done, total)``.

        Returns
        -------
        dict
            For every path where it lies, or why it cannot be decoded.

        Raises
        ------
        InputError
            If the folder holds something else than a cache.
        RunError
            If the cache cannot be written or read.
        """
        found: dict[Path, Cached | str] = {}
        keys: dict[Path, _Key] = {}
        for path in dict.fromkeys(paths):
            try:
                keys[path] = _key(path)
            except OSError as error:
                found[path] = f"{printable(path)}: cannot be read ({error.strerror or error})"
        self._claim()
        known = self._known()
        todo = [path for path, key in keys.items() if key not in known]
        if todo:
            total = len(keys)
            for done, path, failure in self._decode(todo, keys, workers):
                if failure:
                    found[path] = failure
                if progress is not None:
                    progress("recordings decoded", total - len(todo) + done, total)
            known = self._known()
        for path, key in keys.items():
            if key in known:
                found[path] = known[key]
        return found

    def _decode(
        self, todo: Sequence[Path], keys: dict[Path, _Key], workers: int
    ) -> Iterator[tuple[int, Path, str]]:
        waiting: list[tuple[_Key, _Decoded]] = []
        n_bytes = 0
        with open_workers(None, workers=min(workers, len(todo))) as pool:
            for done, (path, made) in enumerate(pool.map(_decoded, todo), start=1):
                if isinstance(made, str):
                    yield done, path, made
                    continue
                waiting.append((keys[path], made))
                n_bytes += made.values.nbytes
                if n_bytes >= _BYTES_AT_ONCE:
                    self._append(waiting)
                    waiting, n_bytes = [], 0
                yield done, path, ""
        self._append(waiting)

    def _claim(self) -> None:
        """Take the folder as nearkin's own; several commands may fill it at a time."""
        files = (self.samples_path, self._index_path)
        if not self._owned.is_own() and all(path.is_file() for path in files):
            with self._index() as index:  # of before folders were marked: known by its table
                rows = index.execute("SELECT sql FROM sqlite_schema").fetchall()
            if [row[0] for row in rows if row[0]] == [_SCHEMA.strip().replace(_IF_NOT, "")]:
                self._owned.adopt(*files)
        self._owned.claim()
        self._owned.own(*files)

    def _known(self) -> dict[_Key, Cached]:
        if not self._index_path.is_file() or not self.samples_path.is_file():
            return {}
        with self._index() as index:
            return self._rows(index)

    def _rows(self, index: sqlite3.Connection) -> dict[_Key, Cached]:
        """Return the recordings whose samples are there in full."""
        end = self.samples_path.stat().st_size // 2
        rows = index.execute("SELECT * FROM recordings WHERE start + samples <= ?", (end,))
        return {tuple(row[:3]): Cached(*row[3:]) for row in rows}

    def _append(self, made: Iterable[tuple[_Key, _Decoded]]) -> None:
        """Write samples first, then, in one transaction, their rows of the index."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with self._index() as index, self.samples_path.open("ab"):
                index.execute("BEGIN IMMEDIATE")
                (start,) = index.execute(
                    "SELECT COALESCE(MAX(start + samples), 0) FROM recordings"
                ).fetchone()
                known = self._rows(index)  # another process may have been quicker
                with self.samples_path.open("r+b") as file:
                    file.seek(2 * start)
                    for key, decoded in made:
                        if key in known:
                            continue
                        file.write(decoded.values.astype("<i2", copy=False).tobytes())
                        n_samples = len(decoded.values)
                        row = (*key, start, n_samples, decoded.scale, decoded.sha256)
                        index.execute(
                            "INSERT OR REPLACE INTO recordings VALUES (?, ?, ?, ?, ?, ?, ?)", row
                        )
                        start += n_samples
                    file.flush()
                    os.fsync(file.fileno())
                index.execute("COMMIT")
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> RunError:
        return RunError(
            f"{printable(self.root)}: decoded audio cannot be kept there "
            f"({error.strerror or error}); make room or name another folder with --cache"
        )

    @property
    def _index_path(self) -> Path:
        return self.root / _INDEX

    @contextmanager
    def _index(self) -> Iterator[sqlite3.Connection]:
        try:
            index = sqlite3.connect(self._index_path, timeout=600, isolation_level=None)
            try:
                index.execute(_SCHEMA)
                yield index
            finally:
                index.close()
        except sqlite3.Error as error:
            raise RunError(
                f"{printable(self._index_path)}: cannot be used ({error}); make room, delete the "
                "folder (it is made anew), or name another with --cache"
            ) from error


def quantised(y: NDArray[np.float32]) -> tuple[NDArray[np.int16], float]:
    """Return int16 values and their scale; values times scale are y, to within half a scale.

    Examples
    --------
    >>> values, scale = quantised(np.array([0.5, -0.25], np.float32))
    >>> values, bool(abs(values[0] * scale - 0.5) < 1e-6)
    (array([ 32767, -16384], dtype=int16), True)
    """
    peak = float(np.abs(y).max(initial=0.0))
    scale = float(np.float32(peak / FULL_SCALE))
    if scale == 0.0:
        return np.zeros(y.shape, np.int16), 1.0
    return np.rint(y / np.float64(scale)).astype(np.int16), scale


def _decoded(_: None, path: Path) -> _Decoded | str:
    try:
        values, scale = quantised(read(path, sr=SAMPLE_RATE))
        return _Decoded(values, scale, sha256_file(path))
    except InputError as error:
        return str(error)


def _key(path: Path) -> _Key:
    stat = addressed(path)[0].stat()
    return os.fsencode(path.absolute()), stat.st_size, stat.st_mtime_ns
