"""Manifests with labels: read and held to what training relies on, and written.

A manifest (CSV or Parquet) names its clips: ``path`` relative to the manifest, optional
``clip_id``, ``start_s`` and ``split``, and the labels that tasks are trained on: ``group``,
``tags`` separated by ``;``, ``instrument``, ``vocals_path``.
"""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from nearkin.audio.decoding import addressed
from nearkin.corpora.finding import Finder
from nearkin.corpora.manifest_table import (
    COLUMNS,
    LABEL_COLUMNS,
    MANIFEST_SUFFIXES,
    SPLITS,
    as_texts,
    check_groups,
    clip_name,
    equal,
    place_of,
    read_texts,
    relative_paths,
    require_column,
    seconds,
    write_texts,
)
from nearkin.corpora.recordings import Labelled, Recording, Row, refuse_twins
from nearkin.errors import InputError, printable
from nearkin.registry import suggest

if TYPE_CHECKING:
    import pandas as pd


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
        every = "add it, or pass --split all to perform"
        require_column(path, table, name, every if name == "split" else "add it")
    table = _composed(table)
    check_groups(table, path)
    if split is not None:
        table = table[table["split"] == split]
    if table.empty:
        kind = f"{split} clip" if split else "clip"
        raise InputError(f"{printable(path)}: names no {kind}; add some")
    for name in COLUMNS:
        if name not in table.columns:
            table = table.assign(**{name: ""})
    find = Finder(path.parent)
    rows = tuple(
        _row(find, place_of(path, table, number), dict(zip(COLUMNS, cells, strict=True)), column)
        for number, *cells in table[list(COLUMNS)].itertuples(name=None)
    )
    refuse_twins(rows)
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
        Replace another manifest that is there; an equal one is never an obstacle. Something else
        than a manifest is never replaced.

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
    refuse_twins([Recording(clip_name(row), path) for row in texts.to_dict("records")])
    _refuse_other(path, texts, force=force)
    write_texts(path, texts)


def _refuse_other(path: Path, texts: pd.DataFrame, *, force: bool) -> None:
    """Refuse to replace what is no manifest, and, without `force`, another manifest."""
    if not path.exists() and not path.is_symlink():
        return
    try:
        there = read_texts(path)
    except InputError:
        there = None
    lost = path.is_file() and path.stat().st_size == 0  # nothing is lost with it
    if not lost and (there is None or "path" not in there.columns):
        raise InputError(
            f"{printable(path)}: is there and is no manifest; move it or name another file"
        )
    if not force and (there is None or not equal(there, texts)):
        raise InputError(
            f"{printable(path)}: holds another manifest; name another file or pass --force"
        )


def _composed(table: pd.DataFrame) -> pd.DataFrame:
    """Write labels and groups with composed letters: a flûte of two programs is one instrument."""
    import pandas as pd

    composed = table.copy()
    for name in [name for name in ("group", "tags", "instrument") if name in table.columns]:
        texts = [unicodedata.normalize("NFC", text) for text in table[name]]
        composed[name] = pd.Series(texts, table.index, dtype=object)  # names hold any bytes
    return composed


def _row(find: Finder, where: str, cells: dict[str, str], column: str | None) -> Row:
    if column is not None and not cells[column]:
        raise InputError(f"{where}: '{column}' is empty: must be filled; fill it or drop the row")
    if not cells["path"]:
        raise InputError(f"{where}, column 'path': is empty; name a file or drop the row")
    start_s = seconds(cells["start_s"], where)
    if start_s is None:
        cells["start_s"] = ""
    path = find(cells["path"])
    vocals = find(cells["vocals_path"]) if cells["vocals_path"] else None
    for file in (path, vocals):
        if file is not None and not os.path.isfile(addressed(file)[0]):  # noqa: PTH113
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
