"""Comparisons: closed forms, scipy's exact and permutation tests, a simulated null, refusals."""

from __future__ import annotations

import doctest
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import nearkin
from nearkin.cli.compare_summary import lines
from nearkin.errors import InputError
from nearkin.results.answers import Paired, RunTables
from nearkin.results.collections import collection_rows
from nearkin.results.comparison import ALL, COLUMNS, compare
from nearkin.statistics import tests as significance
from nearkin.statistics.bootstrap import resamples
from nearkin.statistics.paired import paired_difference
from nearkin.statistics.tests import holm
from support.fabricated import fabricate

GRID = {"PN": [0.0, 30.0], "TS": [0.5, 0.9, 1.1, 1.5]}


def made(
    errors: dict[str, np.ndarray], *, name: str = "run", grid: dict[str, list[float]] | None = None
) -> RunTables:
    """A run whose encoders err as given: error[place, clip]; rank 2 where wrong; no audio space."""
    points = [(code, value) for code, values in (grid or GRID).items() for value in values]
    rows = []
    n = next(iter(errors.values())).shape[1]
    ids = [f"c{i:03d}" for i in range(n)]
    for encoder, wrong in errors.items():
        for code, value, error in [
            ("OG", 0.0, np.zeros(n)),
            *((*point, wrong[place]) for place, point in enumerate(points)),
        ]:
            rows.append(
                pd.DataFrame(
                    {
                        "encoder": encoder,
                        "task": "",
                        "trial": 1,
                        "space": "latent",
                        "distance": "cosine",
                        "transformation": code,
                        "magnitude": value,
                        "effective_magnitude": value,
                        "clip_id": ids,
                        "error": pd.Series(error).astype("Int64"),
                        "rank": pd.Series(error + 1).astype("Int64"),
                        "d_own": 0.5,
                        "status": "ok",
                    }
                )
            )
    clips = pd.DataFrame(
        {"clip_id": ids, "content_sha256": ids, "start_s": 1.0, "duration_s": 4.0, "status": "ok"}
    )
    record = {
        "n": n,
        "grid": {"points": [list(point) for point in points]},
        "plan": {"clip_seconds": 2.0},
        "encoders": [{"name": encoder, "task": "", "role": "tested"} for encoder in errors],
    }
    return RunTables(name, record, clips, pd.concat(rows, ignore_index=True))


def fabricated(name: str = "run", **options: Any) -> RunTables:
    data = fabricate(grid=GRID, **options)
    return RunTables(name, data.run, data.clips, data.queries)


