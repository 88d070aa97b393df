"""How far a command has come, on stderr: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from nearkin.bars import Lines, terminal_bars
from nearkin.cli.endings import interruptible
from nearkin.cli.telling import write_note
from nearkin.progress import Progress, silent


@contextmanager
def show(*, quiet: bool, stream: TextIO | None = None) -> Iterator[Progress]:
    """Show progress on stderr while a run works.

    Parameters
    ----------
    quiet : bool
        Show nothing.
    stream : text file, optional
        Where to; stderr by default.

    Yields
    ------
    Progress
        To be told ``(stage, done, total)``.
    """
    target = sys.stderr if stream is None else stream
    if quiet:
        yield interruptible(silent)
    elif target.isatty():
        with terminal_bars(target) as bars:
            yield interruptible(bars)
    else:
        yield interruptible(Lines(lambda line: write_note(target, line)))
