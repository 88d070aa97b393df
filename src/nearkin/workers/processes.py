"""Units in several processes of this machine.

A worker receives the session once, by cloudpickle, and ends with its parent.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from typing import Any

from nearkin.errors import RunError
from nearkin.workers.protocol import Done, Item, Lost, Unit

_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)
_KEEPS = {"LOKY_MAX_MEMORY_LEAK_SIZE": "1e18"}
"""What a session keeps for later units is no leak: loky replaced workers that had 300 MB more."""
_WAIT_S = 3.0
_session: Any = None


@contextlib.contextmanager
def open_processes(session: Any, *, workers: int) -> Iterator[Processes]:
    """Start processes for a session; end them when the context is left."""
    from loky import ProcessPoolExecutor

    executor = ProcessPoolExecutor(
        max_workers=workers,
        initializer=_begin,
        initargs=(session, os.getpid()),
        env=_ONE_THREAD | _KEEPS,
    )
    try:
        yield Processes(executor, workers)
    except BaseException:
        executor.shutdown(wait=False, kill_workers=True)
        raise
    executor.shutdown(wait=True)


class Processes:
    """Runs units in worker processes."""

    def __init__(self, executor: Any, workers: int) -> None:
        self._executor = executor
        self._ahead = 3 * workers

    def map(
        self,
        unit: Unit,
        items: Iterable[Item],
        *,
        done: Done | None = None,
        lost: Lost | None = None,
    ) -> Iterator[tuple[Item, Any]]:
        """Yield every item with its unit's result, in order, and take few items ahead of them."""
        pending: deque[tuple[Item, Any]] = deque()
        with _told_death():
            for item in items:
                pending.append((item, self._executor.submit(_call, unit, item)))
                if len(pending) > self._ahead:
                    first, future = pending.popleft()
                    yield first, future.result()
            while pending:
                first, future = pending.popleft()
                yield first, future.result()

    def as_they_end(
        self, unit: Unit, items: Sequence[Item], *, waiting: Callable[[], None]
    ) -> Iterator[tuple[Item, Any]]:
        """Yield every item with its unit's result, the first that ends first.

        An error ends the work as soon as it is there, after what ended beside it. `waiting` is
        called when something ended, and every few seconds.
        """
        with _told_death():
            pending = {self._executor.submit(_call, unit, item): item for item in items}
            while pending:
                ended, _ = wait(pending, timeout=_WAIT_S, return_when=FIRST_COMPLETED)
                in_turn = [one for one in pending if one in ended]
                for future in sorted(in_turn, key=lambda one: one.exception() is not None):
                    yield pending.pop(future), future.result()
                waiting()


@contextlib.contextmanager
def _told_death() -> Iterator[None]:
    """Tell that a worker died as an error of this package."""
    from loky.process_executor import BrokenProcessPool

    try:
        yield
    except BrokenProcessPool as error:
        raise RunError(
            "a worker process died, perhaps for want of memory; give the same command again "
            "(it goes on where it stopped), with fewer --workers if it dies again"
        ) from error


def _begin(session: Any, command: int) -> None:
    """Make this process a worker of one session, for as long as its command lives.

    The command is told by its number: one that was killed already cannot be asked for it here.
    """
    global _session
    _session = session
    # the default in loky's workers is its own way, which starts none of torch's loaders
    multiprocessing.set_start_method("fork" if sys.platform == "linux" else "spawn", force=True)
    threading.Thread(target=_leave_with, args=(command,), daemon=True).start()


def _leave_with(command: int) -> None:
    """End the process once its command was killed: nobody is left to collect what it makes.

    Its parent is the command, or a script between them that starts Python.
    """
    parent = os.getppid()
    while os.getppid() == parent and (parent == command or _lives(command)):
        time.sleep(1)
    os._exit(1)


def _lives(process: int) -> bool:
    if os.name == "nt":  # a signal would end it there
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is there, and another user's
        return True
    return True


def _call(unit: Unit, item: Any) -> Any:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        return unit(_session, item)
