"""Marginal means and contrasts against R's emmeans, trial means against scipy's t tests.

R's numbers and how they were made: truth/gam/README.md.
"""

from __future__ import annotations

import doctest

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from nearkin.errors import InputError
from nearkin.statistics import marginal, trials
from nearkin.statistics.additive import gam
from nearkin.statistics.trials import trial_means
from support.scores import GRID, curve, factors_of, model, reference, study, table

CASES = ["single", "pair", "full", "corner", "holes", "pair-select"]


def reference_means(case, factor, at):
    rows = reference("means")
    rows = rows[(rows["model"] == case) & (rows["factor"] == factor) & (rows["at"] == at)]
    assert len(rows)
    return rows.set_index("level")


@pytest.mark.parametrize("at", ["own", "mean"])
@pytest.mark.parametrize("case", CASES)
def test_marginal_means_are_emmeans(case, at):
    for factor in factors_of(case):
        found = model(case).marginal_means(factor, at=at).set_index("level")
        expected = reference_means(case, factor, at).loc[found.index]
        np.testing.assert_allclose(found["mean"], expected["mean"], rtol=1e-5)
        np.testing.assert_allclose(found["se"], expected["se"], rtol=1e-3)
        missing = expected["mean"].isna()
        assert (missing == (found["status"] == "not estimable")).all()
        assert (missing | (found["status"] == "ok")).all()
        if at == "mean":
            np.testing.assert_allclose(found["ci_low"], expected["ci_low"], rtol=1e-4)
            np.testing.assert_allclose(found["ci_high"], expected["ci_high"], rtol=1e-4)


@pytest.mark.parametrize("case", ["single", "pair", "full"])
def test_where_r_reached_the_optimum_standard_errors_agree_closely(case):
    for factor in factors_of(case):
        found = model(case).marginal_means(factor, at="mean").set_index("level")
        expected = reference_means(case, factor, "mean").loc[found.index]
        np.testing.assert_allclose(found["se"], expected["se"], rtol=1e-5)


@pytest.mark.parametrize("case", ["full", "holes"])
def test_thin_plate_splines_give_nearly_the_same_means(case):
    for factor in factors_of(case):
        for at, error in (("own", 1e-9), ("mean", 2e-3)):
            found = model(case).marginal_means(factor, at=at).set_index("level")
            expected = reference_means(f"{case}-tp", factor, at).loc[found.index]
            np.testing.assert_allclose(found["mean"], expected["mean"], atol=error)
            assert (found["mean"].isna() == expected["mean"].isna()).all()


@pytest.mark.parametrize("case", ["pair", "full", "corner", "holes"])
def test_means_of_two_factors_are_emmeans(case):
    factors = factors_of(case)[:2]
    found = model(case).marginal_means(factors, at="mean").set_index("level")
    expected = reference_means(case, ":".join(factors), "mean").loc[found.index]
    np.testing.assert_allclose(found["mean"], expected["mean"], rtol=1e-5)
    np.testing.assert_allclose(found["se"], expected["se"], rtol=1e-3)
    assert list(found.columns[:2]) == factors
    assert (found.index == found[factors[0]] + ", " + found[factors[1]]).all()


@pytest.mark.parametrize("case", CASES)
def test_contrasts_are_emmeans(case):
    for factor in factors_of(case):
        found = model(case).contrasts(factor, at="mean")
        found.index = pd.Index(found["level_a"] + " - " + found["level_b"])
        rows = reference("contrasts")
        expected = rows[(rows["model"] == case) & (rows["factor"] == factor)].set_index("contrast")
        expected = expected.loc[found.index]
        missing = expected["difference"].isna()
        assert (missing == (found["status"] == "not estimable")).all()
        for name in ("difference", "ci_low", "ci_high"):
            np.testing.assert_allclose(found[name], expected[name], atol=3e-6)
        np.testing.assert_allclose(found["se"], expected["se"], rtol=1e-3)
        # R's ptukey has no digits left below 1e-9.
        np.testing.assert_allclose(found["p"], expected["p"], rtol=2e-3, atol=1e-9)