def only(table: pd.DataFrame, **where: Any) -> pd.Series:
    for column, value in where.items():
        table = table[table[column] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_differences_are_those_of_the_means() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((6, 50)) < 0.2, rng.random((6, 50)) < 0.4
    found = compare([made({"a": a, "b": b})], points=True, n_resamples=500).table
    assert list(found.columns) == list(COLUMNS)
    gap = (~a).mean(axis=1) - (~b).mean(axis=1)
    rows = found[found["measure"] == "C_W"]
    at = rows[rows["level"] == "point"].set_index(["transformation", "magnitude"])["difference"]
    assert at.to_numpy() == pytest.approx(gap)
    pn = only(rows, level="transformation", transformation="PN")
    ts = only(rows, level="transformation", transformation="TS")
    overall = only(rows, level="overall")
    assert pn["difference"] == pytest.approx(gap[:2].mean())
    assert ts["difference"] == pytest.approx(gap[2:].mean())
    assert overall["difference"] == pytest.approx((gap[:2].mean() + gap[2:].mean()) / 2)
    assert overall["transformation"] == ALL
    assert (rows["n"] == 50).all()


def test_interval_and_p_of_one_point_follow_the_normal_theory() -> None:
    """With many clips: standard error of a paired difference of shares, and McNemar's z test."""
    n, b, c = 1000, 90, 60
    a_wrong, b_wrong = np.zeros((1, n), bool), np.zeros((1, n), bool)
    b_wrong[0, :b] = True  # a right, b wrong
    a_wrong[0, b : b + c] = True
    run = made({"a": a_wrong, "b": b_wrong}, grid={"PN": [0.0]})
    row = only(compare([run], n_resamples=20_000).table, measure="C_W", level="overall")
    difference = (b - c) / n
    se = np.sqrt((b + c) / n - difference**2) / np.sqrt(n)
    assert row["difference"] == pytest.approx(difference)
    assert row["ci_low"] == pytest.approx(difference - 1.96 * se, abs=0.0015)
    assert row["ci_high"] == pytest.approx(difference + 1.96 * se, abs=0.0015)
    assert row["p"] == pytest.approx(2 * stats.norm.sf(difference / se), abs=0.004)
    exact = stats.binomtest(c, b + c).pvalue  # McNemar's exact test
    assert row["p"] == pytest.approx(exact, abs=0.006)


@pytest.mark.parametrize("seed", range(4))
def test_p_is_near_the_permutation_test(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = rng.random((6, 80)) < 0.3
    b = rng.random((6, 80)) < 0.3 + 0.02 * seed
    row = only(compare([made({"a": a, "b": b})]).table, measure="C_W", level="overall")
    by_clip = [((~side)[:2].mean(axis=0) + (~side)[2:].mean(axis=0)) / 2 for side in (a, b)]
    truth = stats.permutation_test(
        by_clip,
        lambda x, y: np.mean(x - y),
        permutation_type="samples",
        n_resamples=9999,
        vectorized=False,
        rng=np.random.default_rng(1),
    )
    assert row["difference"] == pytest.approx(truth.statistic)
    assert row["p"] == pytest.approx(truth.pvalue, abs=0.02, rel=0.1)


def test_p_is_no_smaller_than_an_exact_test_can_give() -> None:
    """Four clips of a hundred differ, all one way: McNemar's exact p is 2 / 2**4."""
    a_wrong, b_wrong = np.zeros((1, 100), bool), np.zeros((1, 100), bool)
    b_wrong[0, :4] = True
    run = made({"a": a_wrong, "b": b_wrong}, grid={"PN": [0.0]})
    row = only(compare([run]).table, measure="C_W", level="overall")
    assert row["p"] >= stats.binomtest(0, 4).pvalue == 0.125


def test_a_true_null_is_rejected_one_time_in_twenty() -> None:
    """1,000 pairs of equal encoders on 60 clips of unequal difficulty: 5 % +- 1.5 are rejected."""
    rng = np.random.default_rng(5)
    n, b = 60, 999
    rejected = 0
    counts = rng.multinomial(n, np.full(n, 1 / n), size=b)
    for _ in range(1000):
        difficulty, severity = rng.normal(size=n), rng.normal(0.5, 0.5, (6, 1))
        sides = [np.mean(difficulty + rng.normal(size=n) > severity, axis=0) for _ in range(2)]
        found = paired_difference(sides[0][None], sides[1][None], counts * 1.0, bound=1.0)
        rejected += found.p < 0.05
    assert 35 <= rejected <= 65


def test_equal_encoders_do_not_differ() -> None:
    wrong = np.random.default_rng(2).random((6, 30)) < 0.3
    found = compare([made({"a": wrong, "b": wrong})], points=True, n_resamples=200).table
    rows = found[found["measure"] == "C_W"]
    assert (rows["difference"] == 0).all()
    # no clip of 30 differs: at least .025 ** (1 / 30) of all do not, the others by 1 at most
    assert rows["ci_high"].to_numpy() == pytest.approx(1 - 0.025 ** (1 / 30))
    assert rows["ci_low"].to_numpy() == pytest.approx(0.025 ** (1 / 30) - 1)
    assert (rows[["p", "p_holm"]] == 1).all(axis=None)


def test_order_of_the_pair_only_turns_the_sign() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.random((6, 40)) < 0.2, rng.random((6, 40)) < 0.4
    one = compare([made({"a": a, "b": b})], n_resamples=500).table
    two = compare([made({"b": b, "a": a})], n_resamples=500).table
    assert one["difference"].to_numpy() == pytest.approx(-two["difference"].to_numpy(), nan_ok=True)
    assert one["ci_low"].to_numpy() == pytest.approx(-two["ci_high"].to_numpy(), nan_ok=True)
    assert one["p"].to_numpy() == pytest.approx(two["p"].to_numpy(), nan_ok=True)


def test_agreement_and_monotonicity_are_the_tables_own() -> None:
    """Differences of the measures a run tabulates equal the differences of its rows."""
    data = fabricate(grid=GRID, tested=(("good", ""), ("poor", "")), references=(), n=25)
    run = RunTables("r", data.run, data.clips, data.queries)
    found = compare([run], points=True, n_resamples=200).table
    consistency = data.consistency.set_index(
        ["encoder", "measure", "audio_distance", "latent_distance", "transformation", "magnitude"]
    )["value"]
    rows = found[found["level"] == "point"]
    assert set(rows["measure"]) == {"C_W", "C_B_acc"}
    for row in rows.itertuples(index=False):
        rest = (row.measure, row.audio_distance, row.latent_distance)
        at = (*rest, row.transformation, row.magnitude)
        expected = consistency[("good", *at)] - consistency[("poor", *at)]
        assert row.difference == pytest.approx(expected), at


def test_monotonicity_by_scipy() -> None:
    data = fabricate(grid=GRID, tested=(("good", ""), ("poor", "")), references=(), n=25)
    run = RunTables("r", data.run, data.clips, data.queries)
    row = only(
        compare([run], n_resamples=200).table,
        measure="monotonicity",
        latent_distance="cosine",
        level="transformation",
        transformation="TS",
    )
    means = {}
    for encoder, rows in data.queries[data.queries["distance"] == "cosine"].groupby("encoder"):
        sides = []
        for side in ([0.9, 0.5], [1.1, 1.5]):
            wide = rows[rows["transformation"] == "TS"].pivot(
                index="clip_id", columns="magnitude", values="d_own"
            )[side]
            sides.append(np.mean([stats.spearmanr([0, 1], clip)[0] for clip in wide.to_numpy()]))
        means[encoder] = np.mean(sides)
    assert row["value_a"] == pytest.approx(means["good"])
    assert row["value_b"] == pytest.approx(means["poor"])


def test_a_smaller_collection_by_the_closed_form() -> None:
    """Rank 2 of N is right in a collection of n with probability (N - n) / (N - 1)."""
    a, b = np.zeros((6, 20), bool), np.ones((6, 20), bool)
    table = compare([made({"a": a, "b": b})], n=5, n_resamples=200).table
    row = only(table, measure="C_W@5", level="overall")
    assert row["value_a"] == 1
    assert row["value_b"] == pytest.approx(15 / 19)


@pytest.mark.parametrize("size", [2, 5, 20])
def test_any_collection_has_the_rows_of_the_definition(size: int) -> None:
    """C_W@N is C_W with its own interval; C_W@n the mean of the quotient of binomials."""
    data = fabricate(grid=GRID, tested=(("good", ""),), references=(), n=20)
    run = RunTables("r", data.run, data.clips, data.queries)
    rows = collection_rows(run, size)
    keys = ["encoder", "audio_distance", "latent_distance", "transformation", "magnitude"]
    found = rows.set_index(keys)["value"]
    for key, part in data.queries.groupby(["encoder", "distance", "transformation", "magnitude"]):
        encoder, distance, *place = key
        own = (distance, "") if encoder == "audio" else ("", distance)
        share = [
            math.comb(20 - rank, size - 1) / math.comb(19, size - 1)
            for rank in part["rank"].dropna().astype(int)
        ]
        assert found[(encoder, *own, *place)] == pytest.approx(np.mean(share))
    assert (rows["chance"] == 1 / size).all()
    assert (rows["ci_low"] <= rows["value"] + 1e-12).all()
    assert (rows["ci_high"] >= rows["value"] - 1e-12).all()
    with pytest.raises(InputError, match=r"C_W@21: must be in 2..20"):
        collection_rows(run, 21)


def test_a_collection_in_the_table_is_found_again(small_run: Path) -> None:
    """C_W@N equals the run's own C_W, interval and all: the same resamples."""
    result = nearkin.load(small_run)
    run = RunTables("r", result.run, result.clips, result.queries)
    columns = ["value", "ci_low", "ci_high"]
    keys = ["encoder", "audio_distance", "latent_distance", "transformation", "magnitude"]
    again = collection_rows(run, 5).set_index(keys)[columns].sort_index()
    own = result.consistency.query("measure == 'C_W'").set_index(keys)[columns].sort_index()
    pd.testing.assert_frame_equal(again, own)


def test_failed_queries_leave_the_clip_out_of_both() -> None:
    wrong = np.zeros((6, 20), bool)
    run = made({"a": wrong, "b": ~wrong})
    gone = (run.queries["clip_id"] == "c003") & (run.queries["encoder"] == "a")
    run.queries.loc[gone & (run.queries["transformation"] == "PN"), ["error", "rank"]] = pd.NA
    table = compare([run], n_resamples=200).table
    pn = only(table, measure="C_W", level="transformation", transformation="PN")
    assert (pn["n"], pn["difference"]) == (19, 1.0)
    assert only(table, measure="C_W", level="transformation", transformation="TS")["n"] == 20
    run.queries.loc[run.queries["encoder"] == "a", ["error", "rank"]] = pd.NA
    table = compare([run], n_resamples=200).table
    overall = only(table, measure="C_W", level="overall")
    assert np.isnan(overall["difference"])
    assert overall["status"] == "undefined for one of the two"


def test_clips_of_one_file_are_one_witness() -> None:
    """Each clip three times over: the interval is that of the clips alone, not a narrower one."""
    rng = np.random.default_rng(8)
    a, b = rng.random((6, 40)) < 0.3, rng.random((6, 40)) < 0.5
    once = only(compare([made({"a": a, "b": b})]).table, measure="C_W", level="overall")
    run = made({"a": np.repeat(a, 3, axis=1), "b": np.repeat(b, 3, axis=1)})
    files = run.clips.assign(content_sha256=np.repeat([f"f{i}" for i in range(40)], 3))
    groups = run.clips.assign(group=np.repeat([f"g{i}" for i in range(40)], 3))
    for clips in (files, groups):
        found = compare([RunTables("r", run.record, clips, run.queries)])
        row = only(found.table, measure="C_W", level="overall")
        for name in ("difference", "ci_low", "ci_high", "p"):
            assert row[name] == pytest.approx(once[name]), name
        assert row["n"] == 120
        assert any("120 clips are of 40 files or groups" in note for note in found.notes)
    alone = only(compare([run]).table, measure="C_W", level="overall")
    assert alone["ci_high"] - alone["ci_low"] < 0.7 * (once["ci_high"] - once["ci_low"])
    one = run.clips.assign(group="g")
    with pytest.raises(InputError, match="are of one file or group"):
        compare([RunTables("r", run.record, one, run.queries)])


def rare_failures(rng: np.random.Generator, units: np.ndarray, share: float) -> np.ndarray:
    """C_W of clips that fail rarely, half of the time with all of their group."""
    group, clip = rng.random(units.max() + 1) < share, rng.random(len(units)) < share
    return 1.0 - np.where(rng.random(len(units)) < 0.5, group[units], clip)


@pytest.mark.parametrize("share", [0.02, 0.05])
def test_groups_of_unequal_size_with_rare_failures_reject_no_more_than_they_may(
    share: float,
) -> None:
    """Units that do not differ were taken to, and a true null was rejected .14 and .11 times."""
    rng, rejected, n = np.random.default_rng(1), 0, 300
    counts = resamples(40, n_resamples=999, rng=np.random.default_rng(0)).astype(float)
    for _ in range(n):
        units = np.repeat(np.arange(40), rng.choice([1, 1, 1, 2, 3, 6], 40))
        a, b = (rare_failures(rng, units, share)[None, None] for _ in range(2))
        one, two, own, weights = Paired(a, b, units).shares([0])
        assert own.mean() == pytest.approx(a.mean() - b.mean(), abs=1e-12)
        assert (one - two).mean() == pytest.approx(a.mean() - b.mean(), abs=1e-12)
        rejected += (
            paired_difference(one, two, counts, bound=1.0, own=own, weights=weights).p <= 0.05
        )
    assert rejected / n <= 0.05 + 2.6 * math.sqrt(0.05 * 0.95 / n)


@pytest.mark.parametrize("sizes", [[1], [3], [1, 1, 1, 2, 3, 6]])
@pytest.mark.parametrize("shares", [(0.02, 0.02), (0.05, 0.05), (0.02, 0.05), (0.1, 0.02)])
def test_rare_failures_are_covered_and_no_interval_is_endless(
    sizes: list[int], shares: tuple[float, float]
) -> None:
    """40 single clips that fail 2 % and 5 %: .933 was covered, with a mean width of .68."""
    rng, n, held, width = np.random.default_rng(1), 1500, 0, 0.0
    counts = resamples(40, n_resamples=599, rng=np.random.default_rng(0)).astype(float)
    for _ in range(n):
        units = np.repeat(np.arange(40), rng.choice(sizes, 40))
        a, b = (rare_failures(rng, units, share)[None, None] for share in shares)
        one, two, own, weights = Paired(a, b, units).shares([0])
        found = paired_difference(one, two, counts, bound=1.0, own=own, weights=weights)
        held += found.low <= shares[1] - shares[0] <= found.high
        width += (found.high - found.low) / n
    assert held / n >= 0.95 - 2.6 * math.sqrt(0.05 * 0.95 / n)
    assert width < 0.28


def test_two_groups_that_differ_prove_nothing_whatever_their_sizes() -> None:
    """Of two signs both are equal one time in two: no p is smaller (a test of signs)."""
    units = np.repeat(np.arange(40), [6] + [1] * 39)
    a, b = np.ones((1, 1, 45)), np.ones((1, 1, 45))
    b[0, 0, [0, 20]] = 0
    one, two, own, weights = Paired(a, b, units).shares([0])
    counts = resamples(40, n_resamples=999, rng=np.random.default_rng(0)).astype(float)
    found = paired_difference(one, two, counts, bound=1.0, own=own, weights=weights)
    assert (own != 0).sum() == 2
    assert found.p >= 0.5
    assert found.low <= 0 <= found.high


def test_a_missing_clip_makes_no_other_clip_differ() -> None:
    units = np.arange(40)
    a, b = np.ones((1, 2, 40)), np.ones((1, 2, 40))
    b[0, 0, 3] = 0
    a[0, 1, 7] = np.nan
    own = Paired(a, b, units).shares([0, 1]).own
    assert np.flatnonzero(own).tolist() == [3]
    assert own.mean() == pytest.approx(0.5 * 1 / 40)


def test_failed_queries_are_named_and_lost() -> None:
    rng = np.random.default_rng(8)
    run = made({"a": rng.random((6, 20)) < 0.1, "b": rng.random((6, 20)) < 0.1})
    lost = (run.queries["encoder"] == "a") & (run.queries["clip_id"] < "c011")
    lost &= run.queries["transformation"] == "PN"
    run.queries.loc[lost, ["error", "rank", "d_own"]] = (1, 20, np.nan)
    found = compare([run], n_resamples=200)
    assert "22 of 140 queries of a failed; each counts as lost" in found.notes
    assert not any("of b failed" in note for note in found.notes)
    row = only(found.table, measure="C_W", level="transformation", transformation="PN")
    assert row["value_a"] <= 9 / 20
    assert row["n"] == 20


def test_trials_are_averaged_and_resampled() -> None:
    one = fabricated(tested=(("vgg", "at"), ("vgg", "ae")), references=(), n=60, trials=4)
    for name, rows in (("all", one.queries), ("first", one.queries[one.queries["trial"] == 1])):
        found = compare([RunTables(name, one.record, one.clips, rows)], n_resamples=500)
        row = only(found.table, measure="C_W", latent_distance="cosine", level="overall")
        right = rows[(rows["distance"] == "cosine") & (rows["transformation"] != "OG")]
        by = right.groupby(["task", "transformation"])["error"].mean().groupby("task").mean()
        assert row["value_a"] == pytest.approx(1 - by["at"], abs=1e-9)
        told = any("4 trials say little" in note for note in found.notes)
        assert told == (name == "all")


def test_two_trials_are_not_tested() -> None:
    run = fabricated(tested=(("vgg", "at"), ("vgg", "ae")), references=(), n=40, trials=2)
    found = compare([run], n_resamples=200)
    assert found.table["difference"].notna().all()
    assert found.table[["ci_low", "ci_high", "p", "p_holm"]].isna().all(axis=None)
    assert (found.table["status"] == "no interval: 2 trials are too few").all()
    assert any("2 trials do not tell" in note for note in found.notes)
    assert not any("nan" in line for line in lines(found, several_runs=False))


def test_few_clips_are_told() -> None:
    notes = {n: compare([fabricated(n=n)], n_resamples=200).notes for n in (12, 30)}
    assert any(note.startswith("12 clips are few") for note in notes[12])
    assert not any("are few" in note for note in notes[30])


def test_the_spread_between_trials_is_in_the_interval() -> None:
    """Eight trials of unequal level: Student's interval of the mean of eight."""
    rng = np.random.default_rng(0)
    levels = np.linspace(0.2, 0.8, 8)
    parts = []
    for trial, level in enumerate(levels, start=1):
        wrong = {"a": rng.random((6, 400)) < level, "b": rng.random((6, 400)) < 0.5}
        parts.append(made(wrong).queries.assign(trial=trial))
    one = made({"a": np.zeros((6, 400), bool), "b": np.zeros((6, 400), bool)})
    run = RunTables("r", one.record, one.clips, pd.concat(parts, ignore_index=True))
    row = only(compare([run]).table, measure="C_W", level="overall")
    spread = np.sqrt(np.var(levels, ddof=1) / 8)
    assert row["ci_high"] - row["ci_low"] == pytest.approx(
        2 * stats.t.ppf(0.975, 7) * spread, rel=0.1
    )
    assert row["difference"] == pytest.approx(0, abs=0.02)


# -- which runs ----------------------------------------------------------------------------------


def under_attack(
    run: RunTables, errors: dict[str, np.ndarray], methods: dict[str, str]
) -> RunTables:
    """The same run with attacked clips: error[snr, clip] at 60 and 40 dB."""
    ids = list(run.clips["clip_id"])
    rows = [
        {"encoder": encoder, "task": "", "trial": 1, "method": methods[encoder],
         "space": space, "distance": "cosine", "transformation": code, "magnitude": snr,
         "clip_id": clip, "error": int(error)}
        for encoder, both in errors.items()
        for space, code in (("latent", "AD"), ("latent", "PN"), ("audio", "AD"))
        for snr, mine in zip((60.0, 40.0), both, strict=True)
        for clip, error in zip(ids, mine if code == "AD" else 1 - mine, strict=True)
    ]  # fmt: skip
    return replace(run, attacks=pd.DataFrame(rows).astype({"error": "Int64"}))


def test_attacked_clips_are_compared_snr_by_snr() -> None:
    rng = np.random.default_rng(1)
    grid = {"a": np.zeros((6, 60)), "b": np.zeros((6, 60))}
    errors = {"a": rng.random((2, 60)) < 0.3, "b": rng.random((2, 60)) < 0.7}
    plain = made(grid)
    both = under_attack(plain, errors, {"a": "pgd", "b": "pgd"})
    found = compare([both], n_resamples=2_000)
    rows = found.table[found.table["level"] == "attack"]
    assert rows["magnitude"].tolist() == [60.0, 40.0]
    assert set(rows["transformation"]) == {"AD"}
    for row, place in zip(rows.to_dict("records"), (0, 1), strict=True):
        lost, other = errors["a"][place], errors["b"][place]
        assert row["difference"] == pytest.approx(other.mean() - lost.mean())
        assert (row["value_a"], row["n"]) == (pytest.approx(1 - lost.mean()), 60)
        # McNemar's exact test of the clips that only one of the two lost
        only_a, only_b = int((lost & ~other).sum()), int((other & ~lost).sum())
        exact = stats.binomtest(only_a, only_a + only_b).pvalue
        assert row["p"] == pytest.approx(exact, abs=0.02)
        assert row["p_holm"] >= row["p"]
    # what is not attacked is compared as before, and no mean holds an attack
    rest = found.table[found.table["level"] != "attack"]
    assert rest.equals(compare([plain], n_resamples=2_000).table)
    (told,) = [line for line in lines(found, several_runs=False) if "attacked clips" in line]
    assert "60 dB +" in told
    assert "40 dB +" in told


def test_other_ways_of_searching_are_not_compared() -> None:
    grid = {"a": np.zeros((6, 30)), "b": np.zeros((6, 30))}
    errors = {name: np.eye(2, 30) for name in grid}
    found = compare([under_attack(made(grid), errors, {"a": "pgd", "b": "nes"})], n_resamples=200)
    assert "attack" not in set(found.table["level"])
    assert any("by questions alone, which finds less" in note for note in found.notes)


def test_runs_are_compared_by_their_tested_encoders() -> None:
    one, two = fabricated("one"), fabricated("two")
    two.record["plan"]["seed"] = 2
    found = compare([one, two], n_resamples=200)
    named = found.table[["run_a", "encoder_a", "run_b", "encoder_b"]].drop_duplicates()
    assert len(named) == 6
    assert set(named["encoder_a"]) == {"good", "poor"}
    assert any("differ in seed (one: 0, two: 2)" in note for note in found.notes)
    assert "good (one) - good (two)" in lines(found, several_runs=True)
    against = compare([one, two], encoders=["good"], against="good (two)", n_resamples=200)
    assert against.table["run_a"].unique().tolist() == ["one"]
    heard = compare([one, two], encoders=["audio"], n_resamples=200).table
    assert set(heard["audio_distance"]) == {"dtw", "simple"}


def test_other_grids_are_refused_by_name() -> None:
    one = fabricated("one")
    data = fabricate(grid={"PN": [0.0, 30.0, 12.0], "TS": [0.5, 0.9, 1.1]})
    two = RunTables("two", data.run, data.clips, data.queries)
    with pytest.raises(InputError, match=r"TS 1\.5 only in one; PN 12 only in two"):
        compare([one, two])


def test_other_clips_are_refused_by_name() -> None:
    one, two = fabricated("one", n=20), fabricated("two", n=12)
    with pytest.raises(InputError, match=r"one has 20 clips, 'c0012' only there.*pass --n"):
        compare([one, two])
    found = compare([one, two], n=10, n_resamples=200)
    assert set(found.table["measure"]) == {"C_W@10", "monotonicity"}
    assert found.n == 12
    assert "only C_W@10 and monotonicity over the shared clips" in found.notes[0]
    with pytest.raises(InputError, match=r"--n 13: must be in 2..12"):
        compare([one, two], n=13)
    other = two.clips.assign(content_sha256="other")
    with pytest.raises(InputError, match="clip 'c0000' is not the same sound in one and two"):
        compare([one, RunTables("two", two.record, other, two.queries)])
    renamed = two.clips.assign(clip_id=[f"x{i}" for i in range(len(two.clips))])
    with pytest.raises(InputError, match="share no clip"):
        compare([one, RunTables("two", two.record, renamed, two.queries)], n=10)


def test_what_cannot_be_compared_is_refused() -> None:
    run = fabricated(tested=(("good", ""),), references=())
    with pytest.raises(InputError, match="one encoder only"):
        compare([run])
    with pytest.raises(InputError, match="did you mean 'good'"):
        compare([run], encoders=["goood"])
    with pytest.raises(InputError, match="share no distance"):
        compare([run], encoders=["audio", "good"])
    with pytest.raises(InputError, match="no run"):
        compare([])
    with pytest.raises(InputError, match="resamples=10"):
        compare([run], n_resamples=10)
    both = fabricated()
    with pytest.raises(InputError, match="--against gut"):
        compare([both], against="gut")


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
@settings(deadline=None)
def test_holm_by_its_definition(p: list[float]) -> None:
    adjusted = holm(p)
    order = np.argsort(p, kind="stable")
    running = 0.0
    for step, index in enumerate(order):
        running = max(running, (len(p) - step) * p[index])
        assert adjusted[index] == pytest.approx(min(running, 1))


def test_holm_leaves_out_what_is_undefined() -> None:
    assert holm([0.01, np.nan, 0.02]) == pytest.approx([0.02, np.nan, 0.02], nan_ok=True)


def test_one_measure_and_distance_alone_have_the_numbers_they_have_among_all() -> None:
    run = fabricated(n=12, tested=(("good", ""), ("poor", "")), references=())
    whole = compare([run], n_resamples=200).table
    alone = compare([run], measure="C_W", distance="cosine", n_resamples=200).table
    chosen = whole[(whole["measure"] == "C_W") & (whole["latent_distance"] == "cosine")]
    assert set(alone["measure"]) == {"C_W"}
    columns = ["level", "transformation", "difference", "ci_low", "ci_high", "p", "n"]
    pd.testing.assert_frame_equal(
        alone[columns].reset_index(drop=True), chosen[columns].reset_index(drop=True)
    )


def test_equal_seeds_give_equal_tables() -> None:
    one = compare([fabricated()], n_resamples=200).table
    two = compare([fabricated()], n_resamples=200).table
    pd.testing.assert_frame_equal(one, two)


def test_the_command(tmp_path: Path, small_run: Path) -> None:
    import json
    import shutil

    from support.commands import command, refused

    out = tmp_path / "out"
    done = command("compare", small_run, "--against", "mfcc", "--out", out, "--json")
    assert done.exit_code == 0, (done.stderr, done.exception)
    told = json.loads(done.stdout.strip().splitlines()[-1])
    assert told["n"] == 5
    assert any("5 clips are few" in note for note in told["notes"])
    table = pd.read_parquet(out / "comparison.parquet")
    assert len(table) == len(told["rows"]) == len(pd.read_csv(out / "comparison.csv"))
    assert "logmel-projection - mfcc" in done.stdout
    twin = tmp_path / "twin"
    shutil.copytree(small_run, twin)
    done = command("compare", small_run, twin, "--encoder", "mfcc", "--quiet", "--out", out)
    assert done.exit_code == 0
    assert done.stdout.split() == ["table:", str(out / "comparison.csv")]
    again = pd.read_parquet(out / "comparison.parquet")
    assert (again.loc[again["level"] == "overall", "difference"] == 0).all()
    assert "is named twice" in refused("compare", small_run, small_run)
    assert "holds no run" in refused("compare", small_run, tmp_path)


def test_doc_examples() -> None:
    assert doctest.testmod(significance).failed == 0
