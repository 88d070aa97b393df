"""How far a run has come: bars with the remaining time on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from nearkin.cli.endings import interruptible
from nearkin.cli.telling import write_note
from nearkin.progress import Progress, duration, silent

STAGES = {
    "originals": "originals read and embedded",
    "queries": "clips transformed and compared",
    "scores": "points scored",
    "report": "figures and report",
    "sounds": "sounds of lost clips made",
    "clips": "clips transformed and written",
    "analysis": "measures modelled",
}
_SECONDS_BETWEEN_LINES = 10.0


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
        with _bars(target) as bars:
            yield interruptible(bars)
    else:
        yield interruptible(_Lines(target))


@contextmanager
def _bars(target: TextIO) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("remaining"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(file=target)) as bars:
        tasks: dict[str, object] = {}

        def tell(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(STAGES.get(stage, stage), total=total, completed=done)
            bars.update(tasks[stage], completed=done, total=total)  # type: ignore[arg-type]

        yield tell


class _Lines:
    """A line at the beginning and end of a stage and every ten seconds in between."""

    def __init__(self, target: TextIO) -> None:
        self._target = target
        self._stage = ""
        self._begun = self._told = 0.0
        self._first = 0

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._begun, self._first = stage, now, done
        elif done < total and now - self._told < _SECONDS_BETWEEN_LINES:
            return
        self._told = now
        line = f"{STAGES.get(stage, stage)}: {done}/{total}"
        fresh = done - self._first
        if fresh and done < total:
            remaining = (now - self._begun) / fresh * (total - done)
            line += f", {duration(remaining)} remaining"
        elif fresh:
            line += f" in {duration(now - self._begun)}"
        write_note(self._target, line)
