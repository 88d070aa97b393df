"""A Dask scheduler: its address, a client, its first worker, and what is raised once it is lost.

An address that no client can reach is refused before distributed is asked: it would wait, or stand
still at its end.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearkin.errors import InputError, RunError, printable
from nearkin.progress import Tell

_LOGGERS = (
    *("distributed", "distributed.client", "distributed.core", "distributed.comm"),
    *("distributed.utils", "tornado.application", "asyncio"),
)
_CONNECT_S = 20.0


@dataclass(frozen=True)
class Scheduler:
    """A Dask cluster.

    Attributes
    ----------
    address : str or distributed.Client
        ``"tcp://host:8786"``, ``"file:scheduler.json"``, or a client.
    patience_s : float
        How long the first worker is waited for.
    alone_s : float
        How long another worker is waited for when all are lost: in a queue that takes its time.
    slow_s : float, optional
        After how many seconds a unit is taken to stand still; by default 20 times the median of
        those that ended, and at least 300.
    """

    address: Any
    patience_s: float = 600.0
    alone_s: float = 86_400.0
    slow_s: float | None = None


def losses() -> tuple[type[BaseException], ...]:
    """Return what is raised where the scheduler, or the way to it, is gone."""
    from distributed import CancelledError
    from distributed.comm import CommClosedError

    return (CancelledError, CommClosedError, TimeoutError, OSError)


def lost_scheduler(error: BaseException) -> RunError:
    """Return what is told where the scheduler is gone."""
    return RunError(
        f"the Dask scheduler was lost ({type(error).__name__}); start it again and give the same "
        "command again, it goes on where it stopped"
    )


@contextlib.contextmanager
def _unlogged() -> Iterator[None]:
    """Keep what distributed logs of a lost scheduler from the terminal: a sentence tells it."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def open_client(scheduler: Scheduler) -> Iterator[Any]:
    """Give a client of a scheduler; one that was given stays open afterwards.

    Raises
    ------
    InputError
        If the address is none, or cannot be reached.
    """
    from distributed import Client

    address = scheduler.address
    if not isinstance(address, str):
        yield address
        return
    told = f"--scheduler {printable(address)}"
    where = address
    if address.startswith("file:"):
        where = _address_in(Path(address.removeprefix("file:")), told)
    require_address(where, told)
    try:
        client = Client(where, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError, LookupError, TypeError, AssertionError) as error:
        raise InputError(
            f"{told}: cannot be reached ({type(error).__name__}); is it "
            "running, and may this machine connect to it?"
        ) from error
    with _unlogged():
        try:
            yield client
        finally:
            with contextlib.suppress(Exception):
                client.close(timeout=5)


def require_address(where: str, told: str) -> None:
    """Refuse an address that no client can reach: distributed would stand still at its end.

    Raises
    ------
    InputError
    """
    from distributed.comm.addressing import parse_host_port
    from distributed.comm.registry import get_backend
    from distributed.security import Security

    protocol, _, place = where.partition("://")
    if protocol == "inproc":
        raise InputError(
            f"{told}: names a scheduler within one process, and no other can reach it; give "
            "tcp://host:8786 or file:scheduler.json"
        )
    try:
        backend = get_backend(protocol)
        # what stands in the address of another package's transport is its own affair
        foreign = not type(backend).__module__.startswith("distributed.")
        is_one = bool(place if foreign else parse_host_port(place)[0])
    except ValueError:
        is_one = False
    except (ImportError, AttributeError, OSError) as error:
        raise InputError(
            f"{told}: the transport '{printable(protocol)}' cannot be loaded "
            f"({type(error).__name__}: {printable(error)}); mend the package that brings it"
        ) from error
    if not is_one:
        raise InputError(f"{told}: must be like tcp://host:8786 or file:scheduler.json")
    if protocol == "tls" and not Security().get_connection_args("client").get("ssl_context"):
        raise InputError(
            f"{told}: needs certificates; name them in Dask's configuration (distributed.comm.tls)"
        )


def _address_in(path: Path, told: str) -> str:
    """Return the address in a scheduler's file; distributed would wait for one that has none."""
    if not path.is_file():
        raise InputError(
            f"{told}: there is no such file; start the scheduler with --scheduler-file first"
        )
    try:
        found = json.loads(path.read_text("utf-8"))["address"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        found = None
    if not isinstance(found, str) or "://" not in found:
        raise InputError(
            f"{told}: holds no address of a scheduler; start one with --scheduler-file"
        )
    return found


def wait_for_workers(client: Any, scheduler: Scheduler, tell: Tell) -> None:
    """Wait for the first worker.

    Raises
    ------
    RunError
        If none comes.
    """
    if client.nthreads():
        return
    tell("Dask: waiting for the first worker")
    try:
        client.wait_for_workers(1, timeout=scheduler.patience_s)
    except TimeoutError as error:
        raise RunError(
            f"no Dask worker came in {scheduler.patience_s:.0f} s; start workers, then give the "
            "same command again"
        ) from error


def allow_failures(dask_scheduler: Any) -> None:
    """Let units survive the loss of workers: a unit of a lost worker is not to blame for it."""
    dask_scheduler.allowed_failures = max(dask_scheduler.allowed_failures, 100)


async def replace_worker(dask_scheduler: Any, address: str) -> None:
    """Let a worker's nanny kill and replace it; where it has none, send it away."""
    await dask_scheduler.restart_workers(
        [address],
        timeout=20,
        wait_for_workers=False,
        on_error="return",
        stimulus_id="nearkin-stands-still",
    )
