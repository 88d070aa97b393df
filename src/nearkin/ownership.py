"""A folder is nearkin's own by a marker that nearkin wrote, which names every file of its own.

The marker, ``.nearkin``, is text: a line of JSON that says what the folder is, then a line of JSON
for each file: its name in the folder (``"figures/"`` is a folder that nearkin made), the SHA-256
it was last written with, where that is known, and a checksum of the line. Nothing that the marker
does not name is replaced or deleted, and links are never followed. Before lines had checksums
they were names alone; both are read.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, BinaryIO, NoReturn

from nearkin.errors import InputError, printable
from nearkin.files import (
    LEASE,
    disk_full,
    real_path,
    refuse_links,
    sha256_of,
    write_whole,
)

MARKER = ".nearkin"
TEMPORARY = re.compile(r"\..+\.\d+\.tmp", re.DOTALL)
"""Names that `nearkin.files.write_whole` gives to files in work."""

LITTER = frozenset([".DS_Store", ".localized", "Thumbs.db", "desktop.ini", ".directory"])
"""What file managers leave in a folder that somebody looked at: no obstacle, and never deleted."""


class OwnFolder:
    """A folder of nearkin's own, or one that is to become it.

    Parameters
    ----------
    root : Path
        It need not exist yet.
    kind : str
        What it holds: ``"run"``, ``"export"``.
    content : sequence of str
        The files and folders that nearkin may write at its top.
    option : str
        What names it on the command line.
    shared : bool
        Whether it may hold other things: then only files of these names are refused.
    """

    def __init__(
        self,
        root: Path,
        kind: str,
        content: Iterable[str],
        *,
        option: str = "--out",
        shared: bool = False,
    ) -> None:
        self.root = root
        self.kind = kind
        self.content = tuple(content)
        self.option = option
        self.shared = shared
        self._known: dict[str, str] | None = None

    def names(self) -> set[str] | None:
        """Return what the marker names; None where there is none of this kind."""
        found = self.digests()
        return None if found is None else set(found)

    def digests(self) -> dict[str, str] | None:
        """Return the SHA-256 of what the marker names, "" where it holds none, by name.

        None where there is no marker of this kind.
        """
        path = self.root / MARKER
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                return None
            first, *lines = path.read_bytes().split(b"\n")
            described = json.loads(first)
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(described, dict) or described.get("nearkin folder") != self.kind:
            return None
        found: dict[str, str] = {}
        for name, sha256 in filter(None, map(_read_line, lines)):
            found[name] = sha256 or found.get(name, "")
        return {name: sha256 for name, sha256 in found.items() if _is_inside(name)}

    def changed(self, *, besides: Collection[str] = ()) -> list[str]:
        """Return the files that are gone, or are not as the marker says they were written.

        Parameters
        ----------
        besides : collection of str
            Names that are not looked at.
        """
        found = (self.digests() or {}).items()
        known = {name: sha256 for name, sha256 in found if sha256 and name not in besides}
        return sorted(n for n, sha256 in known.items() if sha256_of(self.root / n) != sha256)

    def is_whole(self, path: Path) -> bool:
        """Tell whether a file is there, and is as it was written as far as the marker says."""
        if not _is_regular(path):
            return False
        sha256 = (self._names() or {}).get(self._relative(path), "")
        return not sha256 or sha256_of(path) == sha256

    def is_own(self) -> bool:
        """Tell whether the folder is nearkin's own, of this kind."""
        return self._names() is not None

    def owns(self, path: Path) -> bool:
        """Tell whether a path is a file that the marker names, or in a folder that it names."""
        names = self._names()
        return names is not None and self._relative(path) in names

    def decide(self, inputs: Iterable[Path] = ()) -> None:
        """Refuse a folder that may not be written to; change nothing.

        Parameters
        ----------
        inputs : iterable of Path
            What the work is made from.

        Raises
        ------
        InputError
            If it is a file, holds something that is not nearkin's own where nearkin would write,
            or holds an input.
        """
        told = f"{self.option} {printable(self.root)}"
        if self.root.exists() and not self.root.is_dir():
            raise InputError(f"{told}: is a file; name a folder")
        own = real_path(self.root)
        for path in inputs:
            real = real_path(path)
            if own in (real, *real.parents):
                raise InputError(
                    f"{told}: holds {printable(path)}, which is an input; name another folder"
                )
        if not self.root.is_dir():
            return
        self._known = None
        names = self._names()
        if names is None and self.shared:
            if (self.root / MARKER).exists():
                raise InputError(
                    f"{told}: is a nearkin folder that holds no {self.kind}; name another folder"
                )
            names = {}
        if names is None:
            with told_errors(self.root, self.option):
                # what a command left that was killed before it could mark the folder is no
                # obstacle, nor are the leases of an array's jobs
                names_there = sorted(path.name for path in self.root.iterdir())
                other = [n for n in names_there if not _is_no_obstacle(n)]
                if other:
                    raise InputError(
                        f"{told}: holds something that is no nearkin {self.kind}; "
                        f"name another folder ('{printable(other[0])}' is in it)"
                    )
            return
        refuse_links(self.root, self.content)
        for name in self.content:
            path = self.root / name
            if path.is_dir() and f"{name}/" not in names and any(path.iterdir()):
                self._refuse(path)
            if path.exists() and not path.is_dir() and name not in names:
                self._refuse(path)

    def claim(self, inputs: Iterable[Path] = (), *, sweep: bool = True) -> None:
        """Make the folder nearkin's own, and sweep what killed commands left half-written.

        Parameters
        ----------
        inputs : iterable of Path
            As for `decide`.
        sweep : bool
            False where others are at work in the folder.

        Raises
        ------
        InputError
            As `decide` does, and if the folder cannot be created or written.
        """
        self.decide(inputs)
        with told_errors(self.root, self.option):
            self.root.mkdir(parents=True, exist_ok=True)
            probe = self.root / f".probe.{os.getpid()}.tmp"
            with probe.open("xb"):
                pass
            probe.unlink()
        if not self.is_own():
            self._mark()
        if sweep:
            self.sweep()

    def adopt(self, *paths: Path) -> None:
        """Mark a folder that holds files of nearkin's own but has no marker."""
        self._mark({self._relative(path): "" for path in paths})

    def own(self, *paths: Path) -> None:
        """Note files, or folders that are there, as nearkin's own; do so before they are written.

        Nothing is noted where the folder is not nearkin's own.
        """
        names = self._names()
        if names is None:
            return
        new = [name for name in map(self._relative, paths) if name and name not in names]
        folders = {f"{parent}/" for name in new for parent in PurePosixPath(name).parents}
        new += sorted(folders - {"./"} - names.keys() - set(new))
        if not new:
            return
        self._add(dict.fromkeys(new, ""))

    def wrote(self, *paths: Path) -> None:
        """Note what files hold that were just written, as far as they are nearkin's own."""
        names = self._names() or {}
        written = {self._relative(path): path for path in paths}
        self._add({name: sha256_of(written[name]) for name in written.keys() & names.keys()})

    def refuse_foreign(self, path: Path) -> None:
        """Refuse to write where something lies that is not nearkin's own.

        Raises
        ------
        InputError
        """
        names = self._names()
        if names is None:
            return
        name = self._relative(path)
        if not name:
            return
        there = path.is_symlink() or path.exists()
        if there and name not in names:  # another job of an array may have written it
            self._known = None
            names = self._names() or {}
        if there and not path.is_dir() and name not in names:
            self._refuse(path)
        for parent in PurePosixPath(name).parents:
            folder = self.root / parent
            if str(parent) == "." or f"{parent}/" in names or not folder.exists():
                continue
            if not folder.is_dir() or any(folder.iterdir()):
                self._refuse(folder)

    def expect(self, paths: Iterable[Path]) -> None:
        """Note files that others are about to write as nearkin's own.

        Raises
        ------
        InputError
            If something that is not nearkin's own is in the way of one.
        """
        expected = list(paths)
        for path in expected:
            self.refuse_foreign(path)
        self.own(*expected)

    def write(self, path: Path, put: Callable[[BinaryIO], Any]) -> None:
        """Write a file whole, and note it as nearkin's own where the folder is.

        Raises
        ------
        InputError
            If something that is not nearkin's own is in the way.
        RunError
            If the disk is full or the file cannot be written; what was there before stays.
        """
        self.expect([path])
        write_whole(path, put)
        self.wrote(path)

    def delete(self, paths: Iterable[Path]) -> None:
        """Delete, in this order, those of some files and folders that are nearkin's own.

        A folder goes when it is empty; what is gone is no longer named by the marker.
        """
        names = self._names()
        if names is None:
            return
        relative = [self._relative(path) for path in paths]
        self._delete([name for name in relative if name in names])
        self._mark({n: names[n] for n in sorted(names) if (self.root / n).exists()})

    def sweep(self) -> None:
        """Delete the files that killed commands left half-written, in all folders of our own."""
        names = self._names()
        if names is None:
            return
        folders = [self.root, *(self.root / n for n in names if n.endswith("/"))]
        for folder in folders:
            if self._is_real(folder) and folder.is_dir():
                for path in folder.iterdir():
                    if TEMPORARY.fullmatch(path.name) and _is_regular(path):
                        path.unlink(missing_ok=True)

    def _delete(self, names: Iterable[str]) -> None:
        folders = set()
        for name in names:
            path = self.root / name
            if not self._is_real(path.parent):
                continue
            if name.endswith("/"):
                folders.add(path)
            elif _is_regular(path):
                path.unlink(missing_ok=True)
                folders.update(self.root / p for p in PurePosixPath(name).parents if str(p) != ".")
        for folder in sorted(folders, key=lambda path: -len(path.parts)):
            if self._is_real(folder):
                with contextlib.suppress(OSError):  # it holds something that is not ours
                    folder.rmdir()

    def _mark(self, digests: Mapping[str, str] = MappingProxyType({})) -> None:
        described = {"nearkin folder": self.kind, "nearkin": metadata.version("nearkin")}
        lines = [json.dumps(described), *(_line(*row) for row in digests.items())]
        text = "".join(f"{line}\n" for line in lines).encode()
        write_whole(self.root / MARKER, lambda file: file.write(text))
        self._known = None

    def _add(self, digests: Mapping[str, str]) -> None:
        """Add lines to the marker, and to what is known of it."""
        if self._known is None or not digests:
            return
        text = "".join(f"{_line(*row)}\n" for row in digests.items())
        with told_errors(self.root, self.option), (self.root / MARKER).open("ab+") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - 1, 0))
            # a full disk may have cut it: what follows has a line of its own
            cut = file.read(1) not in (b"", b"\n")
            file.write(b"\n" * cut + text.encode())
        self._known.update(digests)

    def _names(self) -> dict[str, str] | None:
        if self._known is None:
            self._known = self.digests()
        return self._known

    def _relative(self, path: Path) -> str:
        """Return a path as the marker has it; empty for what is not inside."""
        try:
            name = path.relative_to(self.root).as_posix()
        except ValueError:
            return ""
        return f"{name}/" if path.is_dir() and not path.is_symlink() else name

    def _is_real(self, folder: Path) -> bool:
        """Tell whether a folder is inside, and no link lies on the way to it."""
        if folder == self.root:
            return True
        return not folder.is_symlink() and self._is_real(folder.parent)

    def _refuse(self, path: Path) -> NoReturn:
        name = printable(path.relative_to(self.root))
        told = "was not written by nearkin and is in the way"
        if self._is_damaged():
            told = f"was not written by nearkin, or its line in the damaged {MARKER} is lost"
        raise InputError(
            f"{self.option} {printable(self.root)}: '{name}' in it {told}; "
            "move it or name another folder"
        )

    def _is_damaged(self) -> bool:
        """Tell whether a line of the marker cannot be read, or its end is missing."""
        try:
            _, *lines = (self.root / MARKER).read_bytes().split(b"\n")
        except OSError:
            return False
        return not lines or bool(lines.pop()) or None in map(_read_line, filter(None, lines))


def _is_no_obstacle(name: str) -> bool:
    """Tell whether a name is of what killed commands, an array's jobs or file managers leave."""
    return bool(TEMPORARY.fullmatch(name)) or name.startswith(LEASE) or name in LITTER


@contextlib.contextmanager
def told_errors(root: Path, option: str = "--out") -> Iterator[None]:
    """Turn what the system refuses into a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(root) from error
        raise InputError(
            f"{option} {printable(root)}: cannot be written ({error.strerror}); name another folder"
        ) from error


def _line(name: str, sha256: str) -> str:
    """Return a line of the marker."""
    return json.dumps([name, sha256, _check(name, sha256)])


def _read_line(line: bytes) -> tuple[str, str] | None:
    """Read a line of the marker; None where it was cut short or damaged."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if isinstance(found, str):
        return found, ""
    if not isinstance(found, list) or [type(one) for one in found] != [str, str, str]:
        return None
    name, sha256, check = found
    return (name, sha256) if check == _check(name, sha256) else None


def _check(name: str, sha256: str) -> str:
    told = json.dumps([name, sha256]).encode()
    return hashlib.sha256(told).hexdigest()[:8]


def _is_inside(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return bool(parts) and not name.startswith("/") and ".." not in parts


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
