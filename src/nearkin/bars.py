"""How far a run has come: bars on a terminal, a table in a notebook, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from html import escape
from typing import Any, TextIO

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
SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_VIEWS = 0.25
"""Between two pictures of a notebook's table."""
SECONDS_OF_LATE = 60.0
"""Of a stage, by whose speed the rest is told; the last half where that is longer."""


def fitting_bars() -> AbstractContextManager[Progress]:
    """Return what shows progress where Python runs: in a notebook, on a terminal, or nowhere."""
    shell = notebook()
    if shell is not None:
        return notebook_bars()
    stream = sys.stderr
    if stream is not None and stream.isatty():
        return terminal_bars(stream)
    return nullcontext(silent)


def notebook() -> Any:
    """Return IPython's shell where it belongs to a notebook (it has a kernel); None elsewhere."""
    ipython = sys.modules.get("IPython")
    shell = getattr(ipython, "get_ipython", lambda: None)()
    return shell if getattr(shell, "kernel", None) is not None else None


@contextmanager
def terminal_bars(stream: TextIO) -> Iterator[Progress]:
    """Show a bar a stage with the remaining time, on a terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
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
    with Progress(*columns, console=Console(file=stream)) as bars:
        tasks: dict[str, TaskID] = {}
        counts: dict[str, tuple[int, int]] = {}

        def tell(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(STAGES.get(stage, stage), total=total, completed=done)
            elif _is_another(counts[stage], (done, total)):
                bars.reset(tasks[stage], total=total, completed=done)
            counts[stage] = done, total
            bars.update(tasks[stage], completed=done, total=total)

        yield tell


@contextmanager
def notebook_bars() -> Iterator[Progress]:
    """Show a table of stages in a notebook, which stays below the cell when all is done."""
    from IPython.display import HTML, display

    handle = display(HTML(""), display_id=True)
    table = StageTable()
    shown = 0.0

    def tell(stage: str, done: int, total: int) -> None:
        nonlocal shown
        now = time.monotonic()
        table.put(stage, done, total, now)
        if done >= total or now - shown >= SECONDS_BETWEEN_VIEWS:
            shown = now
            handle.update(HTML(table.html()))

    try:
        yield tell
    finally:
        handle.update(HTML(table.html()))


class StageTable:
    """Stages with their counts and times, as HTML."""

    def __init__(self) -> None:
        self._clocks: dict[str, Clock] = {}
        self._counts: dict[str, tuple[int, int]] = {}
        self._ended: dict[str, str] = {}

    def put(self, stage: str, done: int, total: int, now: float) -> None:
        """Take what a stage told at a time."""
        clock = self._clocks.setdefault(stage, Clock(done, total, now))
        self._counts[stage] = done, total
        self._ended[stage] = clock.said(done, total, now)

    def html(self) -> str:
        """Return the table."""
        rows = []
        for stage, (done, total) in self._counts.items():
            name = escape(STAGES.get(stage, stage))
            bar = f'<progress max="{max(total, 1)}" value="{done}" aria-label="{name}"></progress>'
            told = escape(self._ended[stage])
            rows.append(
                f"<tr><td style='text-align:left'>{name}</td><td>{bar}</td>"
                f"<td>{done}/{total}</td><td style='text-align:left'>{told}</td></tr>"
            )
        return f"<table>{''.join(rows)}</table>"


class Lines:
    """A line at the beginning and end of a stage and every ten seconds in between, if it got on.

    Parameters
    ----------
    write : callable
        Takes a line.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._told: dict[str, tuple[float, tuple[int, int]]] = {}
        self._clocks: dict[str, Clock] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Take what a stage tells."""
        now = time.monotonic()
        clock = self._clocks.setdefault(stage, Clock(done, total, now))
        said = clock.said(done, total, now)
        if stage in self._told:
            before, count = self._told[stage]
            is_early = now - before < SECONDS_BETWEEN_LINES
            if (is_early and clock.is_under_way) or count == (done, total):
                return
        self._told[stage] = now, (done, total)
        ending = said and (f" {said}" if done >= total else f", {said}")
        self._write(f"{STAGES.get(stage, stage)}: {done}/{total}{ending}")


class Clock:
    """The time of one stage; `first` of its `total` units were there when it began.

    What remains is told by the speed of the last minute, or of the last half of the stage where
    that is longer: units that an earlier command did pass in a moment, and say nothing of the rest.
    Another stage of the same name may follow.
    """

    def __init__(self, first: int, total: int, now: float) -> None:
        self._begin(first, total, now)

    def _begin(self, first: int, total: int, now: float) -> None:
        self._begun = now
        self._first = first
        self._count = first, total
        self._passed = deque([(now, first)])

    @property
    def is_under_way(self) -> bool:
        """Whether the stage has done something, and not all."""
        done, total = self._count
        return self._first < done < total

    def said(self, done: int, total: int, now: float) -> str:
        """Say how long it will take still, or took; nothing before it has done something."""
        if _is_another(self._count, (done, total)):
            self._begin(done, total, now)
        self._count = done, total
        if done == self._first:
            return ""
        if done >= total:
            return f"in {duration(now - self._begun)}"
        then, before = self._lately(done, now)
        return f"{duration((now - then) / (done - before) * (total - done))} remaining"

    def _lately(self, done: int, now: float) -> tuple[float, int]:
        """Return a time, not long ago, and how many units were done by then, less than now."""
        passed = self._passed
        recent = now - max(SECONDS_OF_LATE, (now - self._begun) / 2)
        while len(passed) > 1 and passed[1][0] <= recent and passed[1][1] < done:
            passed.popleft()
        if passed[-1][1] < done and now - passed[-1][0] >= 1:
            passed.append((now, done))
        return passed[0]


def _is_another(before: tuple[int, int], now: tuple[int, int]) -> bool:
    """Tell by the units done, of how many, whether another stage of the same name has begun."""
    return now[0] < before[0] or now[1] != before[1]
