"""One command at a time in a folder, or the jobs of one array: leases kept fresh by their holders.

The lease is a file with the holder's host, process and a token; the holder touches it every few
seconds. It is taken over where its process is gone from this host, or where nobody touched it for
a minute (by the file system's own clock). Locks of the system are not relied on: many network
file systems have none.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nearkin.errors import InputError, RunError, printable
from nearkin.files import LEASE as NAME
from nearkin.files import write_whole

BEAT_S = 5.0
STALE_S = 60.0
_JOB = re.compile(re.escape(NAME) + r"-\d+of\d+")


class Lease:
    """A held lease.

    Parameters
    ----------
    path : Path
        Its file.
    token : str
        What tells it from another's.
    """

    def __init__(self, path: Path, token: str) -> None:
        self.path = path
        self.token = token
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def held(self) -> bool:
        """Tell whether the lease is still this one."""
        return _read(self.path).get("token") == self.token

    def require(self) -> None:
        """Stop where another command took the folder over.

        Raises
        ------
        RunError
        """
        if not self.held():
            raise RunError(
                f"{printable(self.path.parent)}: another command took the folder over while this "
                "one stood still; wait for it, then give the same command again"
            )

    def leave(self) -> None:
        """Give the lease back."""
        self._left.set()
        self._thread.join()
        if self.held():
            self.path.unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._left.wait(BEAT_S):
            with contextlib.suppress(OSError):
                if self.held():
                    os.utime(self.path)


@contextlib.contextmanager
def leased(folder: Path, *, option: str = "--out") -> Iterator[Lease]:
    """Hold a folder's lease: no other command works there.

    Parameters
    ----------
    folder : Path
    option : str
        What names the folder on the command line.

    Raises
    ------
    InputError
        If another command holds it, or jobs of an array are at work.
    """
    with _held(folder, folder / NAME, option) as lease:
        for other in _jobs(folder):
            raise _taken(folder, other, option)
        yield lease


@contextlib.contextmanager
def joined(folder: Path, job: str, *, patience_s: float = 600.0) -> Iterator[Lease]:
    """Hold the lease of one job of an array: other jobs of the same array work there too.

    Parameters
    ----------
    folder : Path
    job : str
        ``"K/N"``.
    patience_s : float
        How long a command that holds the folder is waited for: an early job may be writing the
        report already.

    Raises
    ------
    InputError
        If another command holds the folder all that time, or a job of another array is at work,
        or this one.
    """
    own = folder / _job_name(job)
    last = time.monotonic() + patience_s
    with _held(folder, own) as lease:
        for path in _jobs(folder):
            if path.name.rpartition("of")[2] != own.name.rpartition("of")[2]:
                raise _taken(folder, path)
        path = folder / NAME
        while (there := _read(path)) and not _is_stale(path, there):
            if time.monotonic() > last:
                raise _taken(folder, path)
            time.sleep(0.5)
        yield lease


def wait_for_jobs(folder: Path) -> None:
    """Wait until no job of an array is at work in a folder."""
    while _jobs(folder):
        time.sleep(0.2)


@contextlib.contextmanager
def alone(folder: Path, what: str) -> Iterator[Lease]:
    """Hold a lease for a step that only one job of an array does at a time; wait for it.

    Parameters
    ----------
    folder : Path
    what : str
        The step's name.
    """
    path = folder / f"{NAME}.{what}"
    while (lease := try_hold(path)) is None:
        time.sleep(0.2)
    try:
        yield lease
    finally:
        lease.leave()


def others_at_work(folder: Path, job: str) -> bool:
    """Tell whether other jobs of an array are at work in a folder."""
    own = folder / _job_name(job)
    return any(path != own and not _is_stale(path, _read(path)) for path in _jobs(folder))


def try_hold(path: Path) -> Lease | None:
    """Take a lease if nobody holds it, or its holder is gone; None where somebody does.

    Parameters
    ----------
    path : Path
        The lease's file; folders on the way are made.
    """
    token = secrets.token_hex(8)
    for _ in range(20):
        if _create(path, {**_here(), "token": token}):
            return Lease(path, token)
        there = _read(path)
        if not _is_stale(path, there):
            return None
        _take_away(path, there)
    raise RunError(f"{printable(path)}: cannot be taken over; remove it if no command works")


@contextlib.contextmanager
def _held(folder: Path, path: Path, option: str = "--out") -> Iterator[Lease]:
    lease = try_hold(path)
    if lease is None:
        raise _taken(folder, path, option)
    try:
        yield lease
    finally:
        lease.leave()


def _taken(folder: Path, path: Path, option: str = "--out") -> InputError:
    there = _read(path)
    if not there:  # damaged: whose it was cannot be told, and it counts until it grows old
        return InputError(
            f"{option} {printable(folder)}: {path.name} in it cannot be read, so that another "
            "nearkin command may be at work there; if none is, try again in a minute"
        )
    return InputError(
        f"{option} {printable(folder)}: another nearkin command is at work there (process "
        f"{there.get('pid')} on {there.get('host')}); wait for it, or name another folder"
    )


def _jobs(folder: Path) -> list[Path]:
    """Return the leases of an array's jobs that are alive."""
    found = [path for path in folder.iterdir() if _JOB.fullmatch(path.name)]
    return sorted(path for path in found if not _is_stale(path, _read(path)))


def _job_name(job: str) -> str:
    return f"{NAME}-{job.replace('/', 'of')}"


def _create(path: Path, ours: dict[str, Any]) -> bool:
    """Make the lease's file with all its content at once; False where there is one."""
    whole = path.with_name(f"{path.name}.{ours['token']}")
    write_whole(whole, lambda file: file.write(json.dumps(ours).encode()))
    try:
        os.link(whole, path)
    except FileExistsError:
        return False
    except OSError:  # a file system without links
        try:
            with path.open("x", encoding="utf-8") as file:
                json.dump(ours, file)
        except FileExistsError:
            return False
    finally:
        whole.unlink(missing_ok=True)
    return True


def _take_away(path: Path, there: dict[str, Any]) -> None:
    """Move a stale lease out of the way; put back one that is not the one that was seen."""
    aside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with contextlib.suppress(FileNotFoundError):
        path.rename(aside)
        if _read(aside) != there:
            with contextlib.suppress(OSError):
                os.link(aside, path)
        aside.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_stale(path: Path, there: dict[str, Any]) -> bool:
    here = _here()
    if there and all(there.get(name) == here[name] for name in ("host", "boot", "processes")):
        return not _is_alive(there)
    probe = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        write_whole(probe, lambda file: file.write(b"now"))
        return probe.stat().st_mtime - path.lstat().st_mtime > STALE_S
    except FileNotFoundError:
        return True
    finally:
        probe.unlink(missing_ok=True)


def _is_alive(there: dict[str, Any]) -> bool:
    """Tell whether a process of this host is still the one that took the lease."""
    try:
        pid = int(there["pid"])
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    except (KeyError, TypeError, ValueError, OverflowError):
        return False
    return there.get("began") in (None, _began(pid))


def _here() -> dict[str, Any]:
    """Say who this process is, so that another can tell whether it is still there."""
    pid = os.getpid()
    return {
        "host": socket.gethostname(),
        "boot": _text(Path("/proc/sys/kernel/random/boot_id")),
        "processes": _link(Path("/proc/self/ns/pid")),
        "pid": pid,
        "began": _began(pid),
    }


def _began(pid: int) -> str | None:
    """Return when a process began, in the kernel's ticks: a number given again began later."""
    fields = _text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 else None


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""
