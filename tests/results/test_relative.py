"""Gates of one encoder against another, of a run against an older one, and of the number of clips.

Expected values: differences of the tables' own numbers, scipy's t for intervals, hand-made tables.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import nearkin
from nearkin.errors import InputError
from nearkin.results.answers import RunTables
from nearkin.results.gate import judge
from nearkin.results.gate_reports import gate_badge, markdown
from nearkin.results.relative import Older
from nearkin.tables import CONSISTENCY
from support.commands import command, refused

POINTS = [("PN", 0.0), ("PN", 30.0), ("TS", 0.9)]
N = 60


def made(right: dict[str, np.ndarray], name: str = "run") -> tuple[RunTables, pd.DataFrame]:
    """A run of encoders that are right as given, right[place, clip], and its consistency table."""
    queries, scores = [], []
    ids = [f"c{i:03d}" for i in range(N)]
    for encoder, hits in right.items():
        for place, (code, value) in enumerate([("OG", 0.0), *POINTS]):
            hit = np.ones(N) if code == "OG" else hits[place - 1]
            where = {"encoder": encoder, "task": "", "trial": 1, "transformation": code}
            where |= {"magnitude": value, "status": "ok"}
            answers = {"error": pd.Series(1 - hit).astype("Int64"), "d_own": 0.5}
            answers |= {"rank": pd.Series(2 - hit).astype("Int64"), "effective_magnitude": value}
            space = {"space": "latent", "distance": "cosine", "clip_id": ids}
            queries.append(pd.DataFrame({**where, **space, **answers}))
            share = float(hit.mean())
            row = {"measure": "C_W", "audio_distance": "", "latent_distance": "cosine", "side": ""}
            row |= {"value": share, "ci_low": 0.0, "ci_high": 1.0, "ci_method": "clopper-pearson"}
            scores.append(where | row | {"n": N, "n_failed": 0, "chance": 1 / N})
    clips = pd.DataFrame({"clip_id": ids, "content_sha256": ids, "start_s": 1.0, "status": "ok"})
    roles = {encoder: "reference" if encoder == "mfcc" else "tested" for encoder in right}
    record: dict[str, Any] = {
        "n": N,
        "grid": {"points": [list(point) for point in POINTS]},
        "plan": {"clip_seconds": 2.0},
        "encoders": [{"name": e, "task": "", "role": role} for e, role in roles.items()],
    }
    table = pd.DataFrame(scores)[list(CONSISTENCY)]
    return RunTables(name, record, clips, pd.concat(queries, ignore_index=True)), table


def hits(*shares: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.random((len(shares), N)) < np.array(shares)[:, None]).astype(float)


MINE, MFCC = hits(0.9, 0.8, 0.7), hits(0.4, 0.5, 0.65, seed=1)


def test_an_encoder_against_another() -> None:
    tables, scores = made({"mine": MINE, "mfcc": MFCC})
    apart = MINE.mean(axis=1) - MFCC.mean(axis=1)
    (one,) = judge(["C_W[mine] >= C_W[mfcc]"], scores, tables.record, tables=tables)
    assert one.met == bool((apart >= 0).all())
    assert one.value == pytest.approx(apart.min())
    assert (one.places, one.held) == (3, int((apart >= 0).sum()))
    assert f"difference {one.value:+.4g} [" in one.sentence()
    wide = judge(["C_W[mine] >= C_W[mfcc] + 0.2"], scores, tables.record, tables=tables)
    assert wide[0].held == int((apart >= 0.2).sum()) < 3


def test_the_interval_of_a_mean_is_that_of_the_paired_clips() -> None:
    tables, scores = made({"mine": MINE, "mfcc": MFCC})
    (one,) = judge(["mean(C_W[mine]) >= mean(C_W[mfcc])"], scores, tables.record, tables=tables)
    by_clip = (MINE - MFCC).mean(axis=0)
    low, high = stats.t.interval(0.95, N - 1, by_clip.mean(), stats.sem(by_clip))
    assert one.value == pytest.approx(by_clip.mean())
    assert [one.ci_low, one.ci_high] == pytest.approx([low, high], abs=0.02)


def ranked(values: dict[str, list[float]], half: float) -> pd.DataFrame:
    """Rows of C_B_rho, each with an interval of one half width on both sides."""
    rows = []
    for encoder, found in values.items():
        for (code, magnitude), value in zip(POINTS, found, strict=True):
            row = {"encoder": encoder, "task": "", "trial": 1, "measure": "C_B_rho", "side": ""}
            row |= {"audio_distance": "dtw", "latent_distance": "cosine", "transformation": code}
            row |= {"magnitude": magnitude, "value": value, "n": N, "n_failed": 0, "chance": 0.0}
            row |= {"ci_low": value - half, "ci_high": value + half, "ci_method": "bootstrap"}
            rows.append(row | {"status": "ok"})
    return pd.DataFrame(rows)[list(CONSISTENCY)]


def test_rank_correlations_are_held_against_each_other_with_an_interval() -> None:
    """Two normal estimates' difference: the root of the sum of squares."""
    tables, _ = made({"mine": MINE, "mfcc": MFCC})
    scores = ranked({"mine": [0.6, 0.5, 0.4], "mfcc": [0.3, 0.3, 0.1]}, 0.06)
    half = 0.06 * np.sqrt(2)
    (one,) = judge(
        ["C_B_rho[mine] >= C_B_rho[mfcc]"], scores, tables.record, tables=tables, on="lower"
    )
    assert one.met
    assert [one.value, one.ci_low, one.ci_high] == pytest.approx([0.2, 0.2 - half, 0.2 + half])
    text = "mean(C_B_rho[mine]) >= mean(C_B_rho[mfcc]) + {}"
    bounds = [0.8 / 3 - half - 0.001, 0.8 / 3 - half + 0.001]
    found = judge(
        [text.format(f"{bound:.4f}") for bound in bounds],
        scores,
        tables.record,
        tables=tables,
        on="lower",
    )
    assert [outcome.met for outcome in found] == [True, False]
    unknown = scores.assign(ci_low=np.nan, ci_high=np.nan)
    (none,) = judge(
        ["C_B_rho[mine] >= C_B_rho[mfcc]"], unknown, tables.record, tables=tables, on="lower"
    )
    assert not none.met
    assert np.isnan(none.ci_low)


