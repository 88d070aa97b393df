"""How a command ends that does not end well: one sentence on stderr and an exit code.

Exit 2 for what the user or the machine can mend, 130 for an interruption, 70 for a fault of
nearkin's own, whose trace is kept in a file. A signal that foreign code swallowed is sent again
where that is seen, else remembered, and obeyed where the work next tells how far it is.
"""

from __future__ import annotations

import _thread
import os
import platform
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import typer

from nearkin.cli.environment import faulty_variable, require_variables
from nearkin.cli.telling import fail
from nearkin.errors import NearkinError
from nearkin.progress import Progress

EXIT_UNMET, EXIT_INPUT, EXIT_FAILURES, EXIT_BUG, EXIT_INTERRUPTED = 1, 2, 3, 70, 130

_interrupted, _received = False, signal.SIGINT


@contextmanager
def sentences(*, computes: bool = True) -> Iterator[None]:
    """Turn every error into one sentence on stderr and an exit code.

    Parameters
    ----------
    computes : bool
        Whether libraries are at work, which some variables of the environment break.
    """
    global _interrupted
    try:
        if computes:
            require_variables()
        yield
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except NearkinError as error:
        fail(str(error), EXIT_INPUT)
    except KeyboardInterrupt:
        _interrupted = False
        told = "interrupted: give the same command again, it goes on where it stopped"
        fail(told, EXIT_INTERRUPTED)
    except MemoryError:
        told = "not enough memory: pass fewer --workers or --clips and give the command again"
        fail(told, EXIT_INPUT)
    except OSError as error:
        if error.strerror is None:
            end_with_trace(error)
        at = "" if error.filename is None else f"{error.filename}: "
        if not at and _is_nowhere():
            at = "the working directory, which was deleted or is hidden: "
        told = f"{at}cannot be read or written ({error.strerror}); mend that"
        fail(f"{told} and give the same command again", EXIT_INPUT)
    except SystemExit:
        raise
    except BaseException as error:
        told = faulty_variable(error)
        if told:
            fail(told, EXIT_INPUT)
        end_with_trace(error)


def _is_nowhere() -> bool:
    """Tell whether the folder that the command was given in is gone."""
    try:
        Path.cwd()
    except OSError:
        return True
    return False


def end_with_trace(error: BaseException) -> NoReturn:
    """Keep the trace of an error that nobody foresaw, say where, and leave with 70."""
    try:
        said = " ".join(str(error).split())
    except Exception:  # its own __str__ fails
        said = ""
    said = said if len(said) <= 200 else f"{said[:199]}…"
    kept = _kept_trace(error)
    where = f"the trace is in {kept}" if kept else "its trace could not be written anywhere"
    fail(
        f"an error of nearkin's own, {type(error).__name__}{f': {said}' if said else ''}; {where}, "
        "please report it with the command that was given",
        EXIT_BUG,
    )


def _kept_trace(error: BaseException) -> str:
    from nearkin import __version__

    lines = [
        f"nearkin {__version__}, Python {platform.python_version()} on {platform.platform()}\n",
        f"{sys.argv!a}\n\n",
        *traceback.format_exception(error),
    ]
    try:
        number, path = tempfile.mkstemp(prefix="nearkin-", suffix="-trace.txt")
        with os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(lines)
    except OSError:
        return ""
    return path


def obey_signals() -> None:
    """Let INT, TERM and HUP interrupt a command, unless they are ignored (``nohup``)."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    sys.unraisablehook = _swallowed


def _swallowed(what: sys.UnraisableHookArgs) -> None:
    """Send an interruption again that came where nothing can be raised: in a library's callback."""
    if issubclass(what.exc_type, KeyboardInterrupt):
        again = threading.Timer(0.1, _interrupt_main)
        again.daemon = True
        again.start()
    else:
        sys.__unraisablehook__(what)


def _interrupt_main() -> None:
    """Wake the main thread with a signal, even from a sleep or a lock."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, _received)
    else:
        _thread.interrupt_main(_received)


def _interrupt(number: int, frame: Any) -> NoReturn:
    global _interrupted, _received
    _interrupted, _received = True, signal.Signals(number)
    raise KeyboardInterrupt


def interruptible(progress: Progress) -> Progress:
    """Return a progress that raises an interruption which somebody else's code has swallowed."""

    def told(stage: str, done: int, total: int) -> None:
        if _interrupted:
            raise KeyboardInterrupt
        progress(stage, done, total)

    return told
