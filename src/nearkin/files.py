"""Files that are written whole or not at all, for everything that may be stopped half-way."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from nearkin.errors import RunError, printable


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
        If the disk is full or the file cannot be written; what was there before stays.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                put(file)
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


def disk_full(path: Path) -> RunError:
    """Return the error of a full disk."""
    return RunError(
        f"{printable(path)}: the disk is full; free some space and give the same command again, it "
        "goes on where it stopped"
    )


def _forget(temporary: Path) -> None:
    try:
        temporary.unlink(missing_ok=True)
    except OSError:
        return  # the folder itself cannot be had: what stopped the writing is told
