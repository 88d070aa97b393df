"""``.npy`` and ``.npz`` files from anybody: their headers are read first, and nothing is unpickled.

A header says how large an array will be; it must fit what lies behind it, and an archive may not
unpack to a hundred times its size.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nearkin.errors import InputError

LARGE = 256 * 2**20
"""Bytes: below this an archive may shrink as it likes."""
SHRUNK = 100
"""How often a large archive's content may be its size: numbers that were computed shrink little."""

Fits = Callable[[tuple[int, ...], np.dtype[Any]], None]


def read_array(path: Path, *, spec: str, fits: Fits) -> NDArray[Any]:
    """Read the one array of a file, or the one called ``embeddings``.

    Parameters
    ----------
    path : Path
        ``.npy`` or ``.npz``.
    spec : str
        For messages.
    fits : callable
        Is given shape and dtype before anything is read, and raises if they are not wanted.

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    InputError
        If the file is damaged, holds pickled objects or several arrays, or is made to fill the
        memory.
    """
    try:
        if path.suffix.lower() == ".npz":
            with zipfile.ZipFile(path) as archive:
                member = _member(archive, spec)
                _require_size(member, path, spec)
                with archive.open(member) as file:
                    _require_header(file, member.file_size, path, spec, fits)
                with archive.open(member) as file:
                    return _read(file)
        with path.open("rb") as file:
            _require_header(file, path.stat().st_size, path, spec, fits)
            file.seek(0)
            return _read(file)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"encoder '{spec}': {path} cannot be read ({error})") from error
    except Exception as error:  # what unpacks and what parses headers raise what they like
        text = " ".join(str(error).split())[:300] or type(error).__name__
        raise InputError(
            f"encoder '{spec}': {path} is no plain array of numbers ({text}); save it anew with "
            "numpy.save"
        ) from error


def _member(archive: zipfile.ZipFile, spec: str) -> zipfile.ZipInfo:
    found = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    if len(found) > 1 and "embeddings" not in found:
        names = ", ".join(list(found)[:8])
        raise InputError(
            f"encoder '{spec}': holds the arrays {names}: call the one that counts 'embeddings'"
        )
    if not found:
        raise InputError(f"encoder '{spec}': holds no array")
    return found["embeddings"] if "embeddings" in found else next(iter(found.values()))


def _require_size(member: zipfile.ZipInfo, path: Path, spec: str) -> None:
    packed = max(member.compress_size, 1)
    if member.file_size > LARGE and member.file_size > SHRUNK * packed:
        raise InputError(
            f"encoder '{spec}': {path} would unpack to {member.file_size / 2**30:.1f} GiB from "
            f"{packed / 2**20:.1f} MiB, more than {SHRUNK} times: it is not unpacked; if it is "
            "meant, save the array as .npy"
        )


def _require_header(file: Any, size: int, path: Path, spec: str, fits: Fits) -> None:
    """Refuse what is pickled, and a header that promises another size than there is."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise InputError(f"encoder '{spec}': {path} holds an array of fields, no plain numbers")
    if dtype.hasobject:
        raise InputError(
            f"encoder '{spec}': {path} is no plain array of numbers: it holds pickled objects, "
            "which can run any code and are not opened; save it with dtype float32"
        )
    fits(shape, dtype)
    promised = dtype.itemsize
    for length in shape:
        promised *= int(length)
    if file.tell() + promised != size:
        raise InputError(
            f"encoder '{spec}': {path} is damaged: an array of shape {list(shape)} takes "
            f"{promised} bytes, and {size - file.tell()} are there"
        )


def _read(file: BinaryIO | Any) -> NDArray[Any]:
    array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    return array
