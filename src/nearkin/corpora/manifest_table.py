"""A manifest as a table of texts: read, checked, compared and written whole or not at all.

Every cell is the text it is: a group called ``007`` or an instrument called ``NA`` stays that; an
empty cell is ``""``.
"""

from __future__ import annotations

import codecs
import csv
import io
import math
import os
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from nearkin.audio.folders import irregular
from nearkin.errors import InputError, printable
from nearkin.files import write_whole
from nearkin.parquet import arrow_source, open_parquet
from nearkin.registry import suggest

if TYPE_CHECKING:
    import pandas as pd

MANIFEST_SUFFIXES = frozenset({".csv", ".parquet"})

COLUMNS = ("path", "clip_id", "start_s", "split", "group", "tags", "instrument", "vocals_path")
"""The columns of a manifest, in the order in which they are written."""

LABEL_COLUMNS = ("tags", "instrument", "vocals_path")
"""The columns that tasks learn from."""

UNKNOWN_NUMBERS = frozenset({"", "NA", "N/A", "NaN", "nan", "NULL", "null", "None"})
"""What programs write for a number that is not there."""

SPLITS = ("train", "valid", "test")
"""What ``split`` may say in a manifest that tasks are trained on."""


def read_texts(path: Path) -> pd.DataFrame:
    """Read a manifest with every cell as the text it is: group "007" stays that, and so does NA.

    CSV is read as UTF-8 (bytes that are none are kept, as they are in file names) or, where it
    begins with a byte order mark, as UTF-16; cells are separated by commas, or throughout by
    semicolons or tabs. Row names that R or pandas wrote are left out; Parquet's index is columns.

    Returns
    -------
    pandas.DataFrame of str
        The rows, but for lines of a CSV file that are empty throughout. The index holds the number
        of each row in the file and its name says what is counted: ``"line"`` of a CSV file,
        ``"row"`` of a Parquet file.

    Raises
    ------
    InputError
        If the file cannot be read, is no table, or has a cell that is no text or number.
    """
    import pandas as pd

    kind = irregular(path)
    if kind:
        raise InputError(f"{printable(path)}: is {kind}: must be a file, .csv or .parquet")
    try:
        if path.suffix.lower() == ".parquet":
            columns, numbers, word = *_parquet(path), "row"
        else:
            columns, numbers, word = *_csv(path), "line"
    except (OSError, ValueError, OverflowError, csv.Error) as error:
        if isinstance(error, InputError):
            raise
        why = printable(" ".join(str(error).split()))
        raise InputError(f"{printable(path)}: cannot be read as a manifest: {why}") from error
    twice = [name for name, count in Counter(name for name, _ in columns).items() if count > 1]
    if twice:
        raise InputError(f"{printable(path)}: has two columns '{twice[0]}'; rename or drop one")
    table = pd.DataFrame(dict(columns), index=pd.Index(numbers, name=word), dtype=object)
    return table[(table != "").any(axis=1)] if word == "line" else table


def place_of(path: Path, table: pd.DataFrame, number: int) -> str:
    """Name a row of a table that `read_texts` returned, as errors do: ``m.csv line 3``."""
    return f"{printable(path)} {table.index.name} {number}"


def require_column(path: Path, table: pd.DataFrame, name: str, remedy: str = "add it") -> None:
    """Refuse a manifest that has no column of a name."""
    if name not in table.columns:
        columns = ", ".join(table.columns)
        raise InputError(
            f"{printable(path)}: has no column '{name}' (it has: {columns or 'none'}); {remedy}"
        )


