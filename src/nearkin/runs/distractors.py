"""What a gallery is asked for as, and what it is: a folder of music, or files of vectors.

A run with a gallery names it in its plan; its content stands in the run's inputs, so that a run
goes on only with the gallery it was begun with.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearkin.corpora.collect import collect
from nearkin.corpora.recordings import Recording
from nearkin.errors import InputError, printable
from nearkin.files import sha256_of
from nearkin.registry import suggest

NO_ARRAY = (OSError, ValueError, EOFError, OverflowError, IndexError)
"""What `open_array` raises of a file that is no array."""


def paths_of(given: Sequence[str]) -> list[Path]:
    """Return the folder or the files that a gallery is made from."""
    return [Path(text) if Path(text).is_dir() else Path(text.split("=", 1)[-1]) for text in given]


def music_of(given: Sequence[str]) -> Path | None:
    """Return the folder of music that is asked for; None where vectors are.

    Raises
    ------
    InputError
        If there is more beside a folder.
    """
    folders = [Path(text) for text in given if Path(text).is_dir()]
    if folders and len(given) > 1:
        raise InputError("gallery: give one folder of music, or vectors of each encoder")
    return folders[0] if folders else None


def vector_files(given: Sequence[str], labels: Collection[str]) -> dict[str, tuple[Path, str]]:
    """Return the file of vectors of each encoder, and how it was asked for.

    Parameters
    ----------
    given : sequence of str
        ``LABEL=FILE`` each; or FILE alone where there is one encoder.
    labels : collection of str
        The encoders there are.

    Raises
    ------
    InputError
        If an encoder is unknown or named twice, or there is no such file.
    """
    files: dict[str, tuple[Path, str]] = {}
    for text in given:
        label, sign, name = text.partition("=")
        if not sign and len(labels) == 1:
            label, name = next(iter(labels)), text
        told = printable(text)
        if label not in labels and not sign:
            raise InputError(f"gallery '{told}': must be ENCODER=FILE, or a folder of music")
        if label not in labels:
            raise InputError(
                f"gallery '{told}': the run has no such encoder; {suggest(label, labels)}"
            )
        if label in files:
            raise InputError(f"gallery '{told}': {label} is given twice; give it once")
        if not Path(name).is_file():
            raise InputError(f"gallery '{told}': there is no such file")
        files[label] = Path(name), text
    return files


def count_gallery(given: Sequence[str], labels: Collection[str]) -> int:
    """Return how many recordings a gallery holds, of vectors by what their files say.

    Raises
    ------
    InputError
        If it cannot be had.
    """
    music = music_of(given)
    if music is not None:
        return len(collect([music]))
    return max(rows_of(path, text) for path, text in vector_files(given, labels).values())


def rows_of(path: Path, text: str) -> int:
    """Return how many vectors a file holds; only its head is read.

    Raises
    ------
    InputError
        If it is no array, and no table.
    """
    import pyarrow.parquet as pq
    from pyarrow import ArrowException

    try:
        if path.suffix == ".parquet":
            return int(pq.ParquetFile(path).metadata.num_rows)
        return int(open_array(path).shape[0])
    except (*NO_ARRAY, ArrowException) as error:
        raise InputError(
            f"gallery '{printable(text)}': is no array of numbers ({error})"
        ) from error


def open_array(path: Path) -> NDArray[Any]:
    """Open an array that stays in its file; what it raises else are `NO_ARRAY`."""
    with path.open("rb") as file:
        if file.read(2) == b"PK":
            raise ValueError("is an archive of arrays; save one array, by numpy.save")
    with np.errstate(over="ignore"):  # numpy warns of a header that lies, then refuses it
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def content_of_gallery(
    given: Sequence[str], labels: Collection[str], *, out: Path | None = None
) -> dict[str, Any]:
    """Return what tells a gallery from another.

    Parameters
    ----------
    given : sequence of str
        As the user asked for it.
    labels : collection of str
        The encoders there are.
    out : path, optional
        The run's folder, which is not searched.

    Returns
    -------
    dict
        Of vectors the SHA-256 of each file, by encoder; of music how many recordings there are,
        and a digest of their names and their files' SHA-256.

    Raises
    ------
    InputError
        If it cannot be had.
    """
    music = music_of(given)
    if music is None:
        return {label: sha256_of(path) for label, (path, _) in vector_files(given, labels).items()}
    recordings = collect([music], out=out)
    return {"recordings": len(recordings), "sha256": content_of_music(recordings)}


def content_of_music(recordings: Sequence[Recording]) -> str:
    """Return a digest of recordings: their names, where they start, and their files' SHA-256."""
    told = [[one.name, one.start_s, heard_before(one.path)] for one in recordings]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def heard_before(path: Path) -> str:
    """Return a file's SHA-256, read once a process while the file stays as it is; or ""."""
    try:
        now = path.stat()
    except OSError:
        return ""
    return _sha256(path, (now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns))


@functools.lru_cache(maxsize=100_000)
def _sha256(path: Path, _: tuple[int, ...]) -> str:
    return sha256_of(path)
