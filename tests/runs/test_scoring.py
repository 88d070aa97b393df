"""Scoring beyond what whole runs show: blocks change nothing, drawn clips are a fair sample."""

from __future__ import annotations

from math import comb
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, spearmanr

import nearkin.runs.spaces
from nearkin.consistency import neighbours
from nearkin.distances import cosine, euclidean
from nearkin.runs.plan import make_plan
from nearkin.runs.scoring import Scorer
from nearkin.runs.spaces import (
    NO_COSINE,
    AudioAtPoint,
    EncoderAtPoint,
    OwnDistances,
    Space,
    drawn_clips,
    latent_space,
)
from nearkin.tables import OK
from nearkin.transforms.grids import Point
from support import naive_consistency as naive

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


def rows_of(table: Any, measure: str, latent: str = "euclidean") -> Any:
    rows = table.query("encoder == 'e' and measure == @measure and latent_distance == @latent")
    return rows.iloc[0]


def failing(n: int, *, failed: Any = (), unmade: Any = (), lost: Any = (), **settings: Any) -> Any:
    """Score a point where an encoder fails on queries and originals, and some were never made."""
    plan = make_plan({"encoders": ["mfcc"], "grid": "imperceptible", **settings})
    originals, queries = vectors(n)
    audio, moved = vectors(n, seed=1)
    scorer = Scorer(plan, [f"c{i:04d}" for i in range(n)])
    made = np.array([i not in unmade for i in range(n)])
    here = [OK if good else "no loudness" for good in made]
    heard = EncoderAtPoint("audio", "", 1, audio, moved, here)
    space = latent_space("euclidean", heard, scorer.drawn, made=made)
    spaces = [Space.of_audio(name, space.found, space.pairs) for name in ("dtw", "simple")]
    status = ["raised ValueError: no" if i in failed else here[i] for i in range(n)]
    queries[[i for i in range(n) if status[i] != OK]] = np.nan
    for i in lost:
        originals[i] = np.nan
        status[i] = "its original failed"
    encoder = EncoderAtPoint("e", "", 1, originals, queries, status)
    point = Point("PN", 30.0)
    table, scores = scorer.point(point, AudioAtPoint(spaces, np.zeros(n), here), [encoder])
    there = [i not in lost for i in range(n)]
    gone = [i in failed and i not in unmade and i not in lost for i in range(n)]
    full = np.nan_to_num(euclidean(np.nan_to_num(queries), np.nan_to_num(originals)))
    truth = (euclidean(moved, audio), full, gone, made.tolist(), there)
    return table, scores, truth


def test_failed_queries_are_lost_and_counted() -> None:
    """The twin from the equations, over a whole point: 7 of 27 fail, one was not made, two gone."""
    table, scores, truth = failing(30, failed=range(5, 12), unmade=[20], lost=[0, 29])
    audio, latent, gone, made, there = truth
    right = naive.within_space_with_failures(latent, gone, made, there)
    row = rows_of(scores, "C_W")
    assert row["value"] == pytest.approx(right)
    assert (row["n"], row["n_failed"]) == (27, 7)
    assert row["status"] == (
        "7 of 27 queries failed; 1 of 30 queries could not be made; 2 of 30 originals failed"
    )
    assert row["chance"] == 1 / 28
    exact = binomtest(round(right * 27), 27).proportion_ci(method="exact")
    assert (row["ci_low"], row["ci_high"]) == pytest.approx(tuple(exact))
    assert row["ci_method"] == "clopper-pearson"
    same, chance, beyond = naive.agreement_with_failures(audio, latent, gone, made, there)
    assert rows_of(scores, "C_B_acc")["value"] == pytest.approx(float(same))
    assert rows_of(scores, "C_B_acc")["chance"] == pytest.approx(float(chance))
    assert rows_of(scores, "kappa")["value"] == pytest.approx(float(beyond))
    small = rows_of(scores, "C_W@10")
    rows = table.query("encoder == 'e' and distance == 'euclidean'").set_index("clip_id")
    ranks = rows["rank"].fillna(28)[rows["error"].notna()].astype(int)
    terms = [comb(28 - rank, 9) / comb(27, 9) for rank in ranks]
    assert small["value"] == pytest.approx(np.mean(terms))
    assert small["n_failed"] == 7
    lost = rows.loc["c0005"]
    assert lost["error"] == 1
    assert pd.isna(lost["rank"])
    assert pd.isna(lost["nearest_id"])
    assert pd.isna(rows.loc["c0020", "error"])
    assert rows.loc["c0020", "status"] == "no loudness"
    assert pd.isna(rows.loc["c0000", "error"])


def test_the_audio_space_only_lacks_what_could_not_be_made() -> None:
    _, scores, _ = failing(30, failed=range(5, 12), unmade=[20], lost=[0, 29])
    row = scores.query("encoder == 'audio' and measure == 'C_W'").iloc[0]
    assert (row["n"], row["n_failed"]) == (29, 0)
    assert row["status"] == "1 of 30 queries could not be made"