def test_two_levels_need_no_adjustment_and_none_can_be_asked():
    fit = model("full")
    two = fit.contrasts("encoder")
    p = 2 * scipy.stats.t.sf(abs(two["t"][0]), fit.residual_df)
    assert two["p"][0] == pytest.approx(p, rel=1e-12)
    raw, tukey = fit.contrasts("task", adjust="none"), fit.contrasts("task")
    np.testing.assert_array_equal(raw["difference"], tukey["difference"])
    assert (raw["p"] <= tukey["p"]).all()
    assert (tukey["p"] <= 3 * raw["p"]).all()
    reach = scipy.stats.t.ppf(0.975, fit.residual_df) * raw["se"]
    np.testing.assert_allclose(raw["ci_high"] - raw["difference"], reach)


def test_contrasts_of_one_balanced_factor_are_tukeys():
    rows = study({"encoder": [*"abcd"]}, trials=2, grid={"PN": GRID["PN"]})
    effect = rows["encoder"].map({"a": 0.0, "b": 0.1, "c": 0.25, "d": 0.26})
    rows["y"] = effect + np.random.default_rng(9).normal(0, 0.3, len(rows))
    found = gam(rows, response="y", factors="encoder", smooth=None).contrasts("encoder")
    expected = scipy.stats.tukey_hsd(*(part["y"] for _, part in rows.groupby("encoder")))
    interval = expected.confidence_interval(0.95)
    a, b = np.triu_indices(4, k=1)
    np.testing.assert_allclose(found["difference"], expected.statistic[a, b])
    np.testing.assert_allclose(found["p"], expected.pvalue[a, b], rtol=1e-6)
    np.testing.assert_allclose(found["ci_low"], interval.low[a, b], rtol=1e-6)
    np.testing.assert_allclose(found["ci_high"], interval.high[a, b], rtol=1e-6)


def test_means_over_own_magnitudes_of_a_balanced_table_are_plain_averages():
    rows = table("full")
    for factor in factors_of("full"):
        cells = rows.groupby(factors_of("full"))["y"].mean()
        found = model("full").marginal_means(factor).set_index("level")["mean"]
        np.testing.assert_allclose(found, cells.groupby(factor).mean(), rtol=1e-9)


def test_missing_cells_are_counted_and_unlike_levels_marked():
    means = model("holes").marginal_means("task").set_index("level")
    assert means["cells"].to_dict() == {"AT": 10, "IR": 5, "VS": 10}
    assert means["cells_absent"].to_dict() == {"AT": 0, "IR": 5, "VS": 0}
    contrasts = model("holes").contrasts("task")
    assert contrasts["status"].tolist() == ["unlike cells", "ok", "unlike cells"]
    pairs = model("holes").marginal_means(["task", "encoder"]).set_index("level")
    assert pairs.loc["IR, DEN", "status"] == "not estimable"
    assert np.isnan(pairs.loc["IR, DEN", "mean"])
    assert (pairs.drop(index="IR, DEN")["status"] == "ok").all()


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_estimable_means_in_the_span_of_the_rows(seed):
    # The definition: L is estimable when it is a combination of the model matrix's rows; its
    # estimate is then the same for every solution of the normal equations (Searle 1971).
    rng = np.random.default_rng(seed)
    cells = pd.MultiIndex.from_product([[*"pqr"], [*"stuv"], [*"wx"]], names=[*"abc"])
    cells = cells[rng.random(len(cells)) > 0.5]
    rows = cells.repeat(3).to_frame(index=False)
    if len(cells) == 0 or min(rows[name].nunique() for name in "abc") < 2 or len(cells) < 5:
        return
    rows["y"] = rng.normal(size=len(rows))
    fit = gam(rows, response="y", factors=[*"abc"], smooth=None)
    shape = [len(levels) for levels in fit.design.levels.values()]
    grid = np.indices(shape).reshape(3, -1).T
    X, every = fit.design.rows(fit.design.cells, None), fit.design.rows(grid, None)
    y = rows.groupby([*"abc"])["y"].mean().to_numpy()
    b = np.linalg.lstsq(X, y, rcond=1e-10)[0]
    b += np.linalg.svd(X)[2].T[:, np.linalg.matrix_rank(X) :].sum(axis=1)  # another solution
    for f, name in enumerate("abc"):
        found = fit.marginal_means(name, at="mean")
        for code in range(shape[f]):
            L = every[grid[:, f] == code].mean(axis=0)
            inside = np.linalg.matrix_rank(np.vstack([X, L])) == np.linalg.matrix_rank(X)
            assert (found["status"][code] == "ok") == inside
            if inside:
                assert found["mean"][code] == pytest.approx(L @ b, abs=1e-8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.marginal_means("encodr"), "unknown factor 'encodr': did you mean 'encoder'"),
        (lambda m: m.marginal_means([]), "must name factors, each once"),
        (lambda m: m.marginal_means(["encoder", "encoder"]), "must name factors, each once"),
        (lambda m: m.marginal_means("encoder", at="men"), "at='men': did you mean 'mean'"),
        (lambda m: m.contrasts("encoder", adjust="tuky"), "adjust='tuky': did you mean 'tukey'"),
    ],
)
def test_bad_input_is_one_sentence(call, message):
    with pytest.raises(InputError, match=message):
        call(model("pair"))


