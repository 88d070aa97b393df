"""One command at a time in a folder: a lease that its holder keeps fresh.

The lease is a file with the holder's host, process and a token; the holder touches it every few
seconds. It is taken over where its process is gone from this host, or where nobody touched it for
a minute (by the file system's own clock). Locks of the system are not relied on: many network
file systems have none.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nearkin.errors import InputError, RunError, printable
from nearkin.files import write_whole

NAME = ".nearkin-lease"
BEAT_S = 5.0
STALE_S = 60.0


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
    """Hold a folder's lease; `option` is what names the folder on the command line.

    Raises
    ------
    InputError
        If another command holds it.
    """
    path = folder / NAME
    token = secrets.token_hex(8)
    ours = {**_here(), "token": token}
    for _ in range(20):
        if _create(path, ours):
            break
        there = _read(path)
        if not _is_stale(path, there):
            raise InputError(
                f"{option} {printable(folder)}: another nearkin command is at work there (process "
                f"{there.get('pid')} on {there.get('host')}); wait for it, or name another folder"
            )
        _take_away(path, there)
    else:
        raise RunError(f"{printable(path)}: cannot be taken over; remove it if no command works")
    lease = Lease(path, token)
    try:
        yield lease
    finally:
        lease.leave()


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
    except (OSError, ValueError):
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
