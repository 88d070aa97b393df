"""The analysis of runs: closed forms, known effects, what is left out, and bad input."""

from __future__ import annotations

import dataclasses
import doctest
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nearkin.errors import InputError
from nearkin.results import analysis, task_scores
from nearkin.results import analysis_words as effects
from nearkin.results.analysis import TABLES, Analysis, analyze
from nearkin.results.analysis_words import limits, sentences
from nearkin.results.trials import (
    FACTORS,
    Response,
    RunScores,
    join,
    join_performance,
)
from nearkin.statistics.additive import gam
from nearkin.tables import CONSISTENCY
from support.fabricated import QUALITY, TASK_MEASURES, performance

GRID = {
    "PN": [-15.0, 0.0, 12.0, 24.0, 30.0],
    "TS": [0.5, 0.8, 0.9, 1.1, 1.3],
    "MP": [8.0, 16.0, 32.0, 64.0, 128.0],
}
EFFECT = {"PN": 0.0, "TS": 0.1, "MP": -0.1}
CW = Response("C_W", "", "cosine")


def scores(
    encoders: dict[str, float],
    *,
    name: str = "run",
    tasks: dict[str, str] | None = None,
    trials: int = 1,
    grid: dict[str, list[float]] | None = None,
    noise: float = 0.02,
    seed: int = 0,
    n: int = 100,
) -> RunScores:
    """A run whose C_W and C_B are a level, an effect of the transformation, and noise."""
    rng = np.random.default_rng(seed)
    rows = []
    for encoder, level in encoders.items():
        for trial in range(1, trials + 1):
            for code, values in {"OG": [0.0], **(grid or GRID)}.items():
                for magnitude in values:
                    for measure, audio in (("C_W", ""), ("C_B_rho", "dtw"), ("C_B_acc", "dtw")):
                        for latent in ("cosine", "euclidean"):
                            value = level + EFFECT.get(code, 0) + noise * rng.standard_normal()
                            rows.append(
                                {
                                    "encoder": encoder.split("/")[0],
                                    "task": (tasks or {}).get(encoder, ""),
                                    "trial": trial,
                                    "measure": measure,
                                    "audio_distance": audio,
                                    "latent_distance": latent,
                                    "transformation": code,
                                    "magnitude": magnitude,
                                    "value": value,
                                    "n": n,
                                }
                            )
    interval = {"ci_low": 0.0, "ci_high": 1.0, "ci_method": "clopper-pearson"}
    rest = {"n_failed": 0, "chance": 0.01, "status": "ok", "side": ""}
    table = pd.DataFrame(rows).assign(**interval, **rest)
    audio = table.iloc[:5].assign(encoder="audio", audio_distance="dtw", latent_distance="")
    mean = table.iloc[:5].assign(trial=0, value=9.0)
    record = {
        "n": n,
        "encoders": [
            {
                "name": encoder.split("/")[0],
                "task": (tasks or {}).get(encoder, ""),
                "role": "tested",
            }
            for encoder in encoders
        ],
    }
    full = pd.concat([audio, mean, table], ignore_index=True)[list(CONSISTENCY)]
    return RunScores(name, record, full)


def of(table: pd.DataFrame, score: Response = CW, **where: Any) -> pd.DataFrame:
    for column, value in {**score._asdict(), **where}.items():
        table = table[table[column] == value]
    return table


TWO = {"high": 0.7, "low": 0.4}


def test_magnitudes_run_from_0_to_1_and_only_trials_are_kept() -> None:
    rows = join([scores(TWO)])
    assert set(rows["trial"]) == {1}
    assert set(rows["transformation"]) == set(GRID)
    assert "audio" not in set(rows["encoder"])
    mp = rows[rows["transformation"] == "MP"].drop_duplicates("magnitude")
    assert mp["x"].tolist() == pytest.approx([0, 0.25, 0.5, 0.75, 1])  # log2
    ts = rows[rows["transformation"] == "TS"].drop_duplicates("magnitude")
    assert ts["x"].tolist() == pytest.approx([0, 0.375, 0.5, 0.75, 1])  # both sides, one axis
    assert list(rows["encoder"].cat.categories) == ["high", "low"]