def test_lower_demands_proof_and_shown_gives_the_benefit_of_the_doubt() -> None:
    mine, mfcc = np.zeros((2, 3, N))
    mine[:, :40] = 1
    mfcc[:, 10:48] = 1  # 10 clips are right with mine alone, 8 with mfcc alone
    tables, scores = made({"mine": mine, "mfcc": mfcc})
    text = ["mean(C_W[mine]) >= mean(C_W[mfcc]) + 0.05"]
    verdicts = {}
    for on in ("value", "lower", "shown"):
        (verdicts[on],) = judge(text, scores, tables.record, tables=tables, on=on)  # type: ignore[arg-type]
    assert verdicts["value"].ci_low < 0.05 < verdicts["value"].ci_high
    assert [verdicts["lower"].met, verdicts["shown"].met] == [False, True]
    assert "(by the interval's lower end)" in verdicts["lower"].sentence()
    assert "(by the interval's upper end)" in verdicts["shown"].sentence()


def test_an_older_run_is_the_baseline() -> None:
    new, scores = made({"mine": MINE, "mfcc": MFCC}, "new")
    worse, low = made({"mine": hits(0.5, 0.4, 0.3, seed=3), "mfcc": MFCC}, "old")
    text = ["mean(C_W) >= baseline"]
    (up,) = judge(text, scores, new.record, tables=new, older=Older(worse, low), on="shown")
    assert (up.met, up.encoder) == (True, "mine")
    (down,) = judge(text, low, worse.record, tables=worse, older=Older(new, scores), on="shown")
    assert not down.met
    assert down.ci_high < 0
    (same,) = judge(text, scores, new.record, tables=new, older=Older(new, scores), on="value")
    assert (same.met, same.value) == (True, 0.0)
    with pytest.raises(InputError, match="pass --baseline OLD"):
        judge(text, scores, new.record, tables=new)


def two_trials(tables: RunTables, scores: pd.DataFrame) -> tuple[RunTables, pd.DataFrame]:
    """Each encoder twice, with equal answers; two trials have no interval."""
    queries = pd.concat([tables.queries, tables.queries.assign(trial=2)], ignore_index=True)
    mean = scores.assign(trial=0, ci_low=np.nan, ci_high=np.nan)
    rows = pd.concat([mean, scores, scores.assign(trial=2)], ignore_index=True)
    return RunTables(tables.name, tables.record, tables.clips, queries), rows


@pytest.mark.parametrize("text", ["mean(C_W) >= baseline", "C_W >= baseline", "C_W >= 0.95"])
def test_of_two_trials_nothing_is_shown(text: str) -> None:
    new, scores = two_trials(*made({"mine": MINE, "mfcc": MFCC}, "new"))
    old, before = two_trials(*made({"mine": hits(0.5, 0.4, 0.3, seed=3), "mfcc": MFCC}, "old"))
    found = {}
    for on in ("value", "lower", "shown"):
        (found[on],) = judge(
            [text], scores, new.record, tables=new, older=Older(old, before), on=on
        )  # type: ignore[arg-type]
    assert [found[on].met for on in found] == ["baseline" in text, False, True]
    assert np.isnan(found["shown"].ci_low)
    told = found["shown"].sentence()
    assert "(no interval: nothing is shown to be wrong)" in told
    assert ("(no interval: 2 trials are too few)" in told) == ("baseline" in text)
    worst = MINE.mean(axis=1) - (hits(0.5, 0.4, 0.3, seed=3).mean(axis=1) if "base" in text else 0)
    assert found["shown"].value == pytest.approx(worst.mean() if "mean" in text else worst.min())


