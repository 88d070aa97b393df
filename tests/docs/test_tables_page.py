"""The dictionary of columns names every column that the tables have, and no other."""

from __future__ import annotations

import re

import pytest

from nearkin import tables
from support.pages import sections


@pytest.mark.parametrize(
    ("page", "columns"),
    [
        ("clips.parquet", tables.CLIPS),
        ("queries.parquet", tables.QUERIES),
        ("consistency.parquet", tables.CONSISTENCY),
    ],
)
def test_every_column_is_explained(page: str, columns: tuple[str, ...]) -> None:
    text = next(part for title, part in sections("tables.md").items() if title.startswith(page))
    first = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    named = {name for cell in first for name in re.findall(r"`([^`]+)`", cell)}
    assert named == set(columns)


def test_every_measure_is_named() -> None:
    text = sections("tables.md")["consistency.parquet: a row a score"]
    for measure in tables.MEASURES:
        assert f"`{measure}`" in text
