"""Where units run: in this process, or in several; with the same results, byte for byte.

A unit is a function ``unit(session, item)`` that reads and writes the run's folder and returns
something small. Workers are started once for all stages, receive the session once, and compute
with one BLAS thread each, so that their number changes no last bit.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar

from nearkin.errors import RunError

Item = TypeVar("Item")
Result = TypeVar("Result")
Unit = Callable[[Any, Any], Any]

_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)
_session: Any = None


class Workers(Protocol):
    """Something that runs units."""

    def map(self, unit: Unit, items: Iterable[Item]) -> Iterator[tuple[Item, Any]]:
        """Yield every item with its unit's result, in any order."""
        ...


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
    from loky import ProcessPoolExecutor

    executor = ProcessPoolExecutor(
        max_workers=workers, initializer=_begin, initargs=(session,), env=_ONE_THREAD
    )
    try:
        yield _Processes(executor, workers)
    except BaseException:
        executor.shutdown(wait=False, kill_workers=True)
        raise
    executor.shutdown(wait=True)


class Here:
    """Runs units in this process."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def map(self, unit: Unit, items: Iterable[Item]) -> Iterator[tuple[Item, Any]]:
        """Yield every item with its unit's result, in order."""
        from threadpoolctl import threadpool_limits

        with threadpool_limits(limits=1):
            for item in items:
                yield item, unit(self._session, item)


class _Processes:
    """Runs units in worker processes, a bounded number ahead."""

    def __init__(self, executor: Any, workers: int) -> None:
        self._executor = executor
        self._ahead = 3 * workers

    def map(self, unit: Unit, items: Iterable[Item]) -> Iterator[tuple[Item, Any]]:
        """Yield every item with its unit's result, in order."""
        from loky.process_executor import BrokenProcessPool

        pending: deque[tuple[Item, Any]] = deque()
        try:
            for item in items:
                pending.append((item, self._executor.submit(_call, unit, item)))
                if len(pending) > self._ahead:
                    first, future = pending.popleft()
                    yield first, future.result()
            while pending:
                first, future = pending.popleft()
                yield first, future.result()
        except BrokenProcessPool as error:
            raise RunError(
                "a worker process died, perhaps for want of memory; give the same command again "
                "(it goes on where it stopped), with fewer --workers if it dies again"
            ) from error


def available_cores() -> int:
    """Return the number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _begin(session: Any) -> None:
    """Make this process a worker of one session, for as long as its parent lives."""
    global _session
    _session = session
    threading.Thread(target=_leave_with, args=(os.getppid(),), daemon=True).start()


def _leave_with(parent: int) -> None:
    """End the process once its parent was killed: nobody is left to collect what it makes."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _call(unit: Unit, item: Any) -> Any:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        return unit(_session, item)