def test_what_one_trial_shows_is_unmet_beside_two() -> None:
    tables, scores = made({"mine": MINE, "more": MINE})
    unknown = scores["encoder"] == "mine"
    scores.loc[unknown, ["ci_low", "ci_high"]] = np.nan
    scores.loc[~unknown, "ci_high"] = 0.9
    (one,) = judge(["C_W >= 0.95"], scores, tables.record, on="shown")
    assert (one.met, one.held, one.places, one.encoder) == (False, 3, 6, "more")
    scores.loc[unknown, "value"] = np.nan
    (one,) = judge(["C_W >= 0.95"], scores, tables.record, on="shown")
    assert (one.met, one.held, one.encoder) == (False, 0, "mine")


def test_an_encoder_that_was_renamed_is_found_where_there_is_one_only() -> None:
    new, scores = made({"v2": MINE, "mfcc": MFCC}, "new")
    old, before = made({"v1": MINE, "mfcc": MFCC}, "old")
    (one,) = judge(["C_W >= baseline"], scores, new.record, tables=new, older=Older(old, before))
    assert one.value == 0.0
    several, more = made({"v1": MINE, "w1": MINE, "mfcc": MFCC}, "old")
    with pytest.raises(InputError, match="the run has no encoder 'v2'"):
        judge(["C_W >= baseline"], scores, new.record, tables=new, older=Older(several, more))


def test_runs_of_other_clips_are_refused() -> None:
    new, scores = made({"mine": MINE})
    old, before = made({"mine": MINE}, "old")
    fewer = RunTables("old", old.record, old.clips.iloc[1:], old.queries)
    with pytest.raises(InputError, match="of different clips"):
        judge(["C_W >= baseline"], scores, new.record, tables=new, older=Older(fewer, before))


def test_what_cannot_be_held_against_each_other() -> None:
    tables, scores = made({"mine": MINE, "mfcc": MFCC})
    for text, told in {
        "C_W[mine] >= C_W[mine]": "holds an encoder against itself",
        "C_W[mine] >= C_W[mfc]": "did you mean 'mfcc'",
        "C_W[mine,cosine] >= C_W[mfcc,euclidean]": "no distance 'euclidean'",
    }.items():
        with pytest.raises(InputError, match=told):
            judge([text], scores, tables.record, tables=tables)


def test_how_many_clips() -> None:
    tables, scores = made({"mine": MINE})
    met, unmet = judge(["N >= 59", "N >= 61"], scores, tables.record)
    assert (met.met, unmet.met) == (True, False)
    assert met.sentence() == "met    N >= 59: 60 clips were compared"


def test_a_markdown_table_and_a_badge() -> None:
    tables, scores = made({"mi|ne`<b>": MINE, "mfcc": MFCC})
    outcomes = judge(["C_W >= 0.1", "C_W >= 0.99", "N >= 2"], scores, tables.record)
    text = markdown(outcomes, run="a|b")
    lines = text.splitlines()
    assert lines[0] == "### nearkin gate, a\\|b: 2 of 3 met"
    assert [line.split("|")[1].strip() for line in lines[4:]] == ["met", "**unmet**", "met"]
    unescaped = [line.replace("\\|", "").count("|") for line in lines[2:]]
    assert set(unescaped) == {5}
    assert "<b>" not in text.replace("\\<b\\>", "")
    picture = ET.fromstring(gate_badge(outcomes))
    words = [node.text for node in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert words == ["nearkin", "2 of 3 requirements met"]


def test_the_command(small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "summary.md"
    page.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    badge = tmp_path / "badge.svg"
    both = ("--require", "N >= 5", "--require", "C_W[mfcc,cosine] >= C_W[constant,cosine]")
    done = command("gate", small_run, *both, "--badge", badge)
    assert done.exit_code == 0, (done.stdout, done.stderr, done.exception)
    assert page.read_text().startswith("before\n### nearkin gate, run: 2 of 2 met\n")
    assert "2 of 2 requirements met" in badge.read_text()
    done = command("gate", small_run, "--baseline", small_run)
    assert done.exit_code == 0, (done.stdout, done.stderr, done.exception)
    assert "mean(C_W) >= baseline: mean difference +0" in done.stdout
    assert "holds no run" in refused("gate", small_run, "--baseline", tmp_path)
    assert "holds no run" in page.read_text()
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    done = command("gate", small_run, "--require", "N >= 6")
    assert done.exit_code == 1
    assert "GITHUB_STEP_SUMMARY" in done.stderr


def test_from_python(small_run: Path) -> None:
    result = nearkin.load(small_run)
    (one,) = nearkin.gate(result, "mean(C_W[mfcc,cosine]) >= mean(C_W[random,cosine])")
    table = result.consistency.query("measure == 'C_W' and latent_distance == 'cosine'")
    means = table[table["transformation"] != "OG"].groupby("encoder")["value"].mean()
    assert one.value == pytest.approx(means["mfcc"] - means["logmel-projection"])
    assert [found.met for found in nearkin.gate(small_run, baseline=result)] == [True]
