"""From what a user names on the command line to a list of recordings.

A recording is named by its path relative to the deepest folder that holds all inputs, so that two
files called ``song.wav`` in two folders stay apart, and a name does not depend on where the music
lies. Manifests (CSV or Parquet) name recordings themselves: ``path`` relative to the manifest,
optional ``clip_id``, ``start_s`` and ``split``; those that tasks are trained on have their labels
too (`read_labelled`): ``group``, ``tags`` separated by ``;``, ``instrument``, ``vocals_path``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nearkin.audio import AUDIO_SUFFIXES
from nearkin.audio.decoding import addressed
from nearkin.corpora.files import audio_files
from nearkin.corpora.tables import (
    COLUMNS,
    LABEL_COLUMNS,
    MANIFEST_SUFFIXES,
    SPLITS,
    as_texts,
    check_groups,
    clip_name,
    equal,
    read_table,
    read_texts,
    relative_paths,
    write_texts,
)
from nearkin.errors import InputError, printable
from nearkin.registry import suggest

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "COLUMNS",
    "LABEL_COLUMNS",
    "SPLITS",
    "Collected",
    "Labelled",
    "Recording",
    "Row",
    "collect",
    "read_labelled",
    "read_manifest",
    "write_manifest",
]


@dataclass(frozen=True)
class Recording:
    """One file to take clips from.

    Attributes
    ----------
    name : str
        Unique and printable: the clip's id where one clip is taken.
    path : Path
        Where the file is; may hold bytes that are not UTF-8.
    start_s : float or None
        Where the excerpt starts; None leaves the place to the seed.
    """

    name: str
    path: Path
    start_s: float | None = None


class Row(NamedTuple):
    """A clip and what is known about it.

    Attributes
    ----------
    name : str
        Unique in its manifest.
    path : Path
        The sound file.
    start_s : float or None
        Where the clip starts; None where all of the file is meant.
    split : str
        ``"train"``, ``"valid"``, ``"test"``; empty where the manifest has no splits.
    group : str
        Song, artist or composer: never in two splits. The file where the manifest has no groups.
    tags : tuple of str
        In the manifest's order, each once.
    instrument : str
        The predominant instrument.
    vocals_path : Path or None
        The singing voice alone, as long as `path` and aligned with it. It may name a stream of a
        file (``song.stem.mp4#stream=4``), which `nearkin.audio.read` understands.
    """

    name: str
    path: Path
    start_s: float | None = None
    split: str = ""
    group: str = ""
    tags: tuple[str, ...] = ()
    instrument: str = ""
    vocals_path: Path | None = None


@dataclass(frozen=True)
class Labelled:
    """The rows of a manifest that a task learns from or is scored on.

    Attributes
    ----------
    name : Path
        The manifest.
    rows : tuple of Row
        In the manifest's order.
    """

    name: Path
    rows: tuple[Row, ...]


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
    _refuse_twins(recordings)
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


def read_labelled(
    path: str | os.PathLike[str], *, column: str | None = None, split: str | None = None
) -> Labelled:
    """Read a manifest's rows with their labels, and hold them to what training relies on.

    Parameters
    ----------
    path : path
        A manifest, ``.csv`` or ``.parquet``.
    column : str, optional
        The column that must be filled in every row that is taken: ``"tags"``, ``"instrument"`` or
        ``"vocals_path"``.
    split : str, optional
        Take only the rows of ``"train"``, ``"valid"`` or ``"test"``.

    Returns
    -------
    Labelled
        The rows in the manifest's order.

    Raises
    ------
    InputError
        If the manifest cannot be read, lacks a column or a cell, has an unknown split or none of
        the rows asked for, names a file that is not there, a clip twice, or lets a group cross
        splits.
    """
    path = Path(path)
    if column is not None and column not in LABEL_COLUMNS:
        raise InputError(f"column={column!r}: must be a label; {suggest(column, LABEL_COLUMNS)}")
    if split is not None and split not in SPLITS:
        raise InputError(f"split={split!r}: must be a split; {suggest(split, SPLITS)}")
    table = read_texts(path)
    for name in ["path", *([column] if column else []), *(["split"] if split else [])]:
        if name not in table.columns:
            columns = ", ".join(map(str, table.columns))
            raise InputError(
                f"{printable(path)}: has no column '{name}' (it has: {columns})"
                + ("; add it, or pass --split all to perform" if name == "split" else "; add it")
            )
    check_groups(table, path)
    if split is not None:
        table = table[table["split"] == split]
    if table.empty:
        kind = f"{split} clip" if split else "clip"
        raise InputError(f"{printable(path)}: names no {kind}; add some")
    for name in COLUMNS:
        if name not in table.columns:
            table = table.assign(**{name: ""})
    told = printable(path)
    rows = tuple(
        _row(
            path.parent, f"{told} line {place + 2}", dict(zip(COLUMNS, cells, strict=True)), column
        )
        for place, *cells in table[list(COLUMNS)].itertuples(name=None)
    )
    _refuse_twins(rows)
    return Labelled(path, rows)


def write_manifest(
    path: str | os.PathLike[str],
    table: pd.DataFrame,
    *,
    root: str | os.PathLike[str] | None = None,
    force: bool = True,
) -> None:
    """Write a manifest, whole or not at all; its paths become relative to it.

    Parameters
    ----------
    path : path
        Where to, ``.csv`` or ``.parquet``; folders on the way are made.
    table : pandas.DataFrame
        Some or all of the columns of a manifest, at least ``path``. Columns that are empty
        throughout are left out, others than a manifest's follow after them.
    root : path, optional
        What relative paths in `table` are relative to; without it, the manifest's folder.
    force : bool
        Replace another manifest that is there; an equal one is never an obstacle.

    Raises
    ------
    InputError
        If the table has no rows or no paths, a clip twice, an unknown split or a group that
        crosses splits, or if another manifest is there and `force` is False.
    RunError
        If the file cannot be written.
    """
    import pandas as pd

    path = Path(path)
    if path.suffix.lower() not in MANIFEST_SUFFIXES:
        known = " or ".join(sorted(MANIFEST_SUFFIXES))
        raise InputError(f"{printable(path)}: a manifest must end in {known}; name it so")
    texts = as_texts(table)
    if "path" not in texts.columns or texts.empty or (texts["path"] == "").any():
        raise InputError(f"{printable(path)}: every row needs a 'path', and there must be one")
    base = Path(root) if root is not None else path.parent
    for name in {"path", "vocals_path"} & set(texts.columns):
        given = texts[name] != ""
        moved = relative_paths([base / text for text in texts[name][given]], path.parent)
        texts.loc[given, name] = pd.Series(moved, texts.index[given], dtype=object)
    order = [name for name in COLUMNS if name in texts.columns and (texts[name] != "").any()]
    texts = texts[[*order, *(name for name in texts.columns if name not in COLUMNS)]]
    check_groups(texts, path)
    _refuse_twins([Recording(clip_name(row), path) for row in texts.to_dict("records")])
    if not force and path.exists() and not _holds(path, texts):
        raise InputError(
            f"{printable(path)}: holds another manifest; name another file or pass --force"
        )
    write_texts(path, texts)


def _holds(path: Path, texts: pd.DataFrame) -> bool:
    try:
        return equal(read_texts(path), texts)
    except InputError:  # something else
        return False


def _row(folder: Path, where: str, cells: dict[str, str], column: str | None) -> Row:
    if column is not None and not cells[column]:
        raise InputError(f"{where}: '{column}' is empty: must be filled; fill it or drop the row")
    start_s = _seconds(cells["start_s"], where)
    path = folder / cells["path"]
    vocals = folder / cells["vocals_path"] if cells["vocals_path"] else None
    for file in (path, vocals):
        if file is not None and not addressed(file)[0].is_file():
            raise InputError(
                f"{where}: {printable(file)}: no such file; put it there or drop the row"
            )
    tags = dict.fromkeys(tag.strip() for tag in cells["tags"].split(";"))
    tags.pop("", None)
    return Row(
        clip_name(cells),
        path,
        start_s,
        cells["split"],
        cells["group"] or cells["path"],
        tuple(tags),
        cells["instrument"],
        vocals,
    )


def _seconds(text: str, where: str) -> float | None:
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise InputError(f"{where}: start_s={text!r}: must be seconds >= 0; mend it")
    return seconds


def _name(absolute: Path, root: Path) -> str:
    relative = absolute.relative_to(root) if absolute.is_relative_to(root) else absolute
    return printable(relative.as_posix())


def _refuse_twins(recordings: Sequence[Recording | Row]) -> None:
    seen: set[str] = set()
    for recording in recordings:
        if recording.name in seen:
            raise InputError(
                f"clip_id '{recording.name}': stands for two recordings; "
                "give each row of the manifest its own"
            )
        seen.add(recording.name)
