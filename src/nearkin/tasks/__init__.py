"""The four learning tasks: what each trains for, and how it is scored.

`TASKS` is the table; a task is one file with one class. Kim et al. 2019, sections 2.1 and 4.4.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from nearkin.registry import lookup
from nearkin.tasks.protocol import Batch, Scores, Task

__all__ = ["TASKS", "Batch", "Scores", "Task", "by_level", "by_measure", "level", "task"]

TASKS = {
    "ae": "nearkin.tasks.autoencoder:Autoencoder",
    "at": "nearkin.tasks.tagging:AutoTagging",
    "ir": "nearkin.tasks.instruments:InstrumentRecognition",
    "vs": "nearkin.tasks.separation:VoiceSeparation",
}
"""Name to ``"module:attribute"``."""


def task(name: str) -> Task:
    """Return a task by its name.

    Raises
    ------
    InputError
        If there is none of that name.

    Examples
    --------
    >>> task("ir").measure
    'accuracy'
    """
    made: Task = lookup(TASKS, name, kind="task")()
    return made


def by_measure() -> dict[str, Task]:
    """Return the tasks by what their scores are.

    Examples
    --------
    >>> by_measure()["SDR"].name
    'vs'
    """
    return {one.measure: one for one in map(task, TASKS)}


def level(name: str) -> int | None:
    """Return a task's level, the paper's AE < VS < IR < AT, in any case; None if it is unknown.

    Examples
    --------
    >>> level("ae"), level("AT"), level("genre")
    (1, 4, None)
    """
    return task(name.lower()).level if name.lower() in TASKS else None


def by_level(names: Iterable[str]) -> list[str]:
    """Return tasks in the order of their levels, unknown ones after them by name.

    Examples
    --------
    >>> by_level(["genre", "at", "ae"])
    ['ae', 'at', 'genre']
    """
    return sorted(names, key=lambda name: (level(name) or math.inf, name))