def test_reasons_are_those_that_hold() -> None:
    _, scores, _ = failing(12, failed=range(12))
    for measure in ("C_W", "C_B_acc"):
        assert rows_of(scores, measure)["status"].startswith("12 of 12 queries failed")
    assert rows_of(scores, "C_W")["value"] == 0
    rho = rows_of(scores, "C_B_rho")
    assert np.isnan(rho["value"])
    assert rho["status"] == "undefined: 12 of 12 queries failed"
    _, scores, _ = failing(2)
    rho = rows_of(scores, "C_B_rho")
    assert np.isnan(rho["value"])
    assert rho["status"] == "undefined: a correlation needs 3 clips"
    low, high = rows_of(scores, "C_W")[["ci_low", "ci_high"]]
    assert high - low > 0.8
    _, scores, _ = failing(8, lost=range(7))
    assert rows_of(scores, "C_W")["status"].startswith("undefined: 7 of 8 originals failed")


@pytest.mark.parametrize("rho", ["pooled", "clips", "own"])
def test_a_failed_query_is_no_pair_of_rho(rho: str) -> None:
    _, scores, truth = failing(15, failed=[3, 4], lost=[7], rho=rho)
    audio, latent, _, _, _ = truth
    queries = [i for i in range(15) if i not in (3, 4, 7)]
    clips = [j for j in range(15) if j != 7]
    pairs = {i: [(i, j) for j in clips if j != i] for i in queries}
    if rho == "pooled":
        at = tuple(np.array([pair for i in queries for pair in pairs[i]]).T)
        value = spearmanr(audio[at], latent[at]).statistic
    elif rho == "clips":
        ats = [tuple(np.array(pairs[i]).T) for i in queries]
        value = np.mean([spearmanr(audio[at], latent[at]).statistic for at in ats])
    else:
        value = spearmanr(audio[queries, queries], latent[queries, queries]).statistic
    row = rows_of(scores, "C_B_rho")
    assert row["value"] == pytest.approx(value)
    assert (row["n"], row["n_failed"]) == (14, 2)
    assert row["status"] == "2 of 14 queries failed; 1 of 15 originals failed"


def test_monotonicity_says_why() -> None:
    n = 5
    scorer = Scorer(PLAN, [f"c{i}" for i in range(n)])

    def moved(code: str, magnitude: float, d_own: Any, failed: Any, asked: Any, why: str) -> Any:
        one = OwnDistances("e", "", 1, "latent", "cosine", np.array(d_own), failed, asked, why)
        return Point(code, magnitude), magnitude, [one]

    every, none = np.ones(n, bool), np.zeros(n, bool)
    ladder = [
        moved("PN", 30.0, [0.1] * n, none, every, ""),
        moved("PN", 10.0, [0.2] * n, none, every, ""),
        moved("EN", 30.0, [np.nan] * n, none, none, "raised ValueError: no"),
        moved("EN", 10.0, [np.nan] * n, none, none, "raised ValueError: no"),
        moved("MP", 64.0, [0.1] * n, none, every, ""),
        moved("MP", 32.0, [0.1] * n, none, every, ""),
        moved("TS", 1.1, [0.1] * n, none, every, ""),
        moved("TS", 1.2, [0.2, 0.2, 0.2, 0.2, np.nan], np.arange(n) == 4, every, "returned NaN"),
    ]
    rows = scorer.monotonicity(ladder).set_index("transformation")
    assert rows.loc["PN", "value"] == 1
    assert rows.loc["PN", "status"] == "no interval: all resamples are equal"
    assert np.isnan(rows.loc["PN", "ci_low"])
    assert rows.loc["EN", "status"] == "raised ValueError: no"
    assert rows.loc["MP", "status"] == "undefined: the distance does not change with severity"
    assert rows.loc["TS", "value"] == pytest.approx(4 / 5)
    assert rows.loc["TS", "status"] == "1 of 5 clips have failed queries"
    assert (rows.loc["TS", "n"], rows.loc["TS", "n_failed"]) == (5, 1)


def test_clips_of_a_file_widen_the_interval_and_may_stay_out() -> None:
    """Four equal excerpts a file: each the own one's intruder, unless others are other groups'."""
    originals, queries = vectors(12)
    originals, queries = np.repeat(originals, 4, axis=0), np.repeat(queries, 4, axis=0)
    groups = np.repeat(np.arange(12), 4)
    found = {}
    for others in ("all", "group"):
        plan = make_plan({"encoders": ["mfcc"], "grid": "imperceptible", "others": others})
        scorer = Scorer(plan, [f"c{i:04d}" for i in range(48)], groups=groups)
        status = [OK] * 48
        encoder = EncoderAtPoint("e", "", 1, originals, queries, status)
        made = np.ones(48, bool)
        apart = groups if others == "group" else None
        space = latent_space("euclidean", encoder, scorer.drawn, made=made, groups=apart)
        spaces = [Space.of_audio(name, space.found, space.pairs) for name in ("dtw", "simple")]
        here = AudioAtPoint(spaces, np.zeros(48), status)
        _, scores = scorer.point(Point("PN", 30.0), here, [encoder])
        found[others] = rows_of(scores, "C_W"), rows_of(scores, "C_B_rho"), scorer.counts
    assert found["all"][0]["value"] == 0
    one, rho, counts = found["group"]
    alone = neighbours(euclidean(queries[::4], originals[::4]))
    assert one["value"] == pytest.approx(np.mean(~alone.error))
    assert one["chance"] == 1 / 45
    assert one["ci_method"] == "korn-graubard"
    exact = binomtest(int((~alone.error).sum()), 12).proportion_ci(method="exact")
    assert one["ci_high"] - one["ci_low"] == pytest.approx(exact.high - exact.low, rel=0.15)
    assert (counts.reshape(len(counts), 12, 4).std(axis=2) == 0).all()
    assert rho["value"] == found["all"][1]["value"]