def test_own_means_are_the_plain_means_of_a_balanced_table() -> None:
    run = scores({"a": 0.7, "b": 0.4, "c": 0.5}, noise=0.05)
    found = analyze(join([run]))
    plain = run.consistency.query(
        "trial == 1 and measure == 'C_W' and latent_distance == 'cosine' and "
        "encoder != 'audio' and transformation != 'OG'"
    )
    for factor in FACTORS:
        table = of(found.tables["marginal_means"], factor=factor).set_index("level")
        truth = plain.groupby(factor)["value"].mean()
        assert table["mean"].to_dict() == pytest.approx(truth.to_dict(), abs=1e-9)
        assert table["trial_mean"].to_dict() == pytest.approx(truth.to_dict(), abs=1e-9)
        assert (table["trial_status"] == "one trial").all()
    cells = of(found.tables["marginal_means"], factor="encoder:transformation")
    assert len(cells) == 9
    truth = plain.groupby(["encoder", "transformation"])["value"].mean()
    keys = zip(cells["encoder"], cells["transformation"], strict=True)
    assert cells["mean"].to_numpy() == pytest.approx([truth[key] for key in keys], abs=1e-9)


def test_tables_are_the_models_own() -> None:
    run = scores({"a": 0.7, "b": 0.4}, noise=0.05)
    found = analyze(join([run]))
    rows = run.consistency.query(
        "trial == 1 and measure == 'C_B_acc' and latent_distance == 'euclidean' and "
        "encoder != 'audio' and transformation != 'OG'"
    ).copy()
    scaled = []
    for row in rows.itertuples():
        values = np.array(GRID[row.transformation])
        value = row.magnitude
        if row.transformation == "MP":
            values, value = np.log2(values), np.log2(value)
        scaled.append((value - values.min()) / np.ptp(values))
    model = gam(rows.assign(x=scaled), response="value", factors=FACTORS, smooth="x", k=4)
    score = Response("C_B_acc", "dtw", "euclidean")
    fit = of(found.tables["gam"], score).iloc[0]
    assert (fit["r2_adj"], fit["residual_df"]) == pytest.approx((model.r2_adj, model.residual_df))
    anova = of(found.tables["anova"], score)
    assert anova["F"].to_numpy() == pytest.approx(model.anova()["F"].to_numpy())
    assert set(found.tables) == set(TABLES)


def test_a_known_effect_lies_in_its_interval() -> None:
    """Of 12 made studies at least 9 hold a difference of 0.3 (the model's own tests: thousands)."""
    held = 0
    for seed in range(12):
        found = analyze(_only(join([scores(TWO, seed=seed, noise=0.05)])))
        row = of(found.tables["contrasts"], factor="encoder").iloc[0]
        held += row["ci_low"] <= 0.3 <= row["ci_high"]
    assert held >= 9  # a binomial of 12 and 0.95 falls below with probability 0.002


