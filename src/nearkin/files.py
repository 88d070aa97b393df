"""Files that are written whole or not at all, for everything that may be stopped half-way.

Beside them what every kind of file needs: arrays with notes in one file, names that stand for
anything, JSON without what JSON cannot say, and records that hold a checksum of their own.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import math
import os
import re
import socket
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nearkin.errors import InputError, RunError, printable

NO_ARRAYS = (OSError, ValueError, KeyError, TypeError, EOFError, OverflowError, MemoryError)
"""What reading arrays, and the JSON that names their rows, raises where they are damaged."""
LEASE = ".nearkin-lease"
"""What the names of leases begin with; see `nearkin.lease`."""
_DAMAGED = (
    *(OSError, ValueError, EOFError, KeyError, TypeError, RuntimeError, OverflowError, IndexError),
    *(MemoryError, zipfile.BadZipFile, zlib.error, struct.error),
)
"""What reading an archive raises whose bytes were changed."""
_HOST = zlib.crc32(socket.gethostname().encode())
"""Tells processes of one number on several machines apart, in the names of files in work."""
_PLAIN = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")
_STANDS_FOR = re.compile(r".*-[0-9a-f]{16}")
_DEVICES = re.compile(r"con|prn|aux|nul|com[0-9]|lpt[0-9]")


_while: ContextVar[Path | None] = ContextVar("_while", default=None)


@contextlib.contextmanager
def only_while(sign: Path) -> Iterator[None]:
    """Let what is inside write files only while a file is there; see `write_whole`.

    For work on another machine, which nobody can stop: one that ends late, when all is done and
    cleared away, must leave nothing.

    Parameters
    ----------
    sign : Path
        Who gave the work removes it before clearing away.
    """
    before = _while.set(sign)
    try:
        yield
    finally:
        _while.reset(before)


def write_whole(path: Path, put: Callable[[BinaryIO], Any]) -> None:
    """Write a file under a temporary name and rename it.

    Parameters
    ----------
    path : Path
        Where to; folders on the way are made.
    put : callable
        Writes the content to the open file it is given.

    Raises
    ------
    RunError
        If the disk is full or the file cannot be written, or the work is over (`only_while`); what
        was there before stays.
    """
    sign = _while.get()
    _require(sign)
    temporary = path.with_name(f".{path.name}.{os.getpid()}{_HOST}.tmp")
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _forget(temporary)  # what a killed process left, or somebody's link, is not written to
            with temporary.open("xb") as file:
                put(file)
                _settle(file)
            _require(sign)
            temporary.replace(path)
        except BaseException:
            _forget(temporary)
            raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(path.parent) from error
        raise RunError(
            f"{printable(path)}: cannot be written ({error.strerror or error}); mend that and give "
            "the same command again"
        ) from error


def _require(sign: Path | None) -> None:
    """Refuse to write where what must be there for it is gone."""
    if sign is not None and not sign.exists():
        raise RunError(
            f"{printable(sign)}: is gone: the command that gave this work is over, and nothing is "
            "written; give the command again if it did not end"
        )


def write_array(path: Path, array: NDArray[Any]) -> str:
    """Write one array as .npy; return the file's SHA-256."""
    write_whole(path, lambda file: np.save(file, array))
    return sha256_of(path)


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256; empty where it cannot be read.

    Examples
    --------
    >>> sha256_of(Path("/no/such/file"))
    ''
    """
    try:
        if not path.is_file():  # a pipe or a device never ends
            return ""
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def read_regular(path: Path) -> bytes:
    """Return the bytes of a file that is one: a pipe or a device would never end.

    Raises
    ------
    OSError
        If it is none, or cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "is no regular file")
    return path.read_bytes()


