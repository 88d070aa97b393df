"""The modules an encoder is made of: those it imports from its own folder, and theirs in turn.

Read from the text of the files, so that the answer does not hang on what else was imported before;
an import inside a function counts like one at the top. Libraries (site-packages, the standard
library) are not followed, but for the package that the encoder itself is of. A module of another
folder, or one whose name is computed, is not seen: the digest of answers catches most of these
(`nearkin.encoders.quick_check`).
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType

from nearkin.audio import sha256_file

Dotted = tuple[str, ...]

_loaded: dict[Path, str] = {}
"""Own modules that were imported in this process, and their hashes then."""


def root_of(path: Path, name: str = "") -> Path:
    """Return the folder that a module's dotted name starts from.

    Parameters
    ----------
    path : Path
        The module's file.
    name : str
        Its dotted name where it is imported by name; empty for a file.

    Examples
    --------
    >>> root_of(Path("/code/models/small.py"), "models.small").as_posix()
    '/code'
    """
    above = name.count(".") + (path.name == "__init__.py") if name else 0
    return path.resolve().parents[above]


def imported_files(path: Path, name: str = "") -> list[Path]:
    """Return the files of its own folder or package that a module imports, itself left out.

    Parameters
    ----------
    path, name
        See `root_of`.

    Returns
    -------
    list of Path
        Sorted; without what cannot be read as Python, whose own imports are not known.

    Examples
    --------
    >>> imported_files(Path("nowhere.py"))
    []
    """
    root, itself = root_of(path, name), path.resolve()
    parts = tuple(name.split(".")) if name else (path.stem,)
    only = parts[0] if _is_library(root) else ""
    package = parts if path.name == "__init__.py" else parts[:-1]
    found: set[Path] = set()
    waiting: list[tuple[Path, Dotted]] = [(itself, package)]
    while waiting:
        file, inside = waiting.pop()
        for wanted in _imports(file, inside):
            if only and wanted[0] != only:
                continue
            for source, home in _files_of(root, wanted):
                if source not in found and source != itself:
                    found.add(source)
                    waiting.append((source, home))
    return sorted(found)


def sha256_of_modules(files: Sequence[Path], root: Path) -> str:
    """Hash modules with their places below a folder; empty where there is none."""
    if not files:
        return ""
    told = [f"{file.relative_to(root).as_posix()}\0{sha256_file(file)}" for file in files]
    return hashlib.sha256("\n".join(told).encode("utf-8", "surrogateescape")).hexdigest()


@contextmanager
def own_modules(files: Sequence[Path], root: Path) -> Iterator[None]:
    """Let a file import its own modules as they stand now, and not another folder's namesakes.

    A module of these files that was imported before and has changed is imported anew. A module of
    the same name from another folder stands aside, and is back afterwards; libraries stay.

    Parameters
    ----------
    files : sequence of Path
        The modules, below `root`.
    root : Path
        The folder they are imported from; it is in `sys.path` meanwhile.
    """
    now = {file: sha256_file(file) for file in files}
    names = {file.relative_to(root).parts[0].removesuffix(".py") for file in files}
    changed = {
        file.relative_to(root).parts[0].removesuffix(".py")
        for file, sha256 in now.items()
        if _loaded.get(file, sha256) != sha256
    }
    strangers = {name for name in names if _is_elsewhere(sys.modules.get(name), root)}
    _taken(changed - strangers)
    aside = _taken(strangers)
    sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    try:
        yield
        _loaded.update(now)
    finally:
        if str(root) in sys.path:
            sys.path.remove(str(root))
        if aside:
            _taken(strangers)
            sys.modules.update(aside)


def _is_elsewhere(module: ModuleType | None, root: Path) -> bool:
    if module is None:
        return False
    places = [getattr(module, "__file__", None), *getattr(module, "__path__", [])]
    known = [Path(place).resolve() for place in places if place]
    return bool(known) and not any(
        place.is_relative_to(root) or _is_library(place) for place in known
    )


def _taken(names: set[str]) -> dict[str, ModuleType]:
    """Take modules, with those below them, out of `sys.modules`."""
    held = [name for name in sys.modules if name.partition(".")[0] in names]
    return {name: sys.modules.pop(name) for name in held}


def _imports(file: Path, inside: Dotted) -> list[Dotted]:
    """Return the dotted names a file may import; of ``from a import b`` both a and a.b."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return []
    found: list[Dotted] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [tuple(alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base: Dotted = ()
            if node.level:
                above = len(inside) - (node.level - 1)
                if above < 1:
                    continue  # beyond its package: Python refuses it too
                base = inside[:above]
            base += tuple(node.module.split(".")) if node.module else ()
            found += [(*base, alias.name) for alias in node.names]
    return found


def _files_of(root: Path, wanted: Dotted) -> Iterator[tuple[Path, Dotted]]:
    """Yield the files that importing a name runs, each with its package."""
    place = root
    for depth, part in enumerate(wanted, start=1):
        folder, file = place / part, place / f"{part}.py"
        if (folder / "__init__.py").is_file():
            yield folder / "__init__.py", wanted[:depth]
        elif file.is_file():
            yield file, wanted[: depth - 1]
            return
        elif not folder.is_dir():
            return
        place = folder


@cache
def _is_library(place: Path) -> bool:
    """Tell a place of the standard library or of installed packages."""
    kinds = ("stdlib", "platstdlib", "purelib", "platlib")
    libraries = [Path(sysconfig.get_path(kind)).resolve() for kind in kinds]
    named = {"site-packages", "dist-packages"} & set(place.parts)
    return bool(named) or any(place.is_relative_to(library) for library in libraries)