def _only(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[(rows["measure"] == "C_W") & (rows["latent_distance"] == "cosine")]


def test_without_an_effect_nothing_is_found() -> None:
    rejected = 0
    for seed in range(12):
        found = analyze(_only(join([scores({"a": 0.5, "b": 0.5}, seed=seed, noise=0.05)])))
        rejected += of(found.tables["anova"], term="encoder")["p"].item() < 0.05
    assert rejected <= 3  # a binomial of 12 and 0.05 exceeds it with probability 0.002


def test_means_at_the_mean_magnitude_say_what_cannot_be_estimated() -> None:
    one, two = scores({"a": 0.7}, name="one"), scores({"b": 0.4}, name="two")
    gone = one.consistency["transformation"] == "PN"
    rows = join([one._replace(consistency=one.consistency[~gone]), two])
    found = analyze(rows, at="mean")
    table = of(found.tables["marginal_means"], factor="encoder").set_index("level")
    assert table.loc["a", "status"] == "not estimable"
    assert np.isnan(table.loc["a", "mean"])
    assert table.loc["b", "status"] == "ok"
    assert "not estimable: a" in " ".join(sentences(found))
    own = analyze(rows)
    contrast = of(own.tables["contrasts"], factor="encoder").iloc[0]
    assert contrast["status"] == "unlike cells"
    assert "do not have the same transformations" in " ".join(sentences(own))


def test_encoders_that_share_nothing_are_not_compared_falsely() -> None:
    one = scores({"a": 0.7}, name="one", grid={"PN": GRID["PN"], "TS": GRID["TS"]})
    two = scores({"b": 0.4}, name="two", grid={"MP": GRID["MP"], "EN": GRID["PN"]})
    found = analyze(join([one, two]))
    anova = of(found.tables["anova"]).set_index("term")
    assert anova.loc["encoder", "status"] == "not estimable"
    assert "the encoder's is not estimable" in " ".join(sentences(found)).lower()
    assert any("combinations have no rows" in note for note in found.notes)


def test_trials_show_their_spread() -> None:
    found = analyze(join([scores(TWO, trials=5)]))
    table = of(found.tables["marginal_means"], factor="encoder").set_index("level")
    assert (table["trial_status"] == "ok").all()
    assert (table["trials"] == 5).all()
    rows = _only(join([scores(TWO, trials=5)]))
    by_trial = rows[rows["encoder"] == "high"].groupby("trial")["value"].mean()
    assert table.loc["high", "trial_se"] == pytest.approx(stats.sem(by_trial))
    assert found.trials == {"high": 5, "low": 5}
    assert "one trial per encoder" not in limits(found)
    encoders = found.tables["marginal_means"].query("factor == 'encoder'")
    most = (encoders["trial_se"] / encoders["se"]).max()
    assert f"to {most:.1f} times as large" in limits(found)
    assert "one trial per encoder" in limits(analyze(join([scores(TWO)])))


def test_correlations_of_the_tasks_level_and_of_distances() -> None:
    levels = {"vgg/ae": 0.2, "vgg/vs": 0.4, "vgg/ir": 0.6, "vgg/at": 0.8, "mfcc": 0.5}
    tasks = {name: name.split("/")[1] for name in levels if "/" in name}
    found = analyze(join([scores(levels, tasks=tasks, noise=0.001)]))
    table = found.tables["correlations"]
    level = table[table["kind"] == "task level"]
    assert level["measure"].unique().tolist() == ["C_B_rho", "C_B_acc"]
    assert (level["n"] == 4 * 15).all()
    values = np.array([[0.2], [0.4], [0.6], [0.8]]) + np.array([0, 0.1, -0.1])
    truth = stats.spearmanr(np.repeat([1, 2, 3, 4], 3), values.ravel())[0]
    assert level["spearman"].to_numpy() == pytest.approx(truth, abs=0.03)
    pairs = table[table["kind"] == "distances"]
    assert len(pairs) == 3
    assert pairs["pearson"].to_numpy() == pytest.approx(1, abs=0.001)
    told = " ".join(sentences(found))
    assert "tasks' level (AE < VS < IR < AT) with C_B_rho[dtw,euclidean] +0.9" in told
    assert "Agreement of C_B_acc under different distances" in told


def test_the_papers_design_has_the_papers_rows() -> None:
    """Spec: 4 tasks x 5 trials x 91 points and MFCC's 91 are 1911 rows, 4, 4 and 16 df."""
    from support.fabricated import fabricate

    tasks = tuple(("vgg", task) for task in ("ae", "vs", "ir", "at"))
    data = fabricate(tested=tasks, references=("mfcc",), trials=5, n=12, failures_each=0)
    names = ["vgg", "mfcc"]  # a reference is analysed where it is named
    run = RunScores("r", data.run, data.consistency)
    found = analyze(_only(join([run], encoders=names)))
    fit = of(found.tables["gam"]).iloc[0]
    assert fit["n"] == 1911
    assert 1700 < fit["residual_df"] < 1880  # the paper's fits leave 1772 to 1877
    assert of(found.tables["anova"])["df"].tolist() == [4, 4, 16]


def test_two_encoders_of_one_label_are_not_modelled_as_one() -> None:
    one = scores({"vgg/ae": 0.7, "other": 0.6}, tasks={"vgg/ae": "ae"})
    two = scores({"vgg-ae": 0.4, "third": 0.6}, name="two")
    with pytest.raises(InputError, match="two encoders are called 'vgg-ae'"):
        join([one, two])


def test_references_are_left_out_unless_trained_or_named() -> None:
    """`constant` and the projection made C_B_acc's F eight to 25 times as large (819 for 33)."""
    run = scores({"mine": 0.7, "vgg/at": 0.5, "constant": 0.1, "mfcc": 0.6}, tasks={"vgg/at": "at"})
    for entry in run.record["encoders"][1:]:
        entry["role"] = "reference"
    assert list(join([run])["encoder"].cat.categories) == ["mine", "vgg-at"]
    named = join([run], encoders=["mine", "mfcc"])
    assert list(named["encoder"].cat.categories) == ["mine", "mfcc"]
    alone = scores({"mine": 0.7, "mfcc": 0.6})
    alone.record["encoders"][1]["role"] = "reference"
    with pytest.raises(InputError, match=r"one encoder only \('mine'\).* name mfcc with --encoder"):
        join([alone])


def test_a_curve_has_fewer_basis_functions_than_magnitudes() -> None:
    seven = {code: np.linspace(min(v), max(v), 7).tolist() for code, v in GRID.items()}
    twenty = {code: np.linspace(min(v), max(v), 20).tolist() for code, v in GRID.items()}
    sizes = [
        analyze(_only(join([scores(TWO, grid=grid)]))).tables["gam"]["k"].item()
        for grid in (GRID, seven, twenty, {**twenty, "MP": seven["MP"]})
    ]
    assert sizes == [4, 6, 8, 6]


def test_a_fit_with_few_degrees_of_freedom_is_refused() -> None:
    """Bent curves through five magnitudes each: levels, slopes and bends take most of 20 scores."""
    from support.fabricated import fabricate

    data = fabricate(n=50, grid={k: GRID[k] for k in ("PN", "TS")}, references=())
    rows = _only(join([RunScores("r", data.run, data.consistency)]))
    with pytest.raises(InputError, match=r"20 scores leave \d residual .*run --grid paper"):
        analyze(rows)


def test_errors_over_clips_are_those_of_a_bootstrap() -> None:
    """C_W and C_B_acc: 2,000 resamples of clips, means and paired differences made anew."""
    from support.fabricated import fabricate

    grid = {"PN": np.linspace(-15, 30, 12).tolist(), "TS": np.linspace(0.5, 1.4, 12).tolist()}
    data = fabricate(n=50, grid=grid, references=())
    run = RunScores("r", data.run, data.consistency, None, data.clips, data.queries)
    found = analyze(join([run]), runs=[run])
    rng = np.random.default_rng(0)
    counts = rng.multinomial(50, np.full(50, 1 / 50), 2000) / 50
    rows = data.queries[(data.queries["transformation"] != "OG")].dropna(subset="error")
    keys = ["encoder", "transformation", "magnitude"]

    def by_clip_of(space: str, distance: str) -> pd.DataFrame:
        mine = rows[(rows["space"] == space) & (rows["distance"] == distance)]
        return mine.pivot(index=keys, columns="clip_id", values="error").astype(float)

    wrong = by_clip_of("latent", "cosine")
    heard = by_clip_of("audio", "dtw").droplevel("encoder")
    for measure, audio in (("C_W", ""), ("C_B_acc", "dtw")):
        score = Response(measure, audio, "cosine")
        value = {}
        for encoder in ("good", "poor"):
            mine = wrong.loc[encoder]
            by_clip = 1 - mine if not audio else (mine == heard.loc[mine.index]).astype(float)
            value[encoder] = counts @ by_clip.groupby("transformation").mean().mean().to_numpy()
        means = of(found.tables["marginal_means"], score, factor="encoder").set_index("level")
        assert (means["clip_kind"] == "clips").all()
        for encoder, replicated in value.items():
            assert means.loc[encoder, "clip_se"] == pytest.approx(replicated.std(), rel=0.08)
        gap = of(found.tables["contrasts"], score, factor="encoder").iloc[0]
        assert gap["clip_se"] == pytest.approx((value["good"] - value["poor"]).std(), rel=0.08)
        t = gap["difference"] / gap["clip_se"]
        assert gap["clip_p"] == pytest.approx(2 * stats.t.sf(abs(t), 49), rel=1e-6, abs=1e-12)


def test_errors_that_tables_do_not_hold_are_bounds() -> None:
    """Intervals of width .4 at every score: a mean of them moves by .4 / 3.92 at the most."""
    run = scores({"a": 0.7, "b": 0.4})
    run.consistency["ci_low"] = run.consistency["value"] - 0.2
    run.consistency["ci_high"] = run.consistency["value"] + 0.2
    found = analyze(join([run]), runs=[run])
    means = of(found.tables["marginal_means"])
    assert (means["clip_kind"] == "bound").all()
    assert means["clip_se"].to_numpy() == pytest.approx(0.4 / 3.92, rel=1e-3)
    gap = of(found.tables["contrasts"], factor="encoder").iloc[0]
    assert gap["clip_se"] == pytest.approx(np.sqrt(2) * 0.4 / 3.92, rel=1e-3)


def test_words_follow_the_larger_error_and_never_say_all_from_one_trial() -> None:
    run = scores({"a": 0.7, "b": 0.4, "c": 0.1})
    run.consistency["ci_low"], run.consistency["ci_high"] = run.consistency["value"], 0.0
    for width, apart in ((0.0001, 3), (0.6, 1)):  # .6 / 3.92 * sqrt(2) = .22: .6 is told, .3 not
        run.consistency["ci_high"] = run.consistency["ci_low"] + width
        told = " ".join(sentences(analyze(join([run]), runs=[run])))
        assert f"{apart} of 3 pairs of encoders are told apart at 5 %" in told
        assert "one trial each: these very models" in told
        assert "all pairs" not in told.lower()
    assert "(2 more by the model's error alone)" in told
    assert "± 0.153" in told


# -- what is left out, and what is refused -------------------------------------------------------


def test_undefined_and_constant_scores_are_left_out_with_a_count() -> None:
    run = scores({"a": 0.7, "b": 0.4, "constant": 0.0})
    table = run.consistency
    mine = table["encoder"] == "constant"
    table.loc[mine & (table["measure"] == "C_B_rho"), "value"] = np.nan
    table.loc[mine & (table["measure"] == "C_W"), "value"] = 0.0
    found = analyze(join([run]))
    told = " ".join(found.notes)
    assert "15 undefined scores of constant are left out" in told
    assert "constant left out: its 15 scores are all 0" in told
    counts = found.tables["gam"].groupby("measure")["n"].first()
    assert counts.to_dict() == {"C_B_acc": 45, "C_B_rho": 30, "C_W": 30}


def test_a_cell_with_two_points_is_left_out_and_named() -> None:
    run = scores({"a": 0.7, "b": 0.4})
    table = run.consistency
    gone = (
        (table["encoder"] == "a") & (table["transformation"] == "TS") & (table["magnitude"] > 0.8)
    )
    table.loc[gone, "value"] = np.nan
    found = analyze(join([run]))
    assert any("a under TS left out: 2 magnitudes, a curve needs 5" in note for note in found.notes)
    short = scores(TWO, grid={**GRID, "PS": [-2.0, -1.0, 1.0, 2.0]})
    assert any("PS left out: fewer than 5" in note for note in analyze(join([short])).notes)


@pytest.mark.parametrize(
    ("run", "told"),
    [
        (scores({"a": 0.5}), r"one encoder only \('a'\)"),
        (
            scores(TWO, grid={"PN": [0.0], "TS": [0.9]}),
            "no transformation has 5 magnitudes.*--grid paper",
        ),
        (scores(TWO, grid={"PN": GRID["PN"]}), "only PN is there"),
        (scores({"a": 0.5, "b": 0.5}, noise=0), "only|no encoder has scores"),
    ],
)
def test_bad_input_gets_one_sentence(run: RunScores, told: str) -> None:
    if told.startswith("only|"):
        run.consistency["value"] = 0.5
    with pytest.raises(InputError, match=told):
        analyze(join([run]))


def test_scores_met_exactly_are_refused() -> None:
    """Straight lines in every cell, met to round-off: F would be 1e20."""
    rows = join([scores(TWO, noise=0)])
    rows["value"] += 0.1 * rows["x"] + 1e-9 * np.random.default_rng(0).standard_normal(len(rows))
    with pytest.raises(InputError, match="meets its 30 scores all but exactly"):
        analyze(_only(rows))


def test_runs_that_do_not_fit_are_refused() -> None:
    run = scores(TWO)
    with pytest.raises(InputError, match=r"different numbers of clips \(run: 100, two: 50\)"):
        join([run, scores(TWO, name="two", n=50)])
    with pytest.raises(InputError, match="'high' trial 1 has different scores in run and two"):
        join([run, scores(TWO, name="two", seed=1)])
    assert len(join([run, run._replace(name="same")])) == len(join([run]))
    with pytest.raises(InputError, match="did you mean 'high'"):
        join([run], encoders=["hihg"])
    with pytest.raises(InputError, match="no run"):
        join([])
    with pytest.raises(InputError, match="--at men"):
        analyze(join([run]), at="men")  # type: ignore[arg-type]
    run.consistency["value"] = np.nan
    with pytest.raises(InputError, match="no encoder has scores that can be modelled"):
        analyze(join([run]))


# -- the command, the figures, the report --------------------------------------------------------


def test_the_command_and_the_report(tmp_path: Path, small_run: Path) -> None:
    from support.commands import command, refused

    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    assert command("report", run).exit_code == 0
    before = (run / "report.html").read_bytes()
    done = command("analyze", run, "--json")
    assert done.exit_code == 0, (done.stderr, done.exception)
    told = json.loads(done.stdout.strip().splitlines()[-1])
    assert told["gam"]
    assert set(TABLES) <= {path.stem for path in (run / "analysis").iterdir()}
    assert (run / "figures" / "figure_8.svg").is_file()
    assert command("report", run).exit_code == 0
    page = (run / "report.html").read_text("utf-8")
    assert 'id="effects"' in page
    assert "figure-11" in page
    assert "one trial per encoder" in page
    shutil.rmtree(run / "analysis")
    assert command("report", run).exit_code == 0
    assert (run / "report.html").read_bytes() == before
    twin = tmp_path / "twin"
    shutil.copytree(small_run, twin)
    assert "pass --out" in refused("analyze", run, twin)
    out = tmp_path / "both"
    assert command("analyze", run, twin, "--out", out, "--quiet").exit_code == 0
    assert (out / "anova.csv").is_file()
    assert "one encoder only" in refused("analyze", run, "--encoder", "mfcc")
    assert "holds no run" in refused("analyze", tmp_path)
    (run / "analysis").mkdir()
    (run / "analysis" / "summary.txt").write_text("x")
    assert "give nearkin analyze" in refused("report", run)


def test_names_from_outside_are_escaped_on_the_page() -> None:
    from nearkin.report.page import build
    from support.fabricated import fabricate

    name = "<script>alert(1)</script>"
    data = fabricate(grid=GRID, tested=((name, ""),), references=("mfcc",), n=20, failures_each=0)
    rows = join([RunScores("r", data.run, data.consistency)], encoders=[name, "mfcc"])
    found = analyze(rows)
    page = build(dataclasses.replace(data, analysis=found.tables, words=sentences(found)))
    assert 'id="effects"' in page
    assert name not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; 0." in page


def test_doc_examples() -> None:
    for module in (analysis, effects, task_scores):
        assert doctest.testmod(module).failed == 0


def test_tables_are_read_back_as_they_were(tmp_path: Path) -> None:
    from nearkin.runs.folder import RunFolder

    found = analyze(join([scores({"1": 0.7, "NA": 0.4})]))
    folder = RunFolder(tmp_path / "analysis")
    for name, table in found.tables.items():
        folder.write_csv(name, table)
    (tmp_path / "analysis" / "summary.txt").write_text("words\n")
    again = RunFolder(tmp_path).read_analysis()
    for name, table in found.tables.items():
        assert list(again[name].columns) == list(table.columns)
    means = of(again["marginal_means"], factor="encoder")
    assert means["level"].tolist() == ["1", "NA"]
    assert means["mean"].to_numpy() == pytest.approx(
        of(found.tables["marginal_means"], factor="encoder")["mean"].to_numpy()
    )


def test_figures_show_every_mean() -> None:
    from nearkin.report.figures import figure_8, figure_11

    run = scores({"a": 0.7, "b": 0.4})
    means = analyze(join([run])).tables["marginal_means"]
    for draw, measure, rows in ((figure_8, "C_W", 2), (figure_11, "C_B_acc", 4)):
        chart = draw(means, consistency=run.consistency, run=run.record)
        spec = chart.to_dict(validate=True)
        assert len(spec["vconcat"]) == rows
        left, right = spec["vconcat"][0]["concat"]
        score = Response(measure, "" if measure == "C_W" else "dtw", "euclidean")
        shown = {one["series"]: one["value"] for one in left["data"]["values"]}
        truth = of(means, score, factor="encoder").set_index("level")["mean"]
        assert shown == pytest.approx(truth.to_dict(), abs=1e-6)
        assert len(right["data"]["values"]) == 6


# -- task performance ----------------------------------------------------------------------------

PERFORMANCE = Response("performance", "", "")
SHORT = {
    "PN": [-15.0, 0.0, 6.0, 12.0, 18.0, 30.0],
    "TS": [0.5, 0.7, 0.8, 0.9, 1.1, 1.3],
    "MP": [8.0, 16.0, 32.0, 64.0, 128.0, 192.0],
}


def performing(table: pd.DataFrame, **kwargs: Any) -> RunScores:
    """A run with one measure of consistency and the task scores given."""
    run = scores({"vgg": 0.7, "mfcc": 0.4}, **kwargs)
    rows = run.consistency
    only = (rows["measure"] == "C_W") & (rows["latent_distance"] == "cosine")
    return run._replace(consistency=rows[only], performance=table)


def analysed(run: RunScores, **kwargs: Any) -> Analysis:
    return analyze(join([run]), join_performance([run]), **kwargs)


@pytest.fixture(scope="module")
def papers_design() -> tuple[pd.DataFrame, Analysis]:
    table = performance()
    return table, analysed(performing(table))


def changed(table: pd.DataFrame) -> pd.DataFrame:
    """Single trials of changed clips, standardised by hand: MSE turned, n - 1."""
    rows = table[(table["trial"] > 0) & (table["transformation"] != "OG")].copy()
    rows["value"] *= np.where(rows["measure"] == "MSE", -1, 1)
    for task in rows["task"].unique():
        mine = rows["task"] == task
        rows.loc[mine, "value"] = stats.zscore(rows.loc[mine, "value"], ddof=1)
    return rows


def test_performance_has_the_papers_rows_and_degrees_of_freedom(
    papers_design: tuple[pd.DataFrame, Analysis],
) -> None:
    """Two encoders x 4 tasks x 5 trials x 91 points; the paper reports F(1 | 12 | 3, 3522)."""
    _, found = papers_design
    fit = of(found.tables["gam"], PERFORMANCE).iloc[0]
    assert fit["n"] == 3640
    assert fit["residual_df"] == pytest.approx(3522, abs=60)
    anova = of(found.tables["anova"], PERFORMANCE)
    assert dict(zip(anova["term"], anova["df"], strict=True)) == {
        "encoder": 1,
        "task": 3,
        "transformation": 4,
        "encoder:task": 3,
        "encoder:transformation": 4,
        "task:transformation": 12,
    }


def test_performance_means_are_those_of_scores_standardised_by_hand(
    papers_design: tuple[pd.DataFrame, Analysis],
) -> None:
    """Over own magnitudes, a mean is that of the cells' plain means: the design is balanced."""
    table, found = papers_design
    keys = ["encoder", "task", "transformation"]
    cells = changed(table).groupby(keys)["value"].mean()
    means = of(found.tables["marginal_means"], PERFORMANCE)
    assert set(means["factor"]) == {*keys, *of(found.tables["anova"], PERFORMANCE)["term"]}
    # The curves, centred over the table and not within cells, leave less than a hundredth.
    both = means[means["factor"] == "encoder:task"].set_index(["encoder", "task"])
    truth = cells.groupby(["encoder", "task"]).mean()
    assert both["mean"].to_dict() == pytest.approx(truth.to_dict(), abs=0.002)
    assert list(dict.fromkeys(both.index.get_level_values("task"))) == ["ae", "vs", "ir", "at"]
    encoders = means[means["factor"] == "encoder"].set_index("level")
    assert (encoders["trials"] == 20).all()
    assert (encoders["trial_status"] == "ok").all()


def test_known_effects_on_performance_lie_in_their_intervals(
    papers_design: tuple[pd.DataFrame, Analysis],
) -> None:
    table, found = papers_design
    rows = table[(table["trial"] > 0) & (table["transformation"] != "OG")]
    spread = {
        task: part["value"].std() / abs(TASK_MEASURES[str(task)][2])
        for task, part in rows.groupby("task")
    }
    known = np.mean([QUALITY["vgg"][task] / spread[task] for task in spread])
    row = of(found.tables["contrasts"], PERFORMANCE, factor="encoder").iloc[0]
    assert (row["level_a"], row["level_b"]) == ("vgg", "mfcc")
    assert row["ci_low"] <= known <= row["ci_high"]
    means = of(found.tables["marginal_means"], PERFORMANCE, factor="encoder:task")
    means = means.set_index(["encoder", "task"])
    for task in spread:  # MSE's sign: the better encoder is the better one in ae too
        apart = means.loc[("vgg", task), "mean"] - means.loc[("mfcc", task), "mean"]
        reach = 3 * np.hypot(means.loc[("vgg", task), "se"], means.loc[("mfcc", task), "se"])
        assert apart == pytest.approx(QUALITY["vgg"][task] / spread[task], abs=reach)
    told = " ".join(sentences(found))
    assert "in task performance the encoder's" in told
    assert "Task performance (standardised within each task): the model explains" in told
    assert "Task performance alone has several. Between trials of one encoder" in told
    assert "furthest apart in ae" in told
    assert "closest in vs" in told


def test_figure_5_shows_every_mean(papers_design: tuple[pd.DataFrame, Analysis]) -> None:
    from nearkin.report.figures import figure_5, figure_8

    _, found = papers_design
    run = performing(performance(trials=1, grid=SHORT))
    means = found.tables["marginal_means"]
    (row,) = figure_5(means, consistency=run.consistency, run=run.record).to_dict()["vconcat"]
    left, right = row["concat"]
    assert [one["series"] for one in left["data"]["values"]] == ["vgg", "mfcc"]
    shown = {(one["series"], one["row"]): one["value"] for one in right["data"]["values"]}
    truth = of(means, PERFORMANCE, factor="encoder:task").set_index(["encoder", "task"])["mean"]
    assert shown == pytest.approx(truth.to_dict(), abs=1e-6)
    low, high = left["layer"][0]["encoding"]["x"]["scale"]["domain"]
    assert low < min(shown.values()) < max(shown.values()) < high
    assert (
        len(figure_8(means, consistency=run.consistency, run=run.record).to_dict()["vconcat"]) == 1
    )
    drawn = figure_5(means[means["measure"] == "C_W"], consistency=run.consistency, run=run.record)
    assert drawn.to_dict(validate=False)["vconcat"] == []


def truth_spread(table: pd.DataFrame) -> pd.Series:
    changed_rows = table[(table["trial"] >= 1) & (table["transformation"] != "OG")]
    return changed_rows.groupby("task")["value"].std()


def test_standardisation_is_the_closed_form() -> None:
    table = performance(grid=SHORT, trials=2)
    rows = join_performance([performing(table)])
    assert rows is not None
    assert len(rows) == 2 * 4 * 2 * 18
    found = task_scores.standardised(rows)
    truth = changed(table)
    assert found["value"].to_numpy() == pytest.approx(truth["value"].to_numpy(), abs=1e-12)
    assert found.groupby("task", observed=True)["value"].std().to_numpy() == pytest.approx(1)
    spread = truth_spread(table)
    width = (found["ci_high"] - found["ci_low"]).to_numpy()
    expected = 0.02 / rows["task"].map(spread).astype(float).to_numpy()
    assert width == pytest.approx(expected)  # made .02 wide; MSE's sign turned, still positive
    equal = task_scores.standardised(rows.assign(value=0.5))
    assert equal["value"].isna().all()


def test_consistency_is_analysed_as_without_performance() -> None:
    run = performing(performance(grid=SHORT, trials=2, tasks=("vs", "at")))
    alone, both = analyze(join([run])), analysed(run)
    for name, table in alone.tables.items():
        beside = both.tables[name]
        beside = beside[beside["measure"] != "performance"][list(table.columns)]
        pd.testing.assert_frame_equal(table, beside.reset_index(drop=True), check_dtype=False)
    assert join_performance([run._replace(performance=None)]) is None
    assert "task" not in alone.tables["marginal_means"]


def test_one_task_is_a_smaller_model_and_says_so() -> None:
    found = analysed(performing(performance(tasks=("at",), grid=SHORT, trials=2)))
    assert of(found.tables["anova"], PERFORMANCE)["df"].tolist() == [1, 2, 2]
    assert any("performance: one task only (at): the model holds" in note for note in found.notes)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda t: t[t["encoder"] == "vgg"], r"one encoder only \('vgg'\) has task scores"),
        (lambda t: t[t["trial"] > 9], "no encoder has task scores"),
        (lambda t: t.assign(value=0.5), "no encoder has scores that can be modelled"),
        (lambda t: t.assign(value=np.nan), "no encoder has scores that can be modelled"),
    ],
)
def test_performance_that_cannot_be_modelled_is_told(spoil: Any, told: str) -> None:
    found = analysed(performing(spoil(performance(grid=SHORT, trials=1))))
    assert any(re.match(f"not analysed: performance: {told}", note) for note in found.notes)
    assert set(found.tables["gam"]["measure"]) == {"C_W"}


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda t: t.drop(columns="task"), "performance.parquet has no column task"),
        (lambda t: t.assign(measure="SDRR"), "unknown task measure 'SDRR': did you mean 'SDR'"),
        (lambda t: t.assign(task=""), "names no task"),
        (lambda t: t.assign(task="at"), "task 'at' is measured in AUC_C and MSE"),
        (lambda t: t.assign(value="x"), "'value' holds .*must be numbers"),
    ],
)
def test_bad_task_scores_get_one_sentence(spoil: Any, told: str) -> None:
    table = spoil(performance(grid=SHORT, trials=1))
    with pytest.raises(InputError, match=told):
        join_performance([performing(table)])


