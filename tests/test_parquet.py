"""Parquet through Arrow: what it is given to read, and names of any bytes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from nearkin.parquet import arrow_source, read_parquet

TABLE = pd.DataFrame({"clip_id": ["a", "b"], "rank": [1, 2]})


def test_arrow_reads_by_itself(tmp_path: Path) -> None:
    """A file of Python's, read by Arrow's threads, aborted one of five processes at their end."""
    path = tmp_path / "t.parquet"
    TABLE.to_parquet(path)
    with arrow_source(path) as source:
        assert isinstance(source, pa.OSFile)
    assert source.closed
    pd.testing.assert_frame_equal(read_parquet(path), TABLE)


@pytest.mark.skipif(
    os.name != "posix" or sys.platform == "darwin", reason="names are text on this system"
)
def test_a_name_of_any_bytes(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"t\xff.parquet")
    TABLE.to_parquet(tmp_path / "u.parquet")
    (tmp_path / "u.parquet").rename(path)
    with arrow_source(path) as source:
        assert isinstance(source, pa.NativeFile)
    pd.testing.assert_frame_equal(read_parquet(path), TABLE)


def test_what_is_not_there_is_an_ordinary_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as told:
        read_parquet(tmp_path / "none.parquet")
    assert told.value.strerror == "No such file or directory"
    (tmp_path / "t.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(ValueError, match="Parquet"):
        read_parquet(tmp_path / "t.parquet")
