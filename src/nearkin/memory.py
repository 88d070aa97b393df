"""How much memory there is, and what the C library does with what is freed."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
from collections.abc import Iterator
from pathlib import Path

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
"""What glibc's ``malloc.h`` calls the options of ``mallopt``."""
_MOST = 2**31 - 1


def keep_freed_memory(most_bytes: int | None = None) -> None:
    """Have glibc keep freed memory for what is allocated next; other C libraries do as they do.

    Otherwise that of large arrays goes back to the system and is fetched anew, page by page: a
    third of the time of a training's steps on the CPU, and of a run's units on a Dask cluster,
    whose nannies set ``MALLOC_TRIM_THRESHOLD_`` low.

    Parameters
    ----------
    most_bytes : int, optional
        What is kept at the most, and arrays of an eighth of it and more are not; all by default, in
        a process that does nothing else.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        if most_bytes is None:
            mallopt(_MMAP_MAX, 0)
        else:
            mallopt(_MMAP_THRESHOLD, most_bytes // 8)
        mallopt(_TRIM_THRESHOLD, _MOST if most_bytes is None else most_bytes)


def usable_memory(root: Path = Path("/")) -> int | None:
    """Return the bytes of memory that this process may use; None where the system does not tell.

    It is the machine's memory, or what a container or a job of a cluster is allowed, if that is
    less: a Linux control group (version 1 or 2) of this process, or one around it.

    Parameters
    ----------
    root : Path
        Where ``proc`` and ``sys`` are.
    """
    return min([*_of_machine(), *_of_control_groups(root)], default=None)


def _of_machine() -> Iterator[int]:
    with contextlib.suppress(AttributeError, OSError, ValueError):  # Windows has no such
        yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _of_control_groups(root: Path) -> Iterator[int]:
    try:
        told = os.fsdecode((root / "proc/self/cgroup").read_bytes())
    except OSError:  # no Linux
        return
    mounted = root / "sys/fs/cgroup"
    for controllers, group in re.findall(r"^\d+:([^:\n]*):(.*)$", told, re.MULTILINE):
        if not controllers:
            top, name = mounted, "memory.max"
        elif "memory" in controllers.split(","):
            top, name = mounted / "memory", "memory.limit_in_bytes"
        else:
            continue
        folder = top / group.lstrip("/")
        # a container sees its own group at the top, whatever its name outside
        for place in (folder, *folder.parents):
            if place.is_relative_to(top):
                with contextlib.suppress(OSError, ValueError):  # "max": no limit
                    yield int((place / name).read_text())
