"""What an encoder is made of, as one hash: its file, the files beside it, the weights it is given.

The hash of one file is that of its bytes, as ``sha256sum`` prints it. Of several files, or of a
folder, it is the SHA-256 of their names and hashes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nearkin.audio import sha256_file


def sha256_of_files(places: Iterable[Path]) -> str:
    """Hash files, and folders with all that is in them but hidden files.

    Parameters
    ----------
    places : iterable of Path

    Returns
    -------
    str
        Empty where there is none.

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    files = list(dict.fromkeys(named for place in places for named in _files(place)))
    if not files:
        return ""
    if len(files) == 1 and files[0][1].name == files[0][0]:
        return sha256_file(files[0][1])
    digest = hashlib.sha256()
    for name, path in files:
        digest.update(name.encode("utf-8", "surrogateescape") + b"\0")
        digest.update(bytes.fromhex(sha256_file(path)))
    return digest.hexdigest()


def joined(*hashes: str) -> str:
    """Make one hash of several; empty ones do not count, and one alone stays what it is."""
    known = [text for text in hashes if text]
    if len(known) < 2:
        return "".join(known)
    return hashlib.sha256("".join(known).encode()).hexdigest()


def files_in(options: Mapping[str, Any]) -> list[Path]:
    """Return the files and folders that options name: weights given by their path.

    Examples
    --------
    >>> files_in({"checkpoint": "nowhere.pt", "layers": 3})
    []
    """
    found = []
    for value in options.values():
        if isinstance(value, Mapping):
            found += files_in(value)
        elif isinstance(value, str | Path) and str(value):
            try:
                there = Path(value).exists()
            except (OSError, ValueError):  # too long, or with a NUL: no path
                there = False
            if there and not _is_whole_tree(Path(value)):
                found.append(Path(value))
    return found


def _is_whole_tree(place: Path) -> bool:
    """Tell whether a name such as "." or "/" would take in what has nothing to do with it."""
    place = place.resolve()
    return place.is_dir() and (place == Path.cwd() or place in Path.cwd().parents)


def _files(place: Path) -> list[tuple[str, Path]]:
    if place.is_file():
        return [(place.name, place)]
    if not place.is_dir():
        return []
    found = []
    for path in sorted(place.rglob("*")):
        name = path.relative_to(place)
        hidden = any(part.startswith(".") or part == "__pycache__" for part in name.parts)
        if path.is_file() and not hidden:
            found.append((name.as_posix(), path))
    return found
