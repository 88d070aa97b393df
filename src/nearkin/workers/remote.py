"""What a worker of a cluster does: read the session, run units, say what the worker is."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import json
import os
import platform
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from nearkin.errors import InputError, RunError, printable
from nearkin.files import only_while, sha256_of, write_whole
from nearkin.memory import keep_freed_memory
from nearkin.progress import watched
from nearkin.workers.protocol import Unit

ATTEMPTS = 3
"""How many workers a unit may end, or hold up, before it is given up."""
_SAME = ("nearkin", "source", "python", "numpy", "scipy", "numba", "librosa", "soxr", "av",
         "pyloudnorm", "python-stretch", "onnxruntime")  # fmt: skip
"""What must be equal on all workers: what computes, and what is computed."""

_KEPT_BYTES = 256 * 2**20
"""Freed memory that a worker keeps for its next unit."""

_sessions: dict[str, tuple[Any, str]] = {}
_one_unit = threading.Lock()


class GivenUp(Exception):  # noqa: N818  (an outcome, told to the command by the worker)
    """A unit has ended as many workers as it may."""


def call(path: str, digest: str, attempts: str, unit: Unit, item: Any) -> tuple[Any, float]:
    """Run a unit; return its result and how long it took.

    A worker that the scheduler took for lost may still be at a unit when the command is over. The
    session's file is gone then, and what the unit writes is written only while it is there.
    """
    from distributed import get_worker
    from threadpoolctl import threadpool_limits

    with _one_unit, only_while(Path(path)):
        session, cwd = _session(Path(path), digest)
        before = attempts_of(Path(attempts))
        if len(before) >= ATTEMPTS:
            last = [read_attempt(one) for one in before[-ATTEMPTS:]]
            places = ", ".join(str(one.get("host", "?")) for one in last)
            at = str(last[-1].get("at") or "an unknown place")
            raise GivenUp(f"ended {ATTEMPTS} workers (on {places}), the last at {at}")
        mark = Path(f"{attempts}.{len(before)}.{secrets.token_hex(4)}.attempt")
        about = {"worker": get_worker().address, "host": socket.gethostname(), "pid": os.getpid()}

        def note(at: str) -> None:
            write_whole(mark, lambda file: file.write(json.dumps({**about, "at": at}).encode()))

        note("")
        begun = time.perf_counter()
        # where it happens is worth a file a step only for a unit that ended a worker before
        watch = watched(note if before else None)
        with _in_folder(cwd), threadpool_limits(limits=1), watch:
            result = unit(session, item)
        mark.unlink(missing_ok=True)
        return result, time.perf_counter() - begun


def _session(path: Path, digest: str) -> tuple[Any, str]:
    if digest not in _sessions:
        import cloudpickle

        try:
            content = path.read_bytes()
        except OSError as error:
            raise _unseen(path) from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise RunError(f"{printable(path)}: is not what the command wrote")
        session, cwd, same, _ = cloudpickle.loads(content)
        if "MALLOC_TRIM_THRESHOLD_" in os.environ:  # as nannies set it; else it is as it was meant
            keep_freed_memory(_KEPT_BYTES)
        told = differences(same, facts())
        if told:
            raise InputError(f"worker on {socket.gethostname()}: {told}")
        _sessions.clear()
        _sessions[digest] = (session, cwd)
    return _sessions[digest]


def look(path: str, token: str) -> dict[str, Any]:
    """Say what this worker is, and whether it reads the token."""
    try:
        seen = Path(path).read_text() == token
    except OSError:
        seen = False
    return {"seen": seen, "same": facts(), "processor": processor(), "host": socket.gethostname()}


def identity(path: str, digest: str) -> str:
    """Say what this worker's encoders are."""
    session, cwd = _session(Path(path), digest)
    with _in_folder(cwd):
        return str(session.identity())


@contextlib.contextmanager
def _in_folder(folder: str) -> Iterator[None]:
    """Work in the folder in which the command was given: paths may be relative to it."""
    before = Path.cwd()
    try:
        os.chdir(folder)
    except OSError as error:
        raise _unseen(Path(folder)) from error
    try:
        yield
    finally:
        os.chdir(before)


def _unseen(path: Path) -> InputError:
    return InputError(
        f"worker on {socket.gethostname()}: does not see {printable(path)}; command and workers "
        "need a file system that they share, under the same path"
    )


def facts() -> dict[str, str]:
    """Return the versions of what computes, and the hash of nearkin's own code."""
    versions = {}
    for name in _SAME:
        if name in ("python", "source"):
            continue
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions | {"python": platform.python_version(), "source": _source()}


def _source() -> str:
    """Return the hash of nearkin's own code: two states of a clone have one version."""
    root = Path(importlib.import_module("nearkin").__file__ or "").parent
    files = sorted(root.rglob("*.py"))
    told = "".join(f"{file.relative_to(root).as_posix()} {sha256_of(file)}\n" for file in files)
    return hashlib.sha256(told.encode()).hexdigest()[:12]


@functools.cache
def processor() -> str:
    """Name the processor: BLAS picks its kernels by it, and so the last bits of its sums."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def differences(wanted: Mapping[str, str], found: Mapping[str, str]) -> str:
    """Say in words how a worker's facts differ from those wanted; empty if they do not."""
    told = [
        f"{name} {found.get(name, 'is missing')} (here {wanted.get(name, 'none')})"
        for name in _SAME
        if wanted.get(name) != found.get(name)
    ]
    if not told:
        return ""
    return f"has {', '.join(told)}; install the same versions everywhere"


def attempts_of(base: Path) -> list[Path]:
    """Return the files of a unit's attempts, in the order in which they were made."""
    return sorted(base.parent.glob(f"{base.name}.*.attempt"))


def read_attempt(path: Path) -> dict[str, Any]:
    """Return what an attempt's file says; empty where it cannot be read."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
