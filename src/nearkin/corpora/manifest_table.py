"""A manifest as a table of texts: read, checked, compared and written whole or not at all.

Every cell is the text it is: a group called ``007`` or an instrument called ``NA`` stays that; an
empty cell is ``""``. Rows are numbered as lines of the file, the header being line 1.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from nearkin.errors import InputError, printable
from nearkin.files import write_whole
from nearkin.registry import suggest

if TYPE_CHECKING:
    import pandas as pd

MANIFEST_SUFFIXES = frozenset({".csv", ".parquet"})

COLUMNS = ("path", "clip_id", "start_s", "split", "group", "tags", "instrument", "vocals_path")
"""The columns of a manifest, in the order in which they are written."""

LABEL_COLUMNS = ("tags", "instrument", "vocals_path")
"""The columns that tasks learn from."""

SPLITS = ("train", "valid", "test")
"""What ``split`` may say in a manifest that tasks are trained on."""


def read_texts(path: Path) -> pd.DataFrame:
    """Read a manifest with every cell as the text it is: group "007" stays that, and so does NA."""
    return as_texts(read_table(path, dtype=object, keep_default_na=False))


def as_texts(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with every cell as text, its rows numbered from 0."""
    import pandas as pd

    # Objects: pandas' own strings cannot hold a file name that is not UTF-8.
    cells = {str(name): [_text(cell) for cell in table[name]] for name in table.columns}
    return pd.DataFrame(cells, dtype=object)


def _text(cell: object) -> str:
    if cell is None or cell != cell or (isinstance(cell, str) and not cell.strip()):
        return ""
    return f"{cell:.15g}" if isinstance(cell, float) else str(cell)


def read_table(path: Path, **options: Any) -> pd.DataFrame:
    """Read a manifest as pandas does; `options` are those of `pandas.read_csv`."""
    import pandas as pd
    import pyarrow as pa

    try:
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(path)
        table: pd.DataFrame = pd.read_csv(path, encoding_errors="surrogateescape", **options)
        return table
    except (OSError, ValueError, pa.ArrowException) as error:
        text = " ".join(str(error).split())
        raise InputError(f"{printable(path)}: cannot be read as a manifest: {text}") from error


def write_texts(path: Path, table: pd.DataFrame) -> None:
    """Write a table of texts under a temporary name and rename it.

    Raises
    ------
    InputError
        If Parquet cannot hold its file names.
    RunError
        If the file cannot be written; what was there before stays.
    """
    import numpy as np

    if path.suffix.lower() == ".parquet" and "start_s" in table.columns:
        starts = table["start_s"].replace("", np.nan).astype(float)
        table = table.assign(start_s=starts)
    try:
        write_whole(path, lambda file: _put(file, table, path.suffix.lower()))
    except UnicodeEncodeError as error:
        raise InputError(
            f"{printable(path)}: Parquet cannot hold a file name that is not UTF-8; write a .csv"
        ) from error


def _put(file: BinaryIO, table: pd.DataFrame, suffix: str) -> None:
    if suffix == ".parquet":
        table.to_parquet(file, index=False)
    else:
        text = table.to_csv(index=False, lineterminator="\n")
        file.write(text.encode("utf-8", "surrogateescape"))


def clip_name(cells: Mapping[Any, str]) -> str:
    """Return what a row's clip is called: its own name, else its path and where it starts."""
    if cells.get("clip_id"):
        return cells["clip_id"]
    start = cells.get("start_s")
    return f"{cells['path']}@{float(start):.9g}" if start else cells["path"]


def check_groups(table: pd.DataFrame, path: Path) -> None:
    """Refuse splits of other names, and groups or files in two splits."""
    if "split" not in table.columns:
        return
    groups = table["group"] if "group" in table.columns else table["path"]
    found: dict[str, set[str]] = {}
    files: dict[str, set[str]] = {}
    for line, split, group, file in zip(
        table.index + 2, table["split"], groups, table["path"], strict=True
    ):
        if split not in SPLITS:
            raise InputError(
                f"{printable(path)} line {line}: split={split!r}: must be one of "
                f"{', '.join(SPLITS)}; {suggest(split, SPLITS)}"
            )
        found.setdefault(group or file, set()).add(split)
        files.setdefault(file, set()).add(split)
    crossing = {group: splits for group, splits in found.items() if len(splits) > 1}
    for group, splits in crossing.items():
        others = f" (and {len(crossing) - 1} more)" if len(crossing) > 1 else ""
        named = " and ".join(sorted(splits, key=SPLITS.index))
        raise InputError(
            f"{printable(path)}: group '{printable(group)}'{others} is in {named}: must be in one "
            "split; split by group"
        )
    for file, splits in files.items():
        if len(splits) > 1:
            named = " and ".join(sorted(splits, key=SPLITS.index))
            raise InputError(
                f"{printable(path)}: file '{printable(file)}' is in {named}: must be in one split, "
                "however many clips are taken of it; give its rows one split"
            )


def relative_paths(files: Iterable[Path], folder: Path) -> list[str]:
    """Write files' paths as seen from a folder, whatever links lead to either."""
    near, real = folder.absolute(), folder.resolve()

    def seen(home: Path) -> str:
        if home.is_relative_to(near):
            return home.relative_to(near).as_posix()
        try:
            return Path(os.path.relpath(home.resolve(), real)).as_posix()
        except ValueError:  # another drive
            return home.resolve().as_posix()

    homes: dict[str, str] = {}
    written = []
    for file in files:
        home, name = os.path.split(file)
        if home not in homes:
            homes[home] = seen(Path(home).absolute())
        written.append(name if homes[home] == "." else f"{homes[home]}/{name}")
    return written


def equal(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Say whether two tables of texts hold the same."""
    return list(one.columns) == list(other.columns) and one.to_numpy().tolist() == (
        other.to_numpy().tolist()
    )
