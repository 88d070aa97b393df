"""From what a user names on the command line to a list of recordings.

A recording is named by its path relative to the deepest folder that holds all inputs, so that two
files called ``song.wav`` in two folders stay apart, and a name does not depend on where the music
lies. Manifests (CSV or Parquet) name recordings themselves: ``path`` relative to the manifest,
optional ``clip_id``, ``start_s`` and ``split``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from nearkin.audio import AUDIO_SUFFIXES
from nearkin.corpora.files import audio_files
from nearkin.corpora.manifest_table import MANIFEST_SUFFIXES, read_table
from nearkin.corpora.recordings import Recording, refuse_twins
from nearkin.errors import InputError, printable


class Collected(tuple[Recording, ...]):
    """The recordings found, in order of their names, each file once."""

    __slots__ = ()


def collect(inputs: Sequence[str | os.PathLike[str]], *, split: str | None = None) -> Collected:
    """List the recordings among files, folders and manifests.

    Parameters
    ----------
    inputs : sequence of paths
        Audio files, folders (searched to the bottom for audio files, hidden ones left out), or
        manifests (``.csv``, ``.parquet``).
    split : str, optional
        Take only a manifest's rows of this split.

    Returns
    -------
    Collected
        Sorted by name; a path given twice is one recording.

    Raises
    ------
    InputError
        If an input does not exist, nothing is found, or a manifest is malformed.
    """
    if not inputs:
        raise InputError("no audio given: name at least one file, folder or manifest")
    files: list[Path] = []
    listed: list[Recording] = []
    for given in inputs:
        path = Path(given)
        if not path.exists():
            raise InputError(f"{printable(path)}: no such file or folder; check the path")
        if path.is_dir():
            found = list(audio_files(path))
            if not found:
                raise InputError(
                    f"{printable(path)}: holds no audio file; looked for "
                    f"{' '.join(sorted(AUDIO_SUFFIXES))}"
                )
            files += found
        elif path.suffix.lower() in MANIFEST_SUFFIXES:
            listed += read_manifest(path, split=split)
        else:
            files.append(path)
    roots = [Path(given) if Path(given).is_dir() else Path(given).parent for given in inputs]
    root = Path(os.path.commonpath([root.absolute() for root in roots]))
    unique = {path.absolute(): path for path in files}
    recordings = [
        Recording(_name(absolute, root), path) for absolute, path in unique.items()
    ] + listed
    refuse_twins(recordings)
    return Collected(sorted(recordings, key=lambda recording: recording.name))


def read_manifest(path: Path, *, split: str | None = None) -> list[Recording]:
    """Read a manifest's recordings.

    Raises
    ------
    InputError
        If it cannot be read, lacks the column ``path``, names no row of `split`, or a start is
        not a number.
    """
    table = read_table(path, dtype=dict.fromkeys(("path", "clip_id", "split"), object))
    if "path" not in table.columns:
        columns = ", ".join(map(str, table.columns))
        raise InputError(f"{printable(path)}: has no column 'path' (it has: {columns})")
    if split is not None:
        if "split" not in table.columns:
            raise InputError(f"{printable(path)}: has no column 'split'; leave --split out")
        table = table[table["split"] == split]
    if table.empty:
        raise InputError(f"{printable(path)}: names no recording")
    recordings = []
    for line, row in zip(table.index + 2, table.to_dict("records"), strict=True):
        start = row.get("start_s")
        start_s = None if start is None or start != start else start
        if start_s is not None:
            try:
                start_s = float(start_s)
            except (TypeError, ValueError):
                start_s = -1.0
            if not start_s >= 0:
                raise InputError(
                    f"{printable(path)} line {line}: start_s={start!r}: must be seconds >= 0"
                )
        name = row.get("clip_id")
        if name is None or name != name or name == "":
            name = str(row["path"]) if start_s is None else f"{row['path']}@{start_s:g}"
        recordings.append(Recording(str(name), path.parent / str(row["path"]), start_s))
    return recordings


def _name(absolute: Path, root: Path) -> str:
    relative = absolute.relative_to(root) if absolute.is_relative_to(root) else absolute
    return printable(relative.as_posix())
