"""The one tree of errors nearkin raises on purpose.

Every message states the value seen, what was demanded and the remedy, in one sentence:
``sr=0: must be > 0; pass --sample-rate``.
"""

from __future__ import annotations

import os
from pathlib import Path


class NearkinError(Exception):
    """Root of every error nearkin raises on purpose; its text is fit to be shown to a user."""


class InputError(NearkinError, ValueError):
    """A value, file or setting that cannot be used; the command line exits with 2."""


class ExtraError(NearkinError, ImportError):
    """An optional package is missing; the message names the pip command that installs it."""


class RunError(NearkinError):
    """A run could not be continued or finished (disk full, folder taken, settings changed)."""


def printable(path: Path | str) -> str:
    r"""Write a path so that any terminal, table or page can show it.

    Examples
    --------
    >>> printable("a\nb")
    'a\\nb'
    """
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )
