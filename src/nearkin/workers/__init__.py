"""Where units run: here, in processes, on a cluster, or in the jobs of an array; same bytes all.

A unit is a function ``unit(session, item)`` that reads and writes the run's folder and returns
something small. Workers are started once for all stages, receive the session once, and compute
with one BLAS thread each, so that their number changes no last bit.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nearkin.progress import Tell, unsaid
from nearkin.workers.array import ArrayJob, Shared, array_job
from nearkin.workers.dask import open_cluster
from nearkin.workers.here import Here
from nearkin.workers.processes import open_processes
from nearkin.workers.protocol import Unit, Workers
from nearkin.workers.remote import processor
from nearkin.workers.scheduler import Scheduler

__all__ = [
    "ArrayJob",
    "Here",
    "Place",
    "Scheduler",
    "Unit",
    "Workers",
    "array_job",
    "available_cores",
    "open_workers",
    "processor",
    "workers_at",
]

Place = int | Scheduler | ArrayJob
"""Where units run: in so many processes, on a Dask cluster, or in a job of an array."""


@contextlib.contextmanager
def open_workers(
    session: Any, *, workers: Place, folder: Path | None = None, tell: Tell = unsaid
) -> Iterator[Workers]:
    """Start workers for a session.

    Parameters
    ----------
    session : object
        What every unit is given; pickled once for each worker (by cloudpickle).
    workers : int, Scheduler or ArrayJob
        Processes (1 stays in this one), a Dask cluster, or this job of an array.
    folder : Path, optional
        Where the work is; the last two need it.
    tell : callable
        Told what the user should know of the workers.

    Yields
    ------
    Workers

    Raises
    ------
    InputError
        If a cluster cannot be reached, or its workers are not alike.
    RunError
        If a worker of this machine dies (killed for memory, say), or the cluster is lost.
    """
    if isinstance(workers, ArrayJob):
        yield Shared(session, workers, _place(folder))
    elif isinstance(workers, Scheduler):
        opened = open_cluster(session, scheduler=workers, folder=_place(folder), tell=tell)
        with opened as cluster:
            yield cluster
    elif workers == 1:
        yield Here(session)
    else:
        with open_processes(session, workers=workers) as pool:
            yield pool


def _place(folder: Path | None) -> Path:
    if folder is None:
        raise ValueError("workers that share a folder need one")
    return folder


def workers_at(place: Place, *, else_: int) -> int:
    """Return how many units are done at once; `else_` where only a cluster's scheduler knows."""
    if isinstance(place, ArrayJob):
        return place.of
    return place if isinstance(place, int) else else_


def available_cores() -> int:
    """Return the number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
