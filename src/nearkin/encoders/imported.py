"""Which files a module is made of: those it imports from its own folder, and theirs in turn.

Read from the text of the files, so that the answer does not hang on what else was imported before;
an import inside a function counts like one at the top. Libraries (site-packages, the standard
library) are not followed, but for the package that a module itself is of. A module of another
folder, or one whose name is computed, is not seen: the digest of answers catches most of these
(`nearkin.encoders.quick_check`).
"""

from __future__ import annotations

import ast
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path

Dotted = tuple[str, ...]

HOUSE = __name__.partition(".")[0]
"""The package itself, which a process never imports twice."""


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
    only = parts[0] if is_imported_once(root, parts[0]) else ""
    package = parts if path.name == "__init__.py" else parts[:-1]
    found: set[Path] = set()
    waiting: list[tuple[Path, Dotted]] = [(itself, package)]
    while waiting:
        file, inside = waiting.pop()
        for wanted in _imports(file, inside):
            if wanted[0] != only and (only or wanted[0] == HOUSE):
                continue
            for source, home in _files_of(root, wanted):
                if source not in found and source != itself:
                    found.add(source)
                    waiting.append((source, home))
    return sorted(found)


def is_imported_once(root: Path, top: str) -> bool:
    """Tell what a process imports once only: libraries and nearkin itself, wherever it lies."""
    return top == HOUSE or is_library(root)


@cache
def is_library(place: Path) -> bool:
    """Tell a place of the standard library or of installed packages."""
    kinds = ("stdlib", "platstdlib", "purelib", "platlib")
    libraries = [Path(sysconfig.get_path(kind)).resolve() for kind in kinds]
    named = {"site-packages", "dist-packages"} & set(place.parts)
    return bool(named) or any(place.is_relative_to(library) for library in libraries)


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
