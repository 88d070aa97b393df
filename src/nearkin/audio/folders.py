"""Which files of a folder are sound to be used, and which are left out, each with its reason.

Only regular files are used: a named pipe or a device never ends. Hidden files (macOS writes
``._song.mp3`` beside ``song.mp3`` on foreign disks) and what nearkin itself wrote are left out.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from nearkin.errors import printable

AUDIO_SUFFIXES = frozenset(
    [
        *(".3gp", ".aac", ".ac3", ".aif", ".aifc", ".aiff", ".amr", ".au", ".caf", ".flac", ".m4a"),
        *(".m4b", ".mka", ".mkv", ".mp2", ".mp3", ".mp4", ".oga", ".ogg", ".opus", ".rf64", ".snd"),
        *(".tta", ".w64", ".wav", ".wave", ".webm", ".wma", ".wv"),
    ]
)
"""Lower-case suffixes of the files that are tried when a folder is searched for sound."""

OTHER_SUFFIXES = frozenset(
    [
        *(".ape", ".dff", ".dsf", ".dts", ".gsm", ".kar", ".mid", ".midi", ".mod"),
        *(".mpc", ".ra", ".rm", ".s3m", ".shn", ".spx", ".voc", ".xm"),
    ]
)
"""Suffixes of sound or music that is not tried: such files are left out by name."""

OWN_RECORDS = ("run.json", "performance.json", "export.json")
"""What a folder that nearkin wrote holds: JSON that names nearkin's version."""

_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISDIR, "a folder"),
)


class LeftOut(NamedTuple):
    """A file or folder that is not used, and why.

    Attributes
    ----------
    path : Path
        What is left out.
    reason : str
        Follows the path in a sentence: ``"is hidden"``.
    """

    path: Path
    reason: str

    def __str__(self) -> str:
        """Return the sentence."""
        return f"{printable(self.path)}: {self.reason}"


class SoundFiles(NamedTuple):
    """The sound files of a folder.

    Attributes
    ----------
    files : tuple of Path
        Regular files with a suffix of `AUDIO_SUFFIXES`, folder by folder, in order of their names.
    left_out : tuple of LeftOut
        What looks like sound, or may hold some, and is not among `files`; in the same order.
    """

    files: tuple[Path, ...]
    left_out: tuple[LeftOut, ...]


def sound_files(
    folder: str | os.PathLike[str], *, out: str | os.PathLike[str] | None = None
) -> SoundFiles:
    """Find the sound files in a folder and the folders in it.

    Hidden folders are not searched. Folders below `folder` that nearkin wrote (`is_own`) are left
    out, and so are links to folders, which may lead in circles.

    Parameters
    ----------
    folder : path
        Where to look.
    out : path, optional
        A folder that is about to be written: left out where it lies below `folder`.

    Returns
    -------
    SoundFiles

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     for file in ("b.wav", "a.WV", "._a.WV", "notes.txt"):
    ...         (Path(name) / file).touch()
    ...     found = sound_files(name)
    >>> [file.name for file in found.files], [gone.reason[:9] for gone in found.left_out]
    (['a.WV', 'b.wav'], ['is hidden'])
    """
    files: list[Path] = []
    left_out: list[LeftOut] = []
    ours = None if out is None else Path(out).resolve()

    def unread(error: OSError) -> None:
        left_out.append(LeftOut(Path(error.filename), f"cannot be searched ({error.strerror})"))

    for parent, folders, names in os.walk(folder, onerror=unread):
        entered = []
        for name in sorted(folders):
            path = Path(parent) / name
            reason = "" if name.startswith(".") else _left_out_folder(path, ours)
            if reason:
                left_out.append(LeftOut(path, reason))
            elif not name.startswith("."):
                entered.append(name)
        folders[:] = entered
        for name in sorted(names):
            path = Path(parent) / name
            reason = _left_out_file(path)
            if reason:
                left_out.append(LeftOut(path, reason))
            elif path.suffix.lower() in AUDIO_SUFFIXES:
                files.append(path)
    return SoundFiles(tuple(files), tuple(left_out))


def is_own(folder: Path) -> bool:
    """Tell whether nearkin wrote a folder: a run, task scores or exported clips."""
    return any(_names_nearkin(folder / name) for name in OWN_RECORDS)


def irregular(path: Path) -> str:
    """Say what a path is that is no regular file, ``""`` if it is one or is not there.

    Examples
    --------
    >>> irregular(Path("/dev/zero")), irregular(Path("/no/such/file"))
    ('a device', '')
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return ""
    if stat.S_ISREG(mode):
        return ""
    return next((word for test, word in _KINDS if test(mode)), "no regular file")


def _left_out_folder(path: Path, ours: Path | None) -> str:
    if path.is_symlink():
        return "is a link to a folder, which is not followed; name the folder itself"
    if ours is not None and path.resolve() == ours:
        return "is the folder that is written to"
    if is_own(path):
        return "was written by nearkin"
    return ""


def _left_out_file(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix in OTHER_SUFFIXES:
        return f"{suffix} is a format that nearkin does not read; convert it to FLAC"
    if suffix not in AUDIO_SUFFIXES:
        return ""
    if path.name.startswith("._"):
        return "is hidden (macOS keeps what is no sound in such files)"
    if path.name.startswith("."):
        return "is hidden"
    kind = irregular(path)
    return f"is {kind}: must be a regular file" if kind else ""


def _names_nearkin(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(record, dict) and isinstance(record.get("nearkin"), str)
