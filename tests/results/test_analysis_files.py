"""The files of ``nearkin analyze``: read as they were written, damaged ones get one sentence."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import nearkin
from nearkin.errors import RunError
from nearkin.results.columns import SCHEMAS
from nearkin.runs.folder import ANALYSIS
from support.commands import command, refused
from support.runs import forget_checksums


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory, small_run: Path) -> Path:
    run = tmp_path_factory.mktemp("analysed") / "run"
    shutil.copytree(small_run, run)
    done = command("analyze", run, "--encoder", "mfcc", "--encoder", "logmel-projection")
    assert done.exit_code == 0, done.stderr
    return run


def test_they_are_read_as_they_were_written(analysed: Path) -> None:
    found = nearkin.load(analysed).analysis
    assert tuple(found) == ANALYSIS
    for name, table in found.items():
        raw = pd.read_csv(analysed / "analysis" / f"{name}.csv")
        assert list(table.columns) == list(raw.columns)
        for column, kind in SCHEMAS[name].columns.items():
            if kind in ("real", "number", "whole"):
                pd.testing.assert_series_equal(table[column], raw[column], check_dtype=False)


def first_cell(column: str, value: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        values = table[column].astype(object)
        values.iloc[0] = value
        return table.assign(**{column: values})

    return change


CHANGES: dict[str, tuple[str, Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "a text for a number": (
        "contrasts",
        first_cell("difference", "much"),
        "row 1, column difference: 'much': must be a number, or missing",
    ),
    "a column is gone": ("anova", lambda t: t.drop(columns="term"), "has no column term"),
    "half a clip": ("gam", first_cell("n", "24.5"), "column n: .*must be a whole number"),
    "no name": ("marginal_means", first_cell("level", ""), "column level: .*not empty"),
    "an infinite mean": ("marginal_means", first_cell("mean", "inf"), "must be a finite number"),
    "no columns": ("correlations", lambda t: t[[]], "correlations.csv"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_damaged_one_is_one_sentence(change: str, analysed: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(analysed, run)
    forget_checksums(run)
    name, act, told = CHANGES[change]
    path = run / "analysis" / f"{name}.csv"
    act(pd.read_csv(path, keep_default_na=False)).to_csv(path, index=False)
    with pytest.raises(RunError, match=told):
        _ = nearkin.load(run).analysis
    assert "give nearkin analyze" in refused("report", run)


def test_words_that_are_no_text_are_one_sentence(analysed: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(analysed, run)
    (run / "analysis" / "summary.txt").write_bytes(b"\xff\xfe\x00")
    assert "summary.txt: was changed or damaged" in refused("report", run)
    forget_checksums(run)
    assert "summary.txt: cannot be read" in refused("report", run)
