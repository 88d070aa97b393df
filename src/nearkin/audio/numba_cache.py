"""A folder for numba's cache where there is none that can be written, before librosa is imported.

librosa compiles with ``cache=True``, which raises while it is imported where neither its own folder
nor the user's can be written (a container that runs as another user, without a home).
"""

from __future__ import annotations

import functools
import os
import stat
import tempfile
from pathlib import Path
from typing import Any

from nearkin.errors import RunError


@functools.cache
def imported_librosa() -> Any:
    """Import librosa; numba's cache goes to a temporary folder where it can go nowhere else.

    Returns
    -------
    module
        librosa.

    Raises
    ------
    RunError
        If no folder at all can be written.
    """
    import librosa
    from numba import config

    if not config.CACHE_DIR and not _has_place(librosa.__file__):
        try:
            config.CACHE_DIR = str(_folder())
        except OSError as error:
            raise RunError(
                f"{tempfile.gettempdir()}: no cache can be written there ({error.strerror}), nor "
                "beside the packages or at home; set NUMBA_CACHE_DIR to one that can"
            ) from error
    return librosa


def _has_place(file: str) -> bool:
    """Tell whether numba finds a place for the cache of a file's functions by itself."""
    from numba import njit

    space: dict[str, Any] = {}
    exec(compile("def probe():\n    return 0\n", file, "exec"), space)  # as if it stood there
    try:
        njit(space["probe"], cache=True)
    except RuntimeError:
        return False
    return True


def _folder() -> Path:
    """Return a temporary folder that is this user's alone: what lies in it is run as code."""
    user = getattr(os, "geteuid", int)()
    path = Path(tempfile.gettempdir()) / f"nearkin-numba-{user}"
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        found = path.lstat()
        own = stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077 and found.st_uid == user
        if not own:
            return Path(tempfile.mkdtemp(prefix="nearkin-numba-"))
    return path