def write_arrays(path: Path, notes: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays and notes (JSON values) as one .npz, for `read_arrays`."""
    told = {"notes": finite(notes), "arrays": sorted(arrays)}
    text = np.frombuffer(json.dumps(told).encode(), np.uint8)
    write_whole(path, lambda file: np.savez(file, allow_pickle=False, notes=text, **arrays))


def read_arrays(
    path: Path, *, without: str | None = None
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]] | None:
    """Read what `write_arrays` wrote; every byte of what is read is held to its checksum.

    Parameters
    ----------
    path : Path
    without : str, optional
        Arrays whose names begin so are not read.

    Returns
    -------
    (dict, dict) or None
        Notes, and arrays by name; None where the file is not there, or is not as it was written.
    """
    try:
        with zipfile.ZipFile(path) as archive:

            def array(name: str) -> NDArray[Any]:
                # read whole: the archive's checksum is compared at the end of a member
                content = io.BytesIO(archive.read(f"{name}.npy"))
                found: NDArray[Any] = np.lib.format.read_array(content, allow_pickle=False)
                return found

            told = json.loads(array("notes").tobytes())
            names = told["arrays"]
            if sorted(archive.namelist()) != sorted(f"{name}.npy" for name in ("notes", *names)):
                return None
            wanted = [name for name in names if without is None or not name.startswith(without)]
            return told["notes"], {name: array(name) for name in wanted}
    except _DAMAGED:
        return None


def real_path(path: Path) -> Path:
    """Return a path without links; one that leads in a circle stays as it is.

    Examples
    --------
    >>> real_path(Path("/nowhere/../a"))
    PosixPath('/a')
    """
    return Path(os.path.realpath(path))  # Path.resolve raises where links go round


def refuse_links(root: Path, names: Iterable[str]) -> None:
    """Refuse a folder whose content is not all its own: links, pipes and devices lead elsewhere.

    Parameters
    ----------
    root : Path
        A folder that may come from a stranger.
    names : iterable of str
        What is read or written in it: files, and folders with all they hold.

    Raises
    ------
    InputError
        Naming the first thing that is neither a regular file nor a folder.

    Examples
    --------
    >>> refuse_links(Path("/"), ["no-such-name"])
    """
    waiting = [root / name for name in names]
    while waiting:
        path = waiting.pop()
        try:
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode):
                waiting += path.iterdir()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise InputError(
                f"{printable(path)}: cannot be read ({error.strerror}); mend its permissions"
            ) from error
        if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
            kind = "a link" if stat.S_ISLNK(mode) else "no regular file"
            raise InputError(
                f"{printable(path)}: is {kind}, and a run's folder holds regular files only; "
                "remove it and give the same command again"
            )


def refuse_other_file(path: Path, is_ours: Callable[[bytes], bool], *, told: str = "") -> None:
    """Refuse to write a file that a user names over one that is not of the same making.

    Parameters
    ----------
    path : Path
        Nothing need be there; an empty file is no obstacle, and a link always is.
    is_ours : callable
        Tells by its bytes whether a file is one that nearkin writes here; the line ends
        of Windows, which git writes where it is told to, are given to it as a plain line feed.
    told : str
        What the message begins with; the path by default.

    Raises
    ------
    InputError

    Examples
    --------
    >>> refuse_other_file(Path("no-such-file.svg"), lambda data: False)
    """
    told = told or printable(path)
    if path.is_symlink():
        raise InputError(f"{told}: is a link; name the file itself, or another one")
    if not path.exists():
        return
    try:
        ours = is_ours(data.replace(b"\r\n", b"\n")) if (data := read_regular(path)) else True
    except OSError as error:
        kind = "is no regular file" if not path.is_file() else f"cannot be read ({error.strerror})"
        raise InputError(f"{told}: {kind}; name another file") from error
    if not ours:
        raise InputError(
            f"{told}: is there and was not written by nearkin, or was edited since; "
            "move it or name another file"
        )


def key(name: str) -> str:
    """Return a file name that stands for any name: the head of its SHA-256.

    Examples
    --------
    >>> key("a/b.wav")
    '3549c5121e6b18d287ba'
    """
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:20]


def file_name(label: str) -> str:
    """Return a name as the stem of a file that no two names share, on any file system.

    Short names of small letters, digits, ``_`` and ``-`` stand for themselves; any other is cut,
    and told from its like by the head of its SHA-256. No stem has a dot, so that suffixes cannot
    be part of it, and no two differ in case alone.

    Examples
    --------
    >>> file_name("mfcc")
    'mfcc'
    >>> file_name("pkg:F/g")
    'pkg_F_g-7f46a08690c8c7b9'
    """
    plain = _PLAIN.fullmatch(label) and not _STANDS_FOR.fullmatch(label)
    if plain and not _DEVICES.fullmatch(label):
        return label
    head = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in label)
    digest = hashlib.sha256(label.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{head[:40].lstrip('-') or '_'}-{digest[:16]}"


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


SEAL = "checksum"
"""The key under which a record holds the SHA-256 of all that stands beside it."""
_SHA256 = "sha256:"


def sealed(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record of JSON values with a checksum of its own, so that no bit flips unseen.

    Examples
    --------
    >>> is_whole({**sealed({"n": 1}), "n": 3})
    False
    """
    plain = {name: value for name, value in finite(record).items() if name != SEAL}
    return {**plain, SEAL: _seal(plain)}


def is_whole(record: Mapping[str, Any]) -> bool:
    """Tell whether a record is as `sealed` returned it; one of before records were sealed is."""
    if SEAL not in record:  # where the key itself was hit, its value is there
        return not any(isinstance(v, str) and v.startswith(_SHA256) for v in record.values())
    return bool(record[SEAL] == _seal({n: v for n, v in record.items() if n != SEAL}))


def _seal(plain: Mapping[str, Any]) -> str:
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return _SHA256 + hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def disk_full(path: Path) -> RunError:
    """Return the error of a full disk."""
    return RunError(
        f"{printable(path)}: the disk is full; free some space and give the same command again, it "
        "goes on where it stopped"
    )


def _settle(file: BinaryIO) -> None:
    """Have the content on the disk before the name is, lest a power cut leave an empty file."""
    file.flush()
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # what cannot be synced is not
            raise


def _forget(temporary: Path) -> None:
    try:
        temporary.unlink(missing_ok=True)
    except OSError:
        return  # the folder itself cannot be had: what stopped the writing is told
