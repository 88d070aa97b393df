"""Scoring beyond what whole runs show: blocks change nothing, drawn clips are a fair sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

import nearkin.runs.spaces
from nearkin.consistency import neighbours
from nearkin.distances import cosine, euclidean
from nearkin.runs.plan import make_plan
from nearkin.runs.scoring import Scorer
from nearkin.runs.spaces import (
    NO_COSINE,
    AudioAtPoint,
    EncoderAtPoint,
    Space,
    drawn_clips,
    latent_space,
)
from nearkin.tables import OK
from nearkin.transforms.grids import Point

PLAN = make_plan({"encoders": ["mfcc"], "grid": "imperceptible"})


def vectors(n: int, size: int = 8, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    originals = rng.standard_normal((n, size)).astype(np.float32)
    return originals, (originals + 0.5 * rng.standard_normal((n, size))).astype(np.float32)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    originals, queries = vectors(50)
    status = [OK] * 50
    status[7] = "failed"
    drawn = np.array([0, 7, 20, 49])
    encoder = EncoderAtPoint("e", "", 1, originals, queries, status)
    for name, function in (("euclidean", euclidean), ("cosine", cosine)):
        made = np.ones(50, bool)
        whole = latent_space(name, encoder, drawn, made=made)
        monkeypatch.setattr(nearkin.runs.spaces, "BLOCK_ROWS", 3)
        parts = latent_space(name, encoder, drawn, made=made)
        monkeypatch.undo()
        truth = neighbours(function(queries, originals))
        rows = np.arange(50) != 7
        for got in (whole, parts):
            assert np.array_equal(got.found.rank[rows], truth.rank[rows])
            assert np.array_equal(got.found.d_own[rows], truth.d_own[rows])
            assert got.failed.nonzero()[0].tolist() == [7]
            assert (got.found.error[7], got.found.rank[7], got.found.nearest[7]) == (True, 50, -1)
            assert np.isnan(got.pairs[1]).all()
            d = function(queries, originals)[np.ix_(drawn, drawn)]
            assert np.array_equal(got.pairs[[0, 2, 3]], d[[0, 2, 3]])


def score(plan: Any, n: int, *, change: Any = None) -> Any:
    originals, queries = vectors(n)
    audio, moved = vectors(n, seed=1)
    if change is not None:
        change(originals, queries)
    scorer = Scorer(plan, [f"c{i:04d}" for i in range(n)])
    status = [OK] * n
    heard = EncoderAtPoint("audio", "", 1, audio, moved, status)
    space = latent_space("euclidean", heard, scorer.drawn, made=np.ones(n, bool))
    spaces = [Space.of_audio(name, space.found, space.pairs) for name in ("dtw", "simple")]
    encoder = EncoderAtPoint("e", "", 1, originals, queries, status)
    here = AudioAtPoint(spaces, np.zeros(n), status)
    queries_table, table = scorer.point(Point("PN", 30.0), here, [encoder])
    return queries_table, table, (euclidean(moved, audio), euclidean(queries, originals))


def test_rho_over_drawn_clips() -> None:
    """Beyond rho_clips the value is Spearman over the drawn clips, and n says how many."""
    plan = make_plan({"encoders": ["mfcc"], "grid": "imperceptible", "rho_clips": 40})
    _, table, (a, b) = score(plan, 100)
    row = table.query(
        "encoder == 'e' and measure == 'C_B_rho' and audio_distance == 'dtw' "
        "and latent_distance == 'euclidean'"
    ).iloc[0]
    drawn = drawn_clips(plan, 100)
    assert len(drawn) == 40
    assert row["n"] == 40
    others = ~np.eye(40, dtype=bool)
    grid = np.ix_(drawn, drawn)
    truth = spearmanr(a[grid][others], b[grid][others]).statistic
    assert row["value"] == pytest.approx(truth, abs=1e-12)
    assert row["ci_low"] < truth < row["ci_high"]
    assert (table.query("measure == 'C_W'")["n"] == 100).all()


def test_an_all_zero_vector_is_a_status() -> None:
    def silence(originals: Any, queries: Any) -> None:
        queries[3] = 0

    queries, table, _ = score(PLAN, 20, change=silence)
    rows = queries.query("encoder == 'e' and distance == 'cosine'")
    assert list(rows.loc[rows["status"] != OK, "clip_id"]) == ["c0003"]
    assert rows.set_index("clip_id").loc["c0003", "status"] == NO_COSINE
    value = table.query("encoder == 'e' and measure == 'C_W' and latent_distance == 'cosine'")
    assert value["status"].item() == "1 of 20 queries failed"
    other = table.query("encoder == 'e' and measure == 'C_W' and latent_distance == 'euclidean'")
    assert other["status"].item() == OK


def test_common_sizes_are_tabulated() -> None:
    _, table, _ = score(PLAN, 120)
    rows = table[table["measure"].str.startswith("C_W")]
    assert set(rows["measure"]) == {"C_W", "C_W@10", "C_W@100"}
    assert set(rows.query("measure == 'C_W@10'")["chance"]) == {0.1}
    wide = rows.query("encoder == 'e'").pivot(
        index="latent_distance", columns="measure", values="value"
    )
    assert (wide["C_W@10"] >= wide["C_W@100"]).all()
    assert (wide["C_W@100"] >= wide["C_W"]).all()
