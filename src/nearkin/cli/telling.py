"""Lines for a terminal, whatever it is: closed, full, gone, in another encoding.

Names come from strangers' files and models, so every line is made visible first: no escape sequence
reaches the terminal. Standard output carries results, standard error what happens on the way.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import NoReturn, TextIO

import typer

from nearkin.errors import RunError, printable


def say(text: str) -> None:
    """Print a line of the result; a reader that has left, such as ``head``, has read enough.

    Raises
    ------
    RunError
        If the line cannot be written for another reason, such as a full disk.
    """
    try:
        _write(sys.stdout, text)
    except BrokenPipeError:
        _silence(sys.stdout)
    except OSError as error:
        _silence(sys.stdout)
        raise RunError(
            f"standard output: cannot be written ({error.strerror}); what was computed is kept, "
            "give the same command again with another output"
        ) from error


def note(text: str) -> None:
    """Write a line to stderr, where that can be written to."""
    write_note(sys.stderr, text)


def write_note(stream: TextIO, text: str) -> None:
    """Write a line that nobody need read to a stream; a stream that is gone is left alone."""
    try:
        _write(stream, text)
    except OSError:
        _silence(stream)


def fail(sentence: str, code: int) -> NoReturn:
    """Write one sentence to stderr and leave with an exit code."""
    note(f"nearkin: {' '.join(sentence.split())}")
    raise typer.Exit(code)


def open_closed_streams() -> None:
    """Lead standard streams that are closed to nowhere: a file must not take their place."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)
            stream = os.fdopen(nowhere, "r" if number == 0 else "w", encoding="utf-8")
            setattr(sys, name, stream)


def _write(stream: TextIO, text: str) -> None:
    encoding = stream.encoding or "utf-8"
    shown = "\n".join(printable(line) for line in text.split("\n"))
    stream.write(shown.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()


def _silence(stream: TextIO) -> None:
    """Lead a stream nowhere, so that nothing fails when it is closed at the end."""
    with contextlib.suppress(OSError, ValueError):  # a stream of a test has no number
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
