"""Whether the code that an imported module runs is that of its file now, where it can be known.

A file that is older than the process, or than the moment before which its module was not there,
holds what was imported. Of a younger one only what speaks against it counts: a change after the
module was seen to be there, or functions that the file does not hold. Where neither does, it cannot
be told; that answers changed is told by their digest (`nearkin.encoders.quick_check`).
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Collection, Iterator
from contextlib import suppress
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

_SINCE = time.time()
_SEEN: dict[str, ModuleSpec | None] = {
    name: getattr(module, "__spec__", None) for name, module in list(sys.modules.items())
}
"""What was imported by `_SINCE`; a module that is imported or reloaded later has a new spec."""


def may_be_older(module: ModuleType, file: Path, *, margin_s: float) -> bool:
    """Tell whether a module may have been imported before its file came to be as it is."""
    starts = [began(), None if _was_seen(module) else _SINCE]
    start = max((start for start in starts if start is not None), default=None)
    return start is None or _changed(file) > start - margin_s


def _was_seen(module: ModuleType) -> bool:
    spec = getattr(module, "__spec__", None)
    return spec is None or any(spec is each for each in _SEEN.values())


def is_not_of(module: ModuleType, file: Path) -> bool:
    """Tell whether it is known that a module was not imported from its file as it is now.

    Parameters
    ----------
    module : module
        As it runs.
    file : Path
        What it was imported from.

    Examples
    --------
    >>> is_not_of(os, Path(os.__file__))
    False
    """
    spec = getattr(module, "__spec__", None)
    if spec is None or type(spec.loader) is not SourceFileLoader:
        return False  # another loader may run other code than the text compiles to
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = compile(file.read_bytes(), str(file), "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return False
    # what is of the future was told by another clock
    seen_before = _was_seen(module) and _SINCE < _modified(file) <= time.time()
    return seen_before or _has_other_functions(module, code)


def began() -> float | None:
    """Return when this process began, in seconds of `time.time`; None where that is not known.

    The clock since boot is the kernel's or the container's. What says that the process began after
    this module was imported is wrong, and of what is left the earliest is taken.
    """
    try:
        ticks = int(Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()[19])
        after_boot = ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return None
    starts = [time.time() - up + after_boot for up in _since_boot()]
    return min((start for start in starts if start <= _SINCE), default=None)


def _since_boot() -> Iterator[float]:
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    if clock is not None:
        with suppress(OSError):
            yield time.clock_gettime(clock)
    with suppress(OSError, ValueError, IndexError):
        yield float(Path("/proc/uptime").read_bytes().split()[0])


def _changed(file: Path) -> float:
    """Return when a file was changed, or put where it is."""
    try:
        found = file.stat()
    except OSError:
        return float("inf")
    return max(found.st_mtime, found.st_ctime)


def _modified(file: Path) -> float:
    """Return when the text of a file was changed: a new link or mode changes its ctime only."""
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _has_other_functions(module: ModuleType, code: CodeType) -> bool:
    """Tell whether a function of a module's own file is not what the text compiles to."""
    told = {_told(each) for each in _codes_in(code)}
    files = {code.co_filename, str(module.__file__)}
    return any(_told(each) not in told for each in _codes_of(module, files))


def _codes_of(module: ModuleType, files: Collection[str]) -> Iterator[CodeType]:
    """Yield the code of the functions and methods in a module that are of its file."""
    name = module.__name__
    things = list(vars(module).values())
    for thing in list(things):
        if isinstance(thing, type) and thing.__dict__.get("__module__") == name:
            things += list(thing.__dict__.values())
    for thing in things:
        for each in (thing, *_parts(thing)):
            if (
                type(each) is FunctionType
                and each.__module__ == name
                and each.__globals__ is vars(module)
                and each.__code__.co_filename in files
            ):
                yield each.__code__


def _parts(thing: object) -> tuple[object, ...]:
    if isinstance(thing, (staticmethod, classmethod)):
        return (thing.__func__,)
    return (thing.fget, thing.fset, thing.fdel) if isinstance(thing, property) else ()


def _codes_in(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes_in(constant)


def _told(thing: object) -> object:
    """Return what two codes, or constants of theirs, share if they do the same at one line."""
    if isinstance(thing, CodeType):
        return (
            (thing.co_name, thing.co_firstlineno, thing.co_code),
            (thing.co_argcount, thing.co_posonlyargcount, thing.co_kwonlyargcount),
            (thing.co_names, thing.co_varnames, thing.co_freevars, thing.co_cellvars),
            tuple(_told(each) for each in thing.co_consts),
        )
    if isinstance(thing, tuple):
        return tuple(_told(each) for each in thing)
    if isinstance(thing, frozenset):
        return frozenset(_told(each) for each in thing)
    return type(thing).__name__, repr(thing)
