"""How far work has come: what every long step tells, and what takes it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

Progress = Callable[[str, int, int], None]
"""Told ``(stage, done, total)``: once when a stage begins, then after every unit."""
Tell = Callable[[str], None]
"""Told a sentence that the user should read."""


def silent(stage: str, done: int, total: int) -> None:
    """Take progress and say nothing."""


def unsaid(sentence: str) -> None:
    """Take a sentence and say nothing."""


def once(tell: Tell) -> Tell:
    """Return what passes a sentence on the first time that it comes.

    Examples
    --------
    >>> tell = once(print)
    >>> tell("one"), tell("one")
    one
    (None, None)
    """
    said: set[str] = set()

    def told(sentence: str) -> None:
        if sentence not in said:
            said.add(sentence)
            tell(sentence)

    return told


_watcher: Tell | None = None


@contextlib.contextmanager
def watched(watcher: Tell | None) -> Iterator[None]:
    """Let somebody be told by `at` what the work inside is at."""
    global _watcher
    _watcher = watcher
    try:
        yield
    finally:
        _watcher = None


def at(place: str) -> None:
    """Say what a unit is at, for whoever wants to know which step ended its process."""
    if _watcher is not None:
        _watcher(place)


def is_watched() -> bool:
    """Tell whether somebody wants to know: a unit that ended a process before is tried again."""
    return _watcher is not None


def duration(seconds: float) -> str:
    """Write a time as a person would.

    Examples
    --------
    >>> duration(5), duration(125), duration(7300)
    ('5 s', '2 min 5 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