TRIALS = {
    "response": "score",
    "factors": ["encoder", "transformation"],
    "smooth": "mag",
    "trial_of": "encoder",
}


def trials_study(rng, *, encoders="ab", trials=5, spread=0.2):
    """Scores in which every trial of an encoder has a level of its own."""
    rows = study({"encoder": [*encoders]}, trials=trials, grid={"PN": GRID["PN"], "MP": GRID["MP"]})
    level = rng.normal(0, spread, (len(encoders), trials))
    encoder = rows["encoder"].map({name: i for i, name in enumerate(encoders)})
    own = level[encoder, rows["trial"] - 1]
    return rows.assign(score=curve(rows) + own + rng.normal(0, 0.05, len(rows)))


def test_an_encoders_interval_is_the_t_interval_of_its_trials():
    rows = trials_study(np.random.default_rng(1))
    found = trial_means(rows, "encoder", **TRIALS).set_index("level")
    for encoder in "ab":
        own = rows[rows["encoder"] == encoder]
        values = own.groupby(["trial", "transformation"])["score"].mean().groupby("trial").mean()
        low, high = scipy.stats.t.interval(
            0.95, len(values) - 1, values.mean(), scipy.stats.sem(values)
        )
        row = found.loc[encoder]
        assert row["mean"] == pytest.approx(values.mean())
        assert row["se"] == pytest.approx(scipy.stats.sem(values))
        assert (row["ci_low"], row["ci_high"]) == (pytest.approx(low), pytest.approx(high))
        assert (row["trials"], row["status"]) == (5, "ok")


def test_a_transformations_interval_is_welchs_over_encoders():
    # The mean of two encoders varies like half their difference: Welch's test has both its
    # standard error and Satterthwaite's degrees of freedom.
    rows = trials_study(np.random.default_rng(2))
    rows = rows[(rows["encoder"] == "a") | (rows["trial"] <= 3)]
    found = trial_means(rows, "transformation", **TRIALS).set_index("level").loc["PN"]
    values = rows[rows["transformation"] == "PN"].groupby(["encoder", "trial"])["score"].mean()
    welch = scipy.stats.ttest_ind(values["a"], values["b"], equal_var=False)
    interval = welch.confidence_interval(0.95)
    assert found["mean"] == pytest.approx((values["a"].mean() + values["b"].mean()) / 2)
    width = (interval.high - interval.low) / 2
    assert found["ci_high"] - found["ci_low"] == pytest.approx(width)
    assert found["trials"] == 8


def test_balanced_trial_means_are_the_models_own():
    rows = trials_study(np.random.default_rng(3))
    fit = gam(rows, response="score", factors=["encoder", "transformation"], smooth="mag")
    for factor in ("encoder", "transformation"):
        found = trial_means(rows, factor, **TRIALS)
        np.testing.assert_allclose(found["mean"], fit.marginal_means(factor)["mean"], rtol=1e-9)


def test_one_trial_has_no_standard_error():
    rows = trials_study(np.random.default_rng(4))
    rows = rows[(rows["encoder"] == "b") | (rows["trial"] == 1)]
    found = trial_means(rows, "encoder", **TRIALS).set_index("level")
    assert found["status"].to_dict() == {"a": "one trial", "b": "ok"}
    assert found.loc["a", ["se", "ci_low", "ci_high"]].isna().all()
    assert np.isfinite(found.loc["a", "mean"])
    pooled = trial_means(rows, "transformation", **TRIALS)
    assert set(pooled["status"]) == {"1 of 2 models have one trial"}
    of_b = rows[(rows["encoder"] == "b") & (rows["transformation"] == "MP")]
    spread = scipy.stats.sem(of_b.groupby("trial")["score"].mean())
    assert pooled.set_index("level").loc["MP", "se"] == pytest.approx(spread / 2)


