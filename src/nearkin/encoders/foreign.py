"""The border to foreign code: what it may not do to the program that calls it.

An exit (``sys.exit``, ``quit``, argparse on import) becomes an error like any other, and so does
what passes by ``except Exception`` (pytest's ``skip``, a cancelled task); the working directory and
``sys.argv`` are what they were before, and standard streams that it closed are open again. A
KeyboardInterrupt of the user's passes; one that the code raises of its own accord is its error.
"""

from __future__ import annotations

import dis
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from nearkin.encoders.imported import is_library

_STREAMS = {"stdout": 1, "stderr": 2}
"""Standard streams that are written, and their numbers."""


class ForeignExitError(Exception):
    """Foreign code tried to end the program, or raised what nothing but its own caller catches."""


@contextmanager
def foreign_code(*, argv: str | None = None) -> Iterator[None]:
    """Call foreign code, and leave the program as it was.

    Parameters
    ----------
    argv : str, optional
        What ``sys.argv`` is meanwhile, with nothing after it: a script that reads arguments when
        it is imported would else read nearkin's.

    Raises
    ------
    ForeignExitError
        If the code tries to end the program.
    """
    place = _here()
    arguments = sys.argv
    streams = [name for name in _STREAMS if not _is_closed(getattr(sys, name))]
    if argv is not None:
        sys.argv = [argv]
    try:
        yield
    except SystemExit as error:
        code = "" if error.code is None else repr(error.code)
        raise ForeignExitError(
            f"it calls exit({code}), which would end the program; put what a script does under "
            "if __name__ == '__main__':"
        ) from error
    except Exception:
        raise
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and _is_the_users(error):
            raise
        raise ForeignExitError(
            f"it raises {told(error)}, which is no Exception and would end the program; catch it "
            "there"
        ) from error
    finally:
        sys.argv = arguments
        _reopen(streams)
        if place is not None and _here() != place:
            with suppress(OSError):  # the code may have deleted it
                os.chdir(place)


def told(error: BaseException) -> str:
    """Write what foreign code raised in one line: its type, and what it says.

    Examples
    --------
    >>> told(KeyError("x"))
    "KeyError: 'x'"
    >>> told(ValueError())
    'ValueError: no message'
    """
    cause = error.__cause__ if isinstance(error, ForeignExitError) else None
    try:
        said = " ".join(str(error).split())[:300]
    except Exception:  # its own __str__ fails
        said = ""
    return f"{type(cause or error).__name__}: {said or 'no message'}"


def _is_the_users(error: BaseException) -> bool:
    """Tell whether a signal stands behind an interruption, or behind what it was raised after.

    Python's own handler raises between two instructions of whatever runs; one that somebody wrote
    raises in a function that was given the frame it interrupted. A library raises where it was
    told by a handler of its own, as asyncio does. All else is a ``raise`` of code that was not
    interrupted.
    """
    seen: set[int] = set()
    here: BaseException | None = error
    while here is not None and id(here) not in seen:
        seen.add(id(here))
        if isinstance(here, KeyboardInterrupt) and _came_by_signal(here.__traceback__):
            return True
        here = here.__cause__ or here.__context__
    return False


def _came_by_signal(trace: TracebackType | None) -> bool:
    last = trace
    while trace is not None:
        last, frame = trace, trace.tb_frame
        given = frame.f_code.co_varnames[: frame.f_code.co_argcount]
        if any(isinstance(frame.f_locals.get(name), FrameType) for name in given):
            return True
        trace = trace.tb_next
    return last is None or not _raises(last) or _is_of_library(last)


def _is_of_library(trace: TracebackType) -> bool:
    return is_library(Path(trace.tb_frame.f_code.co_filename).resolve())


def _raises(trace: TracebackType) -> bool:
    """Tell whether a line of a traceback was a ``raise``."""
    code = trace.tb_frame.f_code
    if trace.tb_lasti < 0:
        return False
    return dis.opname[code.co_code[trace.tb_lasti]] == "RAISE_VARARGS"


def _reopen(names: Iterable[str]) -> None:
    """Open standard streams again where the code closed them: their numbers stay open."""
    for name in names:
        if _is_closed(getattr(sys, name)):
            with suppress(OSError):  # the number is closed too
                again = os.fdopen(_STREAMS[name], "w", 1, encoding="utf-8", closefd=False)
                setattr(sys, name, again)


def _is_closed(stream: Any) -> bool:
    """Tell whether a stream is closed; what a program put in its place need not say so."""
    try:
        return bool(getattr(stream, "closed", False))
    except ValueError:  # its buffer was taken away
        return True


def _here() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 - as text, and None where the folder is gone
    except OSError:
        return None
