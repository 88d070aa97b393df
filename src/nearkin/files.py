"""Files that are written whole or not at all, for everything that may be stopped half-way."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

from nearkin.errors import InputError, RunError, printable


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
            _forget(temporary)  # what a killed process left, or somebody's link, is not written to
            with temporary.open("xb") as file:
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
