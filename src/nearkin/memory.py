"""What the C library does with memory that is freed."""

from __future__ import annotations

import contextlib
import ctypes

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
