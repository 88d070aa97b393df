"""The dictionary of columns names every column that the tables have, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

import nearkin
from nearkin import tables
from nearkin.results.analysis import TABLES, analyze
from nearkin.results.trials import RunScores, join
from nearkin.runs.failures import COLUMNS
from support.pages import sections

SECTIONS = sections("tables.md")


def explained(text: str) -> set[str]:
    """The names in the first column of a section's table."""
    first = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return {name for cell in first for name in re.findall(r"`([^`]+)`", cell)}


def section(file: str) -> str:
    return next(text for title, text in SECTIONS.items() if title.startswith(file))


@pytest.mark.parametrize(
    ("file", "columns"),
    [
        ("clips.parquet", tables.CLIPS),
        ("queries.parquet", tables.QUERIES),
        ("consistency.parquet", tables.CONSISTENCY),
        ("performance_clips.parquet", tables.PERFORMANCE_CLIPS),
        ("failures.parquet", (*COLUMNS, "query_audio", "own_audio", "nearest_audio")),
        ("perception.parquet", tables.PERCEPTION),
        ("audibility.parquet", tables.AUDIBILITY),
        ("gallery.parquet", tables.GALLERY),
        ("gallery_queries.parquet", tables.GALLERY_QUERIES),
        ("trajectories.parquet", tables.TRAJECTORIES),
        ("trajectory_agreement.parquet", tables.TRAJECTORY_AGREEMENT),
        ("trajectory_paths.parquet", tables.TRAJECTORY_PATHS),
    ],
)
def test_every_column_is_explained(file: str, columns: tuple[str, ...]) -> None:
    assert explained(section(file)) == set(columns)


def test_every_table_of_a_run_is_there(small_run: Path) -> None:
    for path in small_run.glob("*.parquet"):
        assert set(pd.read_parquet(path)) == explained(section(path.name)), path.name


def test_every_table_of_an_analysis_is_there(small_run: Path) -> None:
    result = nearkin.load(small_run)
    some = result.consistency[result.consistency["latent_distance"].isin(["", "cosine"])]
    run = RunScores("small", result.run, some, None, result.clips, result.queries)
    found = analyze(join([run], encoders=["mfcc", "vgg-ae", "vgg-at"]), runs=[run])
    parts = re.split(r"^### ", section("analysis/"), flags=re.MULTILINE)[1:]
    said = {part.partition(".csv")[0]: explained(part) for part in parts}
    assert set(said) == set(TABLES)
    for name in TABLES:
        assert set(found.tables[name]) <= said[name], name
        optional = {"encoder", "task", "transformation"} if name == "marginal_means" else set()
        assert said[name] - optional <= set(found.tables[name]), name


def test_every_measure_is_named() -> None:
    for measure in tables.MEASURES:
        assert f"`{measure}`" in section("consistency.parquet")