def as_texts(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with every cell as text, its rows numbered from 1."""
    import pandas as pd

    # Objects: pandas' own strings cannot hold a file name that is not UTF-8.
    cells = {str(name): [_text(cell) for cell in table[name]] for name in table.columns}
    return pd.DataFrame(cells, pd.RangeIndex(1, len(table) + 1, name="row"), dtype=object)


def _text(cell: object) -> str:
    """Return a cell as text.

    Raises
    ------
    TypeError
        If it holds several values.
    """
    import numpy as np
    import pandas as pd

    if isinstance(cell, bytes):
        cell = os.fsdecode(cell)
    if isinstance(cell, str):
        return cell if cell.strip() else ""
    if isinstance(cell, list | tuple | dict | set | np.ndarray):
        raise TypeError(type(cell).__name__)
    if cell is None or pd.isna(cell):  # type: ignore[call-overload]
        return ""
    return f"{cell:.15g}" if isinstance(cell, float) else str(cell)


Columns = list[tuple[str, list[str]]]


def _csv(path: Path) -> tuple[Columns, list[int]]:
    """Return a CSV file's columns, and the line on which each of its rows ends."""
    text = _decoded(path)
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = next((mark for mark in ",;\t" if "path" in _header(first, mark)), ",")
    try:
        rows = _rows(text, delimiter, strict=True)
    except csv.Error:
        line = _misquoted(text, delimiter)
        if line is not None:
            raise ValueError(
                f"line {line}: nothing closes a quotation mark in it; mend the quotation marks "
                "(one within a cell is written twice)"
            ) from None
        rows = _rows(text, delimiter, strict=False)
    if not rows:
        raise ValueError("it is empty")
    (_, header), *rows = rows
    header = [printable(name.strip()) for name in header]
    named = [place for place, name in enumerate(header) if name]
    offset = _row_names(rows, len(header))
    width = len(header) + offset
    for line, row in rows:
        extra = [cell for cell in row[width:] if cell.strip()]
        if extra:
            raise InputError(
                f"{printable(path)} line {line}, column {width + 1}: '{printable(extra[0])}' has "
                f"no heading: the first line names {len(header)} columns; name it, or put a cell "
                "that holds a comma between quotation marks"
            )
    padded = [[*row, *[""] * (width - len(row))] for _, row in rows]
    columns = [(header[place], [_text(row[place + offset]) for row in padded]) for place in named]
    return columns, [line for line, _ in rows]


def _rows(text: str, delimiter: str, *, strict: bool) -> list[tuple[int, list[str]]]:
    """Return the rows that hold anything, each with the line on which it ends."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=strict)
    try:
        return [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        limit = csv.field_size_limit()
        if strict or str(limit) not in str(error):
            raise
        raise ValueError(
            f"line {reader.line_num}: a cell of it is longer than {limit:,} characters; shorten it"
        ) from error


def _misquoted(text: str, delimiter: str) -> int | None:
    """Return the line of the first cell whose quotation marks do not come out even.

    ``"Heroes" (live)`` does, and is read as ``Heroes (live)``; a quoted part that ends lines, and
    has text behind it, is one that was closed by another cell's mark.
    """
    cell = re.compile(
        rf'(?:"([^"]*(?:""[^"]*)*)("?)([^{delimiter}\r\n]*)|[^{delimiter}\r\n]*)'
        rf"(?:{delimiter}|\r\n|\r|\n|\Z)"
    )
    for match in cell.finditer(text):
        quoted, closing, behind = match.groups()
        if quoted is None:
            continue
        ends_lines = "\n" in quoted or "\r" in quoted
        if not closing or behind.count('"') % 2 or (ends_lines and behind.strip()):
            return len(re.findall(r"\r\n|\r|\n", text[: match.start()])) + 1
    return None


def _decoded(path: Path) -> str:
    data = path.read_bytes()
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        text = data.decode("utf-16")
    else:
        text = data.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")
    if text.rstrip("\r\n").endswith("\x1a"):  # DOS ended text so
        text = text.rstrip("\r\n").removesuffix("\x1a")
    nul = text.find("\0")
    if nul >= 0:
        line = text.count("\n", 0, nul) + 1
        raise ValueError(f"line {line} holds a NUL: must be text; save it as UTF-8")
    return text


def _header(line: str, delimiter: str) -> list[str]:
    return [name.strip() for row in csv.reader([line], delimiter=delimiter) for name in row]


def _row_names(rows: Sequence[tuple[int, Sequence[str]]], width: int) -> int:
    """Return 1 where every row has one cell more than the heading, and begins with its number."""
    named = all(
        len(row) == width + 1 and row[0].strip() == str(number)
        for number, (_, row) in enumerate(rows, start=1)
    )
    return int(named and bool(rows))


def _parquet(path: Path) -> tuple[Columns, list[int]]:
    """Return a Parquet file's columns, those of pandas' index among them, and its rows' numbers."""
    import pyarrow as pa

    with arrow_source(path) as file:
        try:
            table = open_parquet(file).read()
        except pa.ArrowException as error:
            raise ValueError(str(error)) from error
    columns: Columns = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name.startswith("__index_level_"):  # an index without a name
            continue
        texts = []
        try:
            values = column.to_pylist()
        except pa.ArrowException as error:
            raise ValueError(f"column '{printable(name)}': {error}") from error
        for number, cell in enumerate(values, start=1):
            if isinstance(cell, list) and name == "tags":
                cell = ";".join(str(tag) for tag in cell)
            try:
                texts.append(_text(cell))
            except TypeError as error:
                if name in COLUMNS:
                    raise InputError(
                        f"{printable(path)} row {number}, column '{name}': holds a {error}: must "
                        "be text or a number; write one value a cell"
                    ) from error
                texts.append(str(cell))
        columns.append((printable(name), texts))
    return columns, list(range(1, table.num_rows + 1))


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
    start = cells.get("start_s")
    path = cells["path"]
    return printable(cells.get("clip_id") or (f"{path}@{float(start):.9g}" if start else path))


def check_groups(table: pd.DataFrame, path: Path) -> None:
    """Refuse splits of other names, and groups or files in two splits."""
    if "split" not in table.columns:
        return
    groups = table["group"] if "group" in table.columns else table["path"]
    found: dict[str, set[str]] = {}
    files: dict[str, set[str]] = {}
    for number, split, group, file in zip(
        table.index, table["split"], groups, table["path"], strict=True
    ):
        if split not in SPLITS:
            raise InputError(
                f"{place_of(path, table, number)}: split={split!r}: must be one of "
                f"{', '.join(SPLITS)}; {suggest(split, SPLITS)}"
            )
        found.setdefault(group or file, set()).add(split)
        files.setdefault(posixpath.normpath(file), set()).add(split)
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


def seconds(text: str, where: str) -> float | None:
    """Return where a clip starts; None where its cell holds no number.

    Raises
    ------
    InputError
        If it is no finite number of seconds from 0 on.
    """
    if text.strip() in UNKNOWN_NUMBERS:
        return None
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not (math.isfinite(found) and found >= 0):
        raise InputError(f"{where}: start_s={text!r}: must be seconds >= 0, such as 1.5")
    return found


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
