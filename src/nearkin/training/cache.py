"""Recordings decoded once: one flat file of samples for all trainings, and an index beside it.

Samples are int16 at 22,050 Hz in mono, with a float32 scale for every recording, so that the
loudest sample of each is full scale: nothing clips, and quiet recordings keep their resolution. A
recording is known by its path, size and time of change. Writing may be stopped at any
moment: what the index names is whole. Several processes may fill one cache at a time. Each
recording has a checksum of its row and samples; what does not match is decoded again.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nearkin.audio import SAMPLE_RATE, read, sha256_file
from nearkin.audio.decoding import addressed
from nearkin.errors import InputError, RunError, printable
from nearkin.ownership import OwnFolder
from nearkin.progress import Progress, unsaid
from nearkin.workers import open_workers

FULL_SCALE = 32_767
_BYTES_AT_ONCE = 32_000_000
_READ_AT_ONCE = 1_000_000
_IF_NOT = "IF NOT EXISTS "
_SCHEMA = """
CREATE TABLE IF NOT EXISTS recordings (
    path BLOB, size INTEGER, changed_ns INTEGER, start INTEGER, samples INTEGER, scale REAL,
    sha256 TEXT, PRIMARY KEY (path, size, changed_ns)
)
"""
_CHECKSUMS = """
CREATE TABLE IF NOT EXISTS checksums (
    path BLOB, size INTEGER, changed_ns INTEGER, checksum TEXT,
    PRIMARY KEY (path, size, changed_ns)
)
"""
"""In a table of its own: an index of before there were checksums goes on being read."""
_THERE = """
typeof(start) = 'integer' AND typeof(samples) = 'integer' AND typeof(scale) = 'real'
AND start >= 0 AND samples >= 0 AND start + samples <= ?
"""
"""Holds for rows whose samples end before the flat file does."""
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
        self._whole: set[_Key] = set()

    @property
    def samples_path(self) -> Path:
        """The flat file: int16, little-endian, no header."""
        return self.root / _SAMPLES

    def fill(
        self,
        paths: Sequence[Path],
        *,
        workers: int = 1,
        progress: Progress | None = None,
        tell: Callable[[str], None] = unsaid,
    ) -> dict[Path, Cached | str]:
        """Decode what is not there yet, or is not as it was written.

        Parameters
        ----------
        paths : sequence of Path
            Sound files, or streams of them (``song.stem.mp4#stream=4``).
        workers : int
            Processes that decode.
        progress : callable, optional
            Told ``(stage, done, total)``.
        tell : callable
            Told of damage, in a sentence.

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
        damaged = self._damaged({key: known[key] for key in keys.values() if key in known})
        if damaged:
            tell(
                f"{printable(self.samples_path)}: {len(damaged)} of {len(keys)} recordings are not "
                "as they were written; they are decoded again"
            )
            self._forget(damaged)
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

    def _damaged(self, known: dict[_Key, Cached]) -> dict[_Key, Cached]:
        """Return those whose row or samples do not match their checksum; each is read once."""
        unread = {key: place for key, place in known.items() if key not in self._whole}
        if not unread:
            return {}
        with self._index(made=False) as index:
            there = _holds(index, "checksums")
            rows = index.execute("SELECT * FROM checksums").fetchall() if there else []
        checksums = {tuple(row[:3]): row[3] for row in rows}
        known_before, damaged = set(checksums), {}
        with self.samples_path.open("rb") as file:
            for key, place in sorted(unread.items(), key=lambda one: one[1].start):
                # one of before there were checksums is taken as it is, and has one from now on
                file.seek(2 * place.start)
                found = _checksum(key, place, _pieces(file, 2 * place.samples))
                if checksums.setdefault(key, found) == found:
                    self._whole.add(key)
                else:
                    damaged[key] = place
        new = [(*key, checksums[key]) for key in unread if key not in known_before]
        if new:
            with suppress(RunError), self._index() as index:  # it may be one that is only read
                index.executemany("INSERT OR IGNORE INTO checksums VALUES (?, ?, ?, ?)", new)
        return damaged

    def _forget(self, damaged: dict[_Key, Cached]) -> None:
        """Take rows out of the index, unless another process has decoded them again meanwhile."""
        rows = [(*key, place.start) for key, place in damaged.items()]
        with self._index() as index:
            index.execute("BEGIN IMMEDIATE")
            where = "WHERE path = ? AND size = ? AND changed_ns = ?"
            for *key, start in rows:
                gone = index.execute(
                    f"DELETE FROM recordings {where} AND start = ?", (*key, start)
                ).rowcount
                if gone:
                    index.execute(f"DELETE FROM checksums {where}", key)
            index.execute("COMMIT")

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
        if all(map(self._owned.owns, files)) and not os.access(self.root, os.W_OK):
            return  # it is read; what it lacks cannot be kept, which `_append` tells
        if not self._owned.is_own() and all(path.is_file() for path in files):
            with self._index(made=False) as index:  # of before folders were marked: by its tables
                rows = index.execute("SELECT sql FROM sqlite_schema").fetchall()
            ours = [sql.strip().replace(_IF_NOT, "") for sql in (_SCHEMA, _CHECKSUMS)]
            if [row[0] for row in rows if row[0]] in (ours[:1], ours):
                self._owned.adopt(*files)
        self._owned.claim()
        self._owned.own(*files)

    def _known(self) -> dict[_Key, Cached]:
        if not self._index_path.is_file() or not self.samples_path.is_file():
            return {}
        with self._index(made=False) as index:
            return self._rows(index) if _holds(index, "recordings") else {}

    def _rows(self, index: sqlite3.Connection) -> dict[_Key, Cached]:
        """Return the recordings whose samples are there in full."""
        end = self.samples_path.stat().st_size // 2
        rows = index.execute(f"SELECT * FROM recordings WHERE {_THERE}", (end,))
        return {tuple(row[:3]): Cached(*row[3:]) for row in rows}

    def _append(self, made: Iterable[tuple[_Key, _Decoded]]) -> None:
        """Write samples first, then, in one transaction, their rows of the index."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with self._index() as index, self.samples_path.open("ab"):
                index.execute("BEGIN IMMEDIATE")
                end = self.samples_path.stat().st_size // 2
                # samples that were lost would be found again where others are written next
                index.execute(f"DELETE FROM recordings WHERE ({_THERE}) IS NOT TRUE", (end,))
                (start,) = index.execute(
                    "SELECT COALESCE(MAX(start + samples), 0) FROM recordings"
                ).fetchone()
                known = self._rows(index)  # another process may have been quicker
                with self.samples_path.open("r+b") as file:
                    file.seek(2 * start)
                    for key, decoded in made:
                        if key in known:
                            continue
                        content = decoded.values.astype("<i2", copy=False).tobytes()
                        file.write(content)
                        place = Cached(start, len(decoded.values), decoded.scale, decoded.sha256)
                        index.execute(
                            "INSERT OR REPLACE INTO recordings VALUES (?, ?, ?, ?, ?, ?, ?)",
                            (*key, *place),
                        )
                        index.execute(
                            "INSERT OR REPLACE INTO checksums VALUES (?, ?, ?, ?)",
                            (*key, _checksum(key, place, [content])),
                        )
                        self._whole.add(key)
                        start += place.samples
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
    def _index(self, *, made: bool = True) -> Iterator[sqlite3.Connection]:
        try:
            index = sqlite3.connect(self._index_path, timeout=600, isolation_level=None)
            try:
                if made:
                    index.execute(_SCHEMA)
                    index.execute(_CHECKSUMS)
                yield index
            finally:
                index.close()
        except sqlite3.Error as error:
            raise RunError(
                f"{printable(self._index_path)}: cannot be used ({error}); make room, delete the "
                "folder (it is made anew), or name another with --cache"
            ) from error


def _holds(index: sqlite3.Connection, table: str) -> bool:
    found = index.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (table,))
    return found.fetchone() is not None


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


def _pieces(file: BinaryIO, n_bytes: int) -> Iterator[bytes]:
    while n_bytes > 0 and (piece := file.read(min(n_bytes, _READ_AT_ONCE))):
        yield piece
        n_bytes -= len(piece)


def _checksum(key: _Key, place: Cached, content: Iterable[bytes]) -> str:
    """Return the SHA-256 of a row and its samples, wherever in the file they lie."""
    told = (key[0].hex(), *key[1:], place.samples, place.scale, place.sha256)
    digest = hashlib.sha256(repr(told).encode())
    for piece in content:
        digest.update(piece)
    return digest.hexdigest()


def _decoded(_: None, path: Path) -> _Decoded | str:
    try:
        values, scale = quantised(read(path, sr=SAMPLE_RATE))
        return _Decoded(values, scale, sha256_file(path))
    except InputError as error:
        return str(error)


def _key(path: Path) -> _Key:
    stat = addressed(path)[0].stat()
    return os.fsencode(path.absolute()), stat.st_size, stat.st_mtime_ns
