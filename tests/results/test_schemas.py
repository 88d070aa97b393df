"""What a run's tables hold: good ones are read as they were, damaged ones get one sentence."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nearkin
from nearkin.errors import NearkinError, RunError
from nearkin.parquet import read_parquet
from nearkin.results.analysis import analyze
from nearkin.results.answers import RunTables
from nearkin.results.by_task import on_tasks
from nearkin.results.columns import SCHEMAS
from nearkin.results.comparison import compare
from nearkin.results.gate import judge
from nearkin.results.schemas import checked, read_checked
from nearkin.results.trials import RunScores, join
from nearkin.results.verdicts import verdicts

TABLES = ("clips", "queries", "consistency", "failures")
ODD: list[Any] = [
    *(None, np.nan, np.inf, -np.inf, -1, 0, 0.5, 2, 10**12, 1e300, True, "", "x", "OG", "audio"),
    *("NaN", "\x00", "é" * 300, b"x", [1], {"a": 1}, pd.NaT, pd.Timestamp("2020"), 1 + 2j),
]


@pytest.fixture(scope="module")
def tables(small_run: Path) -> dict[str, pd.DataFrame]:
    result = nearkin.load(small_run)
    return {name: getattr(result, name) for name in TABLES}


def test_tables_are_read_as_they_were_written(small_run: Path) -> None:
    result = nearkin.load(small_run)
    for name in TABLES:
        raw = pd.read_parquet(small_run / f"{name}.parquet")
        read = getattr(result, name)
        assert list(read.columns) == list(raw.columns)
        for column in raw.columns:
            one, two = raw[column], read[column]
            same = (one == two).to_numpy(bool, na_value=False) | (one.isna() & two.isna())
            assert same.all(), (name, column)


def put(column: str, value: Any, row: int = 2) -> Any:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        values = table[column].astype(object).to_list()
        values[row] = value
        return table.assign(**{column: pd.Series(values, index=table.index, dtype=object)})

    return change


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("queries", lambda t: t.drop(columns="error"), r"has no column error: a table of queries"),
        ("queries", put("encoder", 7), r"row 3, column encoder: 7: must be text that is not empty"),
        ("queries", put("encoder", None), r"row 3, column encoder: ''|None: must be text"),
        (
            "queries",
            lambda t: t.assign(error=2),
            r"row 1, column error: 2: must be 0, 1 or missing",
        ),
        ("queries", lambda t: t.assign(rank=-1), r"row 1, column rank: -1: must be a whole number"),
        ("queries", lambda t: t.assign(d_own=math.inf), r"column d_own: inf: must be a finite num"),
        ("queries", lambda t: t.assign(d_own="far"), r"column d_own: 'far': must be a finite numb"),
        (
            "queries",
            lambda t: pd.concat([t, t.iloc[:1]]),
            r"repeats the encoder task trial .* must",
        ),
        ("queries", lambda t: t.assign(trial=1.5), r"column trial: 1.5: must be a whole number"),
        ("consistency", lambda t: t.assign(value=3.0), r"row 1, value 3 of C_W: must be in 0\.\.1"),
        ("consistency", lambda t: t.assign(n=None), r"column n: .*: must be a whole number"),
        ("consistency", lambda t: t[[*t.columns, "n"]], r"has two columns n: must be one"),
        ("clips", lambda t: t.assign(clip_id="a"), r"row 2 repeats the clip_id of another"),
        ("clips", lambda t: t.T.reset_index(drop=True).T, r"must have plain names"),
        (
            "queries",
            lambda t: t.assign(
                magnitude=t["magnitude"].where(t["transformation"] != "MP", -t["magnitude"])
            ),
            r"magnitude -8: is none that MP can have",
        ),
    ],
)
def test_wrong_tables_get_file_place_and_demand(
    tables: dict[str, pd.DataFrame], name: str, change: Any, told: str
) -> None:
    with pytest.raises(
        RunError, match=rf"run/{name}\.parquet: (.*)({told}).*; give the nearkin run"
    ):
        checked(change(tables[name]), name, f"run/{name}.parquet")


def test_a_key_that_was_made_the_index_is_found(tables: dict[str, pd.DataFrame]) -> None:
    clips = tables["clips"]
    for table in (clips.set_index("clip_id"), clips.set_index(["clip_id", "path"])):
        found = checked(table, "clips", "clips.parquet")
        pd.testing.assert_frame_equal(found[list(clips.columns)], clips)
    assert (checked(clips.drop(columns="group"), "clips", "c")["group"] == "").all()


def test_a_file_that_is_no_table_is_told(small_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    for junk in (b"", b"PAR1", b"x" * 99, (run / "clips.parquet").read_bytes()[:-9]):
        (run / "queries.parquet").write_bytes(junk)
        with pytest.raises(
            RunError,
            match=r"queries\.parquet: was changed or damaged .* give the nearkin run command again",
        ):
            _ = nearkin.load(run).queries


@st.composite
def damages(draw: st.DrawFn) -> list[tuple[str, str, Any]]:
    """A few changes: which table, what is done, and with what."""
    kinds = ("drop", "rename", "put", "fill", "rows", "twice", "empty", "type", "index", "shuffle")
    return draw(
        st.lists(
            st.tuples(
                st.sampled_from(TABLES),
                st.sampled_from(kinds),
                st.tuples(st.integers(0, 10**6), st.integers(0, 10**6), st.sampled_from(ODD)),
            ),
            min_size=1,
            max_size=3,
        )
    )


def damaged(table: pd.DataFrame, kind: str, what: tuple[int, int, Any]) -> pd.DataFrame:
    one, two, odd = what
    column = table.columns[one % len(table.columns)] if len(table.columns) else None
    row = two % len(table) if len(table) else 0
    if kind == "drop" and column is not None:
        return table.drop(columns=column)
    if kind == "rename":
        return table.rename(columns={column: f"{column}2"})
    if kind == "put" and len(table):
        values = table[column].astype(object).to_list()
        values[row] = odd
        return table.assign(**{column: pd.Series(values, index=table.index, dtype=object)})
    if kind == "fill":
        filled = pd.Series([odd] * len(table), index=table.index)
        return table.assign(**{column: filled})
    if kind == "rows":
        return table.drop(index=table.index[row : row + 1 + one % 400])
    if kind == "twice":
        return pd.concat([table, table.iloc[row : row + 1 + one % 5]])
    if kind == "empty":
        return table.iloc[:0]
    if kind == "type":
        with contextlib.suppress(ValueError, TypeError, OverflowError):
            kinds = ("str", "object", "category", "float32", "Int64", "bool", "datetime64[ns]")
            return table.assign(**{column: table[column].astype(kinds[two % len(kinds)])})
    if kind == "index" and column is not None:
        return table.set_index(column)
    if kind == "shuffle":
        return table.sample(frac=1, random_state=one % 1000)
    return table


def read_all(record: dict[str, Any], parts: dict[str, pd.DataFrame]) -> None:
    """Do with tables what the commands do; only errors made on purpose may leave."""
    with contextlib.suppress(NearkinError):
        good = {name: checked(part, name, f"{name}.parquet") for name, part in parts.items()}
        run = RunTables("r", record, good["clips"], good["queries"])
        scores = RunScores("r", record, good["consistency"], None, run.clips, run.queries)
        for act in (
            lambda: verdicts(good["consistency"], run.queries, record),
            lambda: compare([run], n_resamples=100, points=True),
            lambda: compare([run], n_resamples=100, n=2),
            lambda: judge(["C_W >= 0.9"], good["consistency"], record),
            lambda: judge(
                ["mean(C_B_acc[mfcc]) >= 0.9 @ imperceptible"], good["consistency"], record
            ),
            lambda: on_tasks(run),
            lambda: analyze(join([scores], encoders=["mfcc", "random"]), runs=[scores]),
        ):
            with contextlib.suppress(NearkinError):
                act()


@given(damages())
@settings(
    deadline=None,
    max_examples=int(os.environ.get("NEARKIN_FUZZ", "15")),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_damaged_tables_are_refused_or_read(
    small_run: Path, tables: dict[str, pd.DataFrame], changes: list[tuple[str, str, Any]]
) -> None:
    parts = dict(tables)
    for name, kind, what in changes:
        parts[name] = damaged(parts[name], kind, what)
    read_all(nearkin.load(small_run).run, parts)


@pytest.mark.parametrize("kind", ["datetime64[ns]", "timedelta64[ns]", "category", "object"])
def test_a_column_without_a_value_is_missing_whatever_its_type(
    tables: dict[str, pd.DataFrame], kind: str
) -> None:
    none = pd.Series([None] * len(tables["queries"]), dtype=kind)
    read = checked(tables["queries"].assign(error=none), "queries", "queries.parquet")
    assert read["error"].isna().all()
    with pytest.raises(RunError, match=r"row 1, column magnitude: .*: must be a finite number"):
        checked(tables["queries"].assign(magnitude=none), "queries", "queries.parquet")


def test_what_analyze_wrote_is_checked_too(small_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    (run / "analysis").mkdir()
    (run / "analysis" / "summary.txt").write_text("words")
    columns = "measure,audio_distance,latent_distance,factor,level,at,mean,se,ci_low,ci_high"
    good = f"{columns}\nC_W,,cosine,encoder,mfcc,own,0.5,0.1,0.3,0.7\n"
    for name in ("gam", "anova", "contrasts", "correlations"):
        (run / "analysis" / f"{name}.csv").write_text(",".join(SCHEMAS[name].columns) + "\n")
    for text, told in (
        (good.replace("0.5", "much"), r"row 1, column mean: 'much': must be a finite number"),
        (good.replace(",se,", ",s,"), r"has no column se: a table of marginal_means needs it"),
        (
            good.replace("encoder,mfcc", "encoder,"),
            r"row 1, column level: .*: must be text that is",
        ),
    ):
        (run / "analysis" / "marginal_means.csv").write_text(text)
        with pytest.raises(RunError, match=rf"marginal_means\.csv: {told}.*nearkin analyze again"):
            _ = nearkin.load(run).analysis
    (run / "analysis" / "marginal_means.csv").write_text(good)
    assert nearkin.load(run).analysis["marginal_means"]["mean"].tolist() == [0.5]


def test_every_table_of_a_run_has_a_schema(tables: dict[str, pd.DataFrame]) -> None:
    for name in TABLES:
        assert set(SCHEMAS[name].columns) <= set(tables[name].columns)


def test_task_scores_without_a_row_are_none(small_run: Path) -> None:
    """`frame[[]]` selects columns: a filter of no rows lost them all."""
    from nearkin.results.trials import join_performance

    result = nearkin.load(small_run)
    columns = {**SCHEMAS["performance"].columns, "status": "text"}
    empty = checked(pd.DataFrame({name: [] for name in columns}), "performance", "p.parquet")
    scores = RunScores("run", result.run, result.consistency, empty, result.clips, result.queries)
    assert join_performance([scores], encoders=["mfcc"]) is None


def test_every_error_of_arrow_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One flipped byte made Arrow say that "wrapping failed", which is no ValueError."""

    def fail(_: Any) -> None:
        raise pa.ArrowException("Unknown error: Wrapping x\ny failed")

    path = tmp_path / "clips.parquet"
    pd.DataFrame({"a": [1]}).to_parquet(path)
    monkeypatch.setattr(pd, "read_parquet", fail)
    with pytest.raises(RunError, match=r"cannot be read \(Unknown error: Wrapping x y failed\)"):
        read_checked(lambda: read_parquet(path), "clips", path)


def test_bytes_that_are_no_utf8_are_one_sentence(small_run: Path, tmp_path: Path) -> None:
    """Arrow reads such a file, and fails where its texts are looked at."""
    content = (small_run / "clips.parquet").read_bytes()
    name = str(pd.read_parquet(small_run / "clips.parquet")["path"][0]).encode()
    assert name in content
    path = tmp_path / "clips.parquet"
    path.write_bytes(content.replace(name[-8:], b"\x9f\xff" + name[-6:]))
    with pytest.raises(RunError, match=r"column [a-z_]+: holds bytes that are no text"):
        read_checked(lambda: read_parquet(path), "clips", path)
