"""The four learning tasks: what each trains for, and how it is scored.

`TASKS` is the table; a task is one file with one class. Kim et al. 2019, sections 2.1 and 4.4.
"""

from __future__ import annotations

from nearkin.registry import lookup
from nearkin.tasks.protocol import Batch, Scores, Task

__all__ = ["TASKS", "Batch", "Scores", "Task", "task"]

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
