"""Where units run: in this process, or in several; with the same results, byte for byte.

A unit is a function ``unit(session, item)`` that reads and writes the run's folder and returns
something small. Workers are started once for all stages, receive the session once, and compute
with one BLAS thread each, so that their number changes no last bit.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from nearkin.workers.here import Here
from nearkin.workers.processes import open_processes
from nearkin.workers.protocol import Unit, Workers

__all__ = ["Here", "Unit", "Workers", "available_cores", "open_workers"]


@contextlib.contextmanager
def open_workers(session: Any, *, workers: int) -> Iterator[Workers]:
    """Start workers for a session.

    Parameters
    ----------
    session : object
        What every unit is given; pickled once for each worker (by cloudpickle).
    workers : int
        Processes; 1 stays in this one.

    Yields
    ------
    Workers

    Raises
    ------
    RunError
        If a worker dies (killed for memory, say).
    """
    if workers == 1:
        yield Here(session)
        return
    with open_processes(session, workers=workers) as pool:
        yield pool


def available_cores() -> int:
    """Return the number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
