"""Whether the code that an imported module runs is that of its file now, where it can be known.

A file that is older than the process, or than the moment before which its module was not there,
holds what was imported. Of a younger one only what speaks against it counts: functions, constants
or compiled code that the file does not hold, or a change after the module was seen to be there.
Where nothing does, it cannot be told.
"""

from __future__ import annotations

import ast
import importlib.util
import marshal
import os
import re
import struct
import sys
import time
import warnings
from collections import Counter
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

_PLAIN = (int, float, complex, str, bytes)


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
    >>> is_not_of(ast, Path(ast.__file__))
    False
    """
    spec = getattr(module, "__spec__", None)
    if spec is None or type(spec.loader) is not SourceFileLoader:
        return False  # another loader may run other code than the text compiles to
    try:
        text = file.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = compile(text, str(file), "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return False
    # what is of the future was told by another clock
    seen_before = _was_seen(module) and _SINCE < _modified(file) <= time.time()
    return (
        seen_before
        or _has_other_functions(module, code)
        or (began() is not None and _has_other_constants(module, text))
        or _was_compiled_from_other(spec, file, text, code)
    )


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


def _has_other_constants(module: ModuleType, text: bytes) -> bool:
    """Tell whether a number or text that a file names once, at its top, is another in a module.

    One that another module of its package may set is none of these.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(text)
    bound = Counter(name for node in ast.walk(tree) for name in _bound_by(node))
    for node in () if "*" in bound else tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if not isinstance(node, ast.Assign) or not isinstance(target, ast.Name):
            continue
        try:
            value = ast.literal_eval(node.value)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            continue
        runs = vars(module).get(target.id)
        once = bound[target.id] == 1 and isinstance(value, _PLAIN) and isinstance(runs, _PLAIN)
        if once and _told(value) != _told(runs) and not _may_be_set(target.id, module):
            return True
    return False


def _may_be_set(name: str, module: ModuleType) -> bool:
    """Tell whether code of a module's package may give an attribute of this name another value."""
    top = module.__name__.partition(".")[0]
    setting = re.compile(rf"\.{name}\s*(:[^=\n]+)?[-+*/%@&|^<>]*=(?!=)|[\"']{name}[\"']".encode())
    for other, each in list(sys.modules.items()):
        file = str(getattr(each, "__file__", None))
        if other.partition(".")[0] == top and file.endswith(".py"):
            with suppress(OSError):
                if setting.search(Path(file).read_bytes()):
                    return True
    return False


def _bound_by(node: ast.AST) -> tuple[str, ...]:
    if isinstance(node, ast.Name):
        return () if isinstance(node.ctx, ast.Load) else (node.id,)
    if isinstance(node, ast.alias):
        return (node.asname or node.name.partition(".")[0],)
    if isinstance(node, (ast.Global, ast.Nonlocal)):
        return tuple(node.names)
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return (node.name,)
    return ()


def _was_compiled_from_other(spec: ModuleSpec, file: Path, text: bytes, code: CodeType) -> bool:
    """Tell whether the kept compiled code is of another text, so that it was run, not the file.

    Who imports a changed file writes its compiled code anew, where that may be written.
    """
    if not spec.cached or sys.dont_write_bytecode:
        return False
    cached = Path(spec.cached)
    try:
        kept = cached.read_bytes()
        found = file.stat()
        flags, first, second = struct.unpack("<III", kept[4:16])
    except (OSError, struct.error):
        return False
    if kept[:4] != importlib.util.MAGIC_NUMBER or not os.access(cached.parent, os.W_OK):
        return False
    is_of_this = (
        kept[8:16] == importlib.util.source_hash(text)
        if flags & 1
        else (first, second) == (int(found.st_mtime) & 0xFFFFFFFF, found.st_size & 0xFFFFFFFF)
    )
    if is_of_this:
        return False
    try:
        before = marshal.loads(kept[16:])
    except (ValueError, EOFError, TypeError):
        return False
    return isinstance(before, CodeType) and _told(before) != _told(code)
