"""Tables of two runs held against each other."""

from __future__ import annotations

from pathlib import Path

TABLES = ("clips.parquet", "queries.parquet", "consistency.parquet", "failures.parquet")


def same_tables(one: Path, two: Path) -> None:
    for name in (*TABLES, "consistency.csv"):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    for path in sorted((one / "embeddings").iterdir()):
        assert path.read_bytes() == (two / "embeddings" / path.name).read_bytes(), path.name
