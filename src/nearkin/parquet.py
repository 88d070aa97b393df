"""Parquet files, read through Arrow: whatever their names, and never more than the memory holds."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearkin.errors import printable
from nearkin.memory import usable_memory

if TYPE_CHECKING:
    import pandas as pd


UNTOLD_BYTES = 2**40
"""The memory of a machine that does not tell it."""


@contextlib.contextmanager
def arrow_source(path: Path) -> Iterator[Any]:
    """Open a file for Arrow to read, whatever bytes its name is made of; closed at the end.

    Arrow opens names in UTF-8 only; what has another name is read into memory. Arrow is not handed
    a file of Python's: the threads that read it may still be there when the interpreter ends, and
    then abort the process, its work done (apache/arrow issue 34314).

    Yields
    ------
    pyarrow.NativeFile

    Raises
    ------
    OSError
        If it cannot be opened.
    """
    import pyarrow as pa

    with path.open("rb") as file:  # it is there, and may be read
        try:
            str(path).encode()
        except UnicodeEncodeError:
            source = pa.BufferReader(file.read())
        else:
            source = pa.OSFile(str(path))
    with source:
        yield source


def read_parquet(path: Path) -> pd.DataFrame:
    """Read a Parquet file, whatever bytes its name is made of.

    Raises
    ------
    ValueError
        If it is none, or `open_parquet` refuses it.
    """
    import pandas as pd
    import pyarrow as pa

    with arrow_source(path) as file:
        try:
            names = open_parquet(file).schema_arrow.names
            twice = {name for name in names if names.count(name) > 1}
            if twice:
                raise ValueError(f"it has two columns '{printable(min(twice))}'")
            file.seek(0)
            return pd.read_parquet(file)
        except pa.ArrowException as error:  # some of Arrow's errors are no ValueErrors
            raise ValueError(str(error)) from error


def open_parquet(file: Any) -> Any:
    """Open a Parquet file, a ``pyarrow.parquet.ParquetFile``, unless it would fill the memory.

    Parameters
    ----------
    file : pyarrow.NativeFile
        Of `arrow_source`.

    Raises
    ------
    ValueError
        If it says that it unpacks to more than the memory that may be used.
    """
    import pyarrow.parquet as pq

    opened = pq.ParquetFile(file)
    about = opened.metadata
    groups = [about.row_group(number) for number in range(about.num_row_groups)]
    cells = about.num_rows * max(about.num_columns, 1)
    promised = max(8 * cells, sum(group.total_byte_size for group in groups))
    usable = usable_memory() or UNTOLD_BYTES
    if promised > usable:
        raise ValueError(
            f"it would unpack to {promised / 2**30:.3g} GiB, and {usable / 2**30:.3g} may be used"
        )
    return opened
