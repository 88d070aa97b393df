"""Variables of the environment that the libraries below read: a wrong value is one sentence.

Libraries read them when they are imported, and raise there what names neither the variable nor the
remedy. Those known to do so are looked at before a command begins; of the others, the line that
raised an error tells.
"""

from __future__ import annotations

import linecache
import os
import re
import tempfile
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from nearkin.errors import InputError, shown


class _Demand(NamedTuple):
    words: str
    allows: Callable[[str], bool]


def _is_whole(value: str) -> bool:
    try:
        int(value)
    except ValueError:
        return False
    return True


def _has_pickler(value: str) -> bool:
    if value in ("", "cloudpickle"):  # what is taken by default
        return True
    try:
        return hasattr(import_module(value), "Pickler")
    except Exception:  # whatever a module raises where it is imported
        return False


def _can_be_folder(value: str) -> bool:
    """Tell whether a folder is or can be made there, and written in; none is left.

    One is made for a moment: rights do not tell of /proc, where nobody can make anything.
    """
    try:
        at = Path(value).absolute()
        there = next(folder for folder in (at, *at.parents) if folder.exists())
        Path(tempfile.mkdtemp(dir=there)).rmdir()
    except OSError:
        return False
    return True


_WHOLE = _Demand("a whole number", _is_whole)
_DEMANDS = {
    "SOURCE_DATE_EPOCH": _Demand("a whole number", lambda value: not value or _is_whole(value)),
    "NUMPY_MADVISE_HUGEPAGE": _WHOLE,
    "NUMBA_DYLD_WORKAROUND": _WHOLE,
    # of what is no number numba warns, and takes its own
    "NUMBA_NUM_THREADS": _Demand(
        "a whole number above 0", lambda value: not _is_whole(value) or int(value) > 0
    ),
    "JOBLIB_MULTIPROCESSING": _WHOLE,
    "LIBROSA_CACHE_DIR": _Demand("a folder that can be made and written in", _can_be_folder),
    "LIBROSA_CACHE_LEVEL": _WHOLE,
    "LIBROSA_CACHE_VERBOSE": _WHOLE,
    "LOKY_MAX_CPU_COUNT": _WHOLE,
    "LOKY_MAX_DEPTH": _WHOLE,
    "LOKY_PICKLER": _Demand("a module that has a Pickler, such as pickle", _has_pickler),
    "EAGER_IMPORT": _Demand(
        "empty or 0 (librosa cannot be imported under it)", lambda value: value in ("", "0")
    ),
    "ARROW_PRE_0_15_IPC_FORMAT": _WHOLE,
    "ARROW_PRE_1_0_METADATA_VERSION": _WHOLE,
}
"""Variables to what their value must be; what is as if one were not set is allowed."""
_QUOTED = re.compile(r"""["']([A-Za-z_][A-Za-z0-9_]*)["']""")
_DEPTH = 3
"""So many calls lie at most between the line that reads a variable and the error it ends in."""


def require_variables() -> None:
    """Look at the variables that a library cannot take wrong.

    Raises
    ------
    InputError
        If one has a wrong value.
    """
    for name, demand in _DEMANDS.items():
        value = os.environ.get(name)
        if value is not None and not demand.allows(value):
            raise InputError(_sentence(name, f"must be {demand.words}"))


def faulty_variable(error: BaseException) -> str:
    """Tell which variable an error is about: in one sentence, or "" where it is about none.

    It is about one that is set, that one of the last lines before the error names, and whose value
    the error's text quotes.
    """
    said = str(error)
    for frame in reversed(traceback.extract_tb(error.__traceback__)[-_DEPTH:]):
        last = frame.end_lineno or frame.lineno or 0
        lines = range(frame.lineno or 0, last + 1)
        text = "".join(linecache.getline(frame.filename, line) for line in lines)
        if "environ" not in text and "getenv" not in text:
            continue
        for name in _QUOTED.findall(text):
            value = os.environ.get(name)
            if value is not None and (f"'{value}'" in said or f'"{value}"' in said):
                kind = type(error).__name__
                return _sentence(name, f"cannot be used ({kind}: {' '.join(said.split())})")
    return ""


def _sentence(name: str, what: str) -> str:
    return f"{name}={shown(os.environ[name])}: {what}; unset this variable, or set it right"
