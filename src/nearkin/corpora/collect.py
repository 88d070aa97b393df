"""From what a user names on the command line to a list of recordings.

A recording is named by its path relative to the deepest folder that holds all inputs, so that two
files called ``song.wav`` in two folders stay apart, and a name does not depend on where the music
lies. Manifests (CSV or Parquet) name recordings themselves: ``path`` relative to the manifest,
optional ``clip_id``, ``start_s``, ``split`` and ``group``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from nearkin.audio import AUDIO_SUFFIXES, LeftOut, SoundFiles, sound_files
from nearkin.corpora.finding import Finder
from nearkin.corpora.manifest_table import (
    MANIFEST_SUFFIXES,
    clip_name,
    place_of,
    read_texts,
    require_column,
    seconds,
)
from nearkin.corpora.recordings import Recording, refuse_twins
from nearkin.errors import InputError, printable

_LISTS = frozenset(
    [
        *(".arrow", ".feather", ".json", ".jsonl", ".m3u", ".m3u8", ".ods", ".pls", ".tab", ".tsv"),
        *(".txt", ".xls", ".xlsx", ".xspf", ".yaml", ".yml"),
    ]
)
"""Suffixes of what names recordings in ways that are not read."""


class Collected(tuple[Recording, ...]):
    """The recordings found, in order of their names, each file once.

    Attributes
    ----------
    left_out : tuple of str
        What lies in the folders, looks like sound and is not used, a sentence each.
    """

    left_out: tuple[str, ...] = ()

    def told(self, most: int = 8) -> list[str]:
        """Return what is left out as lines for a terminal, `most` of them."""
        lines = [f"left out: {sentence}" for sentence in self.left_out[:most]]
        if len(self.left_out) > most:
            lines.append(f"left out: {len(self.left_out) - most} more; run.json names them all")
        return lines


def collect(
    inputs: Sequence[str | os.PathLike[str]],
    *,
    split: str | None = None,
    out: str | os.PathLike[str] | None = None,
) -> Collected:
    """List the recordings among files, folders and manifests.

    Parameters
    ----------
    inputs : sequence of paths
        Audio files, folders (searched to the bottom, see `nearkin.audio.sound_files`), or
        manifests (``.csv``, ``.parquet``).
    split : str, optional
        Take only a manifest's rows of this split.
    out : path, optional
        The folder that will be written to: not searched where it lies in one of the folders.

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
    left_out: list[LeftOut] = []
    for given in inputs:
        path = Path(given)
        if not os.path.exists(path):  # noqa: PTH110  (it takes names that no system allows)
            raise InputError(f"{printable(path)}: no such file or folder; check the path")
        if path.is_dir():
            found = sound_files(path, out=out)
            if not found.files:
                raise InputError(_nothing(path, found))
            files += found.files
            left_out += found.left_out
        elif path.suffix.lower() in MANIFEST_SUFFIXES:
            listed += read_manifest(path, split=split)
        elif path.suffix.lower() in _LISTS:
            raise InputError(
                f"{printable(path)}: is no sound; save a list of recordings as .csv or .parquet, "
                "with a column 'path'"
            )
        else:
            files.append(path)
    roots = [Path(given) if Path(given).is_dir() else Path(given).parent for given in inputs]
    root = Path(os.path.commonpath([root.absolute() for root in roots]))
    unique = {path.absolute(): path for path in files}
    recordings = [
        Recording(_name(absolute, root), path) for absolute, path in unique.items()
    ] + listed
    refuse_twins(recordings)
    collected = Collected(sorted(recordings, key=lambda recording: recording.name))
    collected.left_out = tuple(dict.fromkeys(map(str, left_out)))
    return collected


def read_manifest(path: Path, *, split: str | None = None) -> list[Recording]:
    """Read a manifest's recordings.

    Raises
    ------
    InputError
        If it cannot be read, lacks the column ``path``, names no row of `split`, or a start is
        not a number.
    """
    table = read_texts(path)
    require_column(path, table, "path")
    if split is not None:
        require_column(path, table, "split", "leave --split out")
        table = table[table["split"] == split]
    if table.empty:
        raise InputError(f"{printable(path)}: names no recording; add some")
    find = Finder(path.parent)
    nothing = [""] * len(table)
    columns = [
        table[name].to_list() if name in table.columns else nothing
        for name in ("path", "clip_id", "start_s", "group")
    ]
    recordings = []
    for number, file, clip_id, start, group in zip(table.index, *columns, strict=True):
        if not file:
            where = place_of(path, table, number)
            raise InputError(f"{where}, column 'path': is empty; name a file or drop the row")
        start_s = seconds(start, place_of(path, table, number)) if start else None
        told = "" if start_s is None else start
        name = clip_name({"path": file, "clip_id": clip_id, "start_s": told})
        recordings.append(Recording(name, find(file), start_s, group or file))
    return recordings


def _nothing(folder: Path, found: SoundFiles) -> str:
    """Say that a folder holds no sound, and what it holds instead."""
    told = [str(one) for one in found.left_out[:3]]
    more = len(found.left_out) - len(told)
    seen = f" (left out: {'; '.join(told)}{f'; and {more} more' if more else ''})" if told else ""
    return (
        f"{printable(folder)}: holds no audio file{seen}; looked for "
        f"{' '.join(sorted(AUDIO_SUFFIXES))}"
    )


def _name(absolute: Path, root: Path) -> str:
    relative = absolute.relative_to(root) if absolute.is_relative_to(root) else absolute
    return printable(relative.as_posix())