def test_an_incomplete_trial_is_left_out():
    rows = trials_study(np.random.default_rng(5))
    broken = rows.copy()
    first = (broken["encoder"] == "a") & (broken["trial"] == 2) & (broken["transformation"] == "PN")
    broken.loc[broken.index[first][:1], "score"] = np.nan
    found = trial_means(broken, "encoder", **TRIALS).set_index("level")
    whole = rows[~((rows["encoder"] == "a") & (rows["trial"] == 2))]
    expected = trial_means(whole, "encoder", **TRIALS).set_index("level")
    pd.testing.assert_frame_equal(found, expected)
    assert found.loc["a", "trials"] == 4
    half = rows[
        (rows["encoder"] == "b") | ((rows["transformation"] == "PN") == (rows["trial"] % 2 == 0))
    ]
    assert trial_means(half, "encoder", **TRIALS)["status"][0] == "no complete trial"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trial": "trail"}, "unknown column 'trail': did you mean 'trial'"),
        ({"trial_of": "encodr"}, "unknown factor 'encodr': did you mean 'encoder'"),
        ({"response": "scor"}, "unknown column 'scor': did you mean 'score'"),
    ],
)
def test_bad_trials_are_one_sentence(change, message):
    rows = trials_study(np.random.default_rng(6))
    with pytest.raises(InputError, match=message):
        trial_means(rows, "encoder", **{**TRIALS, **change})
    with pytest.raises(InputError, match="'trial' is missing in some rows"):
        trial_means(rows.assign(trial=np.nan), "encoder", **TRIALS)


def test_trial_intervals_hold_where_the_papers_are_too_short():
    # Trials with levels of their own: the true level of an encoder is 0 + the mean of the curves.
    rng = np.random.default_rng(7)
    n, between, paper = 150, 0, 0
    for i in range(n):
        rows = trials_study(rng)
        truth = np.mean([curve(part).mean() for _, part in rows.groupby("transformation")])
        found = trial_means(rows, "encoder", **TRIALS)
        between += ((found["ci_low"] <= truth) & (truth <= found["ci_high"])).mean()
        if i < 20:
            fit = gam(rows, response="score", factors=["encoder", "transformation"], smooth="mag")
            means = fit.marginal_means("encoder")
            paper += ((means["ci_low"] <= truth) & (truth <= means["ci_high"])).mean()
    assert between / n == pytest.approx(0.95, abs=0.04)
    assert paper / 20 < 0.6


def covered(n):
    """Share of studies in which 95 % intervals hold the true means and differences.

    Of the means and differences over own magnitudes, and of the differences at the mean magnitude.
    """
    grid = {name: GRID[name] for name in ("PN", "TS", "MP")}
    rows = study({"encoder": [*"abc"]}, trials=3, grid=grid)
    effect = rows["encoder"].map({"a": 0.2, "b": 0.0, "c": -0.1}).to_numpy()
    truth = curve(rows) + effect
    cells = pd.Series(truth).groupby([rows["encoder"], rows["transformation"]]).mean()
    mean = cells.groupby("encoder").mean().to_numpy()
    difference = np.array([0.2, 0.3, 0.1])
    rng = np.random.default_rng(8)
    inside = np.zeros(3)
    for _ in range(n):
        scores = rows.assign(y=truth + rng.normal(0, 0.3, len(rows)))
        fit = gam(scores, response="y", factors=["encoder", "transformation"], smooth="mag")
        for k, (found, true) in enumerate(
            [
                (fit.marginal_means("encoder"), mean),
                (fit.contrasts("encoder", adjust="none"), difference),
                (fit.contrasts("encoder", at="mean", adjust="none"), difference),
            ]
        ):
            inside[k] += ((found["ci_low"] <= true) & (true <= found["ci_high"])).mean()
    return inside / n


def test_known_effects_are_mostly_inside_their_intervals():
    assert (covered(40) > 0.85).all()


@pytest.mark.slow
def test_known_effects_are_inside_their_intervals_95_times_in_100():
    *own, at_mean = covered(1000)
    np.testing.assert_allclose(own, 0.95, atol=0.02)
    # At one magnitude a smooth is biased, and how much it was smoothed is taken as known: such
    # intervals hold on average over a curve (Nychka 1988), not at every point of it.
    assert 0.89 < at_mean < 0.97


def test_examples():
    assert doctest.testmod(marginal).failed == 0
    assert doctest.testmod(trials).failed == 0