def test_undefined_and_constant_task_scores_are_left_out_and_named() -> None:
    table = performance(grid=SHORT, trials=1, tasks=("vs", "ir"))
    mfcc = table["encoder"] == "mfcc"
    table.loc[mfcc & (table["task"] == "vs"), "value"] = 2.0
    table.loc[mfcc & (table["task"] == "ir") & (table["magnitude"] == -15), "value"] = np.inf
    told = " ".join(analysed(performing(table)).notes)
    assert "mfcc-vs left out: its 18 scores are all 2" in told
    assert "1 undefined scores of mfcc-ir are left out" in told


def test_encoders_of_task_scores_are_chosen_as_the_others() -> None:
    run = performing(performance(grid=SHORT, trials=1))
    for names, kept in ((["mfcc"], {"mfcc"}), (["vgg", "mfcc"], {"vgg", "mfcc"})):
        rows = join_performance([run], encoders=names)
        assert rows is not None
        assert set(rows["encoder"]) == kept
    rows = join_performance([run], encoders=["vgg-at"])
    assert rows is not None
    assert set(zip(rows["encoder"], rows["task"], strict=True)) == {("vgg", "at")}
    twin = run._replace(name="twin", performance=performance(grid=SHORT, trials=1, seed=1))
    with pytest.raises(InputError, match="trial 1 has different scores in run and twin"):
        join_performance([run, twin])


def test_the_command_and_the_report_with_performance(tmp_path: Path, small_run: Path) -> None:
    from support.commands import command, refused

    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    table = performance(grid=SHORT, trials=2, tasks=("vs", "at"))
    table.replace({"encoder": {"vgg": "random"}}).to_parquet(run / "performance.parquet")
    done = command("analyze", run)
    assert done.exit_code == 0, (done.stderr, done.exception)
    assert "figures 5, 8 and 11" in done.stdout + done.stderr
    assert "performance,,," in (run / "analysis" / "gam.csv").read_text()
    assert (run / "figures" / "figure_5.svg").is_file()
    assert command("report", run).exit_code == 0
    assert 'id="figure-5"' in (run / "report.html").read_text("utf-8")
    (run / "performance.parquet").write_text("x")
    assert "performance.parquet: cannot be read" in refused("analyze", run)
