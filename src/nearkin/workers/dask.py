"""Units on the workers of a Dask cluster, over a folder that all machines see.

The session is pickled once, into the run's folder; a task names that file and its SHA-256, and a
worker reads it when it first meets it. Nothing large goes through the scheduler, and nothing is
scattered: what a unit makes is a file, and data held by a worker would die with it.

A unit that ends its worker, or stands still, is tried elsewhere. Before it begins, a unit leaves a
file of its attempt; one that is met with three such files is not tried a fourth time.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nearkin.errors import InputError, RunError, printable
from nearkin.files import key, write_whole
from nearkin.optional import need
from nearkin.progress import Tell, duration, unsaid
from nearkin.workers.protocol import Done, Item, Lost, Unit
from nearkin.workers.remote import (
    GivenUp,
    attempts_of,
    call,
    differences,
    facts,
    identity,
    look,
    read_attempt,
)
from nearkin.workers.scheduler import (
    Scheduler,
    allow_failures,
    losses,
    lost_scheduler,
    open_client,
    replace_worker,
    wait_for_workers,
)

FOLDER = "cluster"
"""The folder, in that of the work, for what travels by files."""
_AHEAD = 3
"""Units handed out ahead, for each thread of a worker."""
_POLL_S = 2.0
_SLOW = 20.0
"""A unit that takes this many times the median of the finished ones stands still."""
_NEVER_SLOW_S = 300.0
"""No unit stands still before this time has passed, whatever the others took."""


@dataclass
class _Task:
    """A unit that was handed out."""

    item: Any
    future: Any
    attempts: Path
    begun: dict[str, float] = field(default_factory=dict)


@contextlib.contextmanager
def open_cluster(
    session: Any, *, scheduler: Scheduler, folder: Path, tell: Tell = unsaid
) -> Iterator[Cluster]:
    """Reach a cluster, and see that its workers are what they have to be.

    Parameters
    ----------
    session : object
        What every unit is given. Where it has a method ``identity()``, its text must be equal on
        all workers: what its encoders are, say.
    scheduler : Scheduler
    folder : Path
        Where the work is; every worker must see it under the same path.
    tell : callable
        Told of the workers, and of different processors.

    Raises
    ------
    InputError
        If the scheduler cannot be reached, or a worker does not see the folder, or has other
        versions or other encoders.
    RunError
        If no worker comes, or the scheduler is lost.
    """
    need("distributed", extra="dask")
    import cloudpickle

    place = folder.absolute() / FOLDER
    clear(place)
    # the token makes it a new one to workers that know an equal one: files may have changed since
    content = cloudpickle.dumps((session, str(Path.cwd()), facts(), secrets.token_hex(8)))
    digest = hashlib.sha256(content).hexdigest()
    path = place / f"{digest[:20]}.session"
    with open_client(scheduler) as client:
        try:
            write_whole(path, lambda file: file.write(content))
            try:
                wait_for_workers(client, scheduler, tell)
                _require_alike(client, path, digest, session, tell)
                client.run_on_scheduler(allow_failures)
            except losses() as error:
                raise lost_scheduler(error) from error
            yield Cluster(client, path, digest, session, scheduler, tell)
        finally:
            clear(place)


def clear(place: Path) -> None:
    """Delete what `open_cluster` put into its folder, and nothing else."""
    if place.is_symlink() or not place.is_dir():
        return
    for path in place.iterdir():
        if path.suffix in (".session", ".attempt", ".token") and not path.is_symlink():
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        place.rmdir()


class Cluster:
    """Runs units on a cluster, a bounded number ahead.

    Parameters
    ----------
    client : distributed.Client
    path : Path
        The pickled session.
    digest : str
        Its SHA-256.
    session : object
        The same, here.
    scheduler : Scheduler
    tell : callable
    """

    def __init__(
        self, client: Any, path: Path, digest: str, session: Any, scheduler: Scheduler, tell: Tell
    ) -> None:
        self._client = client
        self._path = path
        self._digest = digest
        self._session = session
        self._scheduler = scheduler
        self._tell = tell
        self._took: list[float] = []
        self._alone_since: float | None = None

    def map(
        self,
        unit: Unit,
        items: Iterable[Item],
        *,
        done: Done | None = None,
        lost: Lost | None = None,
    ) -> Iterator[tuple[Item, Any]]:
        """Yield every item with its unit's result, as they end; see `Workers.map`.

        Raises
        ------
        RunError
            If the cluster or all of its workers are gone, or a unit ends its workers and `lost` is
            not given.
        """
        from distributed import KilledWorker, wait

        waiting = iter(items)
        tasks: dict[str, _Task] = {}
        try:
            while True:
                n_threads = sum(self._client.nthreads().values())
                self._hand_out(unit, waiting, tasks, n_threads)
                if not tasks:
                    return
                self._require_a_worker(n_threads)
                with contextlib.suppress(TimeoutError), self._client.as_current():
                    futures = [task.future for task in tasks.values()]
                    wait(futures, timeout=_POLL_S, return_when="FIRST_COMPLETED")
                for name in [n for n, task in tasks.items() if task.future.done()]:
                    task = tasks.pop(name)
                    try:
                        result, seconds = task.future.result()
                    except KilledWorker as error:
                        self._lose(lost, task, f"ended its workers ({error})")
                        yield task.item, None
                        continue
                    except GivenUp as error:
                        self._lose(lost, task, str(error))
                        yield task.item, None
                        continue
                    # a result that is kept would be computed again if its worker died
                    task.future.release()
                    self._took.append(seconds)
                    for attempt in attempts_of(task.attempts):
                        attempt.unlink(missing_ok=True)
                    yield task.item, result
                self._drop_workers_that_stand_still(tasks)
        except losses() as error:
            raise lost_scheduler(error) from error
        finally:
            with contextlib.suppress(Exception):
                self._client.cancel([task.future for task in tasks.values()])

    def _hand_out(
        self, unit: Unit, waiting: Iterator[Any], tasks: dict[str, _Task], n_threads: int
    ) -> None:
        while len(tasks) < max(1, _AHEAD * n_threads):
            try:
                item = next(waiting)
            except StopIteration:
                return
            name = f"{unit.__name__}-{key(repr(item))}"
            attempts = self._path.parent / name
            future = self._client.submit(
                call, str(self._path), self._digest, str(attempts), unit, item,
                key=f"nearkin-{name}-{secrets.token_hex(4)}", pure=False,
            )  # fmt: skip
            tasks[name] = _Task(item, future, attempts)

    def _require_a_worker(self, n_threads: int) -> None:
        """Tell that there is no worker, and wait only so long: a nanny may start no other.

        It does not where its worker dies before it has heard that this one is there.
        """
        if n_threads:
            self._alone_since = None
            return
        now, alone_s = time.monotonic(), self._scheduler.alone_s
        if self._alone_since is None:
            self._alone_since = now
            self._tell("Dask: no worker is left; another is waited for")
        if now - self._alone_since > alone_s:
            raise RunError(
                f"all Dask workers were lost, and none came in {duration(alone_s)}; start workers, "
                "then give the same command again, it goes on where it stopped"
            )

    def _lose(self, lost: Lost | None, task: _Task, reason: str) -> None:
        told = f"{_named(task.item)}: {reason}"
        if lost is None:
            raise RunError(f"{told}; leave it out, or give its worker more memory")
        self._tell(told)
        lost(self._session, task.item, f"failed: {reason}")

    def _drop_workers_that_stand_still(self, tasks: Mapping[str, _Task]) -> None:
        """Take the workers whose unit lasts far too long away from the scheduler."""
        now = time.monotonic()
        median = statistics.median(self._took) if len(self._took) >= 5 else None
        slow_s = self._scheduler.slow_s
        if slow_s is None:
            slow_s = max(_NEVER_SLOW_S, _SLOW * median) if median is not None else None
        for task in tasks.values():
            attempts = attempts_of(task.attempts)
            for attempt in attempts:
                task.begun.setdefault(attempt.name, now)
            if not attempts or slow_s is None:
                continue
            last = attempts[-1]
            if now - task.begun[last.name] > slow_s:
                worker = read_attempt(last).get("worker", "")
                if worker in self._client.scheduler_info(n_workers=-1)["workers"]:
                    self._tell(
                        f"worker {printable(worker)} has stood still for {slow_s:.0f} s with "
                        f"{_named(task.item)}; it is given up, and the work done elsewhere"
                    )
                    self._client.run_on_scheduler(replace_worker, address=worker)


def _require_alike(client: Any, path: Path, digest: str, session: Any, tell: Tell) -> None:
    """Refuse workers that do not see the folder, or would compute something else."""
    token = secrets.token_hex(16)
    place = path.with_suffix(".token")
    write_whole(place, lambda file: file.write(token.encode()))
    try:
        found = client.run(look, str(place), token, on_error="return")
    finally:
        place.unlink(missing_ok=True)
    here = facts()
    for worker, about in found.items():
        if isinstance(about, BaseException):
            raise InputError(
                f"worker {printable(worker)}: cannot run nearkin ({type(about).__name__}: {about});"
                " install the same versions everywhere"
            )
        if not about["seen"]:
            raise InputError(
                f"worker {printable(worker)} on {about['host']}: does not see "
                f"{printable(place.parent)}; command and workers need a file system that they "
                "share, under the same path"
            )
        if told := differences(here, about["same"]):
            raise InputError(f"worker {printable(worker)} on {about['host']}: {told}")
    processors = Counter(about["processor"] for about in found.values())
    tell(f"Dask: {len(found)} workers on {len({a['host'] for a in found.values()})} machines")
    if len(processors) > 1:
        told = ", ".join(f"{n} with {name}" for name, n in processors.most_common())
        tell(
            f"workers of different processors ({told}): the last bits of results hang on which "
            "did a unit; for the same bytes at every run take one type"
        )
    if hasattr(session, "identity"):
        ours = str(session.identity())
        theirs = client.run(identity, str(path), digest, on_error="return")
        for worker, told in theirs.items():
            if isinstance(told, BaseException):
                raise InputError(f"worker {printable(worker)}: {told}")
            if told != ours:
                raise InputError(
                    f"worker {printable(worker)} on {found[worker]['host']}: has other encoders or "
                    "other noise than this command under the same names; give it the same files"
                )


def _named(item: Any) -> str:
    """Name a unit's item as a user knows it."""
    return f"'{printable(getattr(item, 'name', item))}'"
