"""What decides the paper's claims: made-up studies in which every verdict is known."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nearkin.study import rules
from nearkin.study.claims import COLUMNS, decide, of_folder
from nearkin.study.draws import Draws, averages, clip_weights, mean, trial_weights
from nearkin.study.evidence import Evidence
from nearkin.study.paper import CLAIMS
from nearkin.study.quantities import ACC, CW_E, RHO
from nearkin.study.rules import COMES_OUT, DOES_NOT, NOT_SETTLED, NOT_TESTABLE
from nearkin.study.scores import mean_squares
from support.study import GRID, PAPERS_RHO, PAPERS_STRENGTH, Made

ANALYSED = {claim.name for claim in CLAIMS if isinstance(claim.rule, rules.Effects | rules.Fit)}
BY_EYE = {claim.name for claim in CLAIMS if isinstance(claim.rule, rules.NoTest)}


@pytest.fixture(scope="module")
def papers() -> Evidence:
    return Made().evidence()


@pytest.fixture(scope="module")
def decided(papers: Evidence) -> pd.DataFrame:
    return decide(papers).set_index("name")


def test_the_paper_has_at_least_45_claims_each_with_a_name_of_its_own() -> None:
    names = [claim.name for claim in CLAIMS]
    assert len(set(names)) == len(names) >= 45
    assert all(claim.section[0] in "56" for claim in CLAIMS)


def test_every_claim_has_a_verdict(decided: pd.DataFrame) -> None:
    assert list(decided.reset_index().columns) == list(COLUMNS)
    assert list(decided.index) == [claim.name for claim in CLAIMS]
    assert set(decided["verdict"]) <= set(rules.VERDICTS)
    untestable = decided[decided["verdict"] == NOT_TESTABLE]
    assert set(untestable.index) == ANALYSED | BY_EYE
    assert (untestable["because"] != "").all()


def test_a_study_that_is_as_the_paper_says_comes_out(decided: pd.DataFrame) -> None:
    wanted = [
        *("noise-worsens", "ae-better-in-noise", "performance-better", "performance-ae-gap"),
        *("performance-vs-gap", "audio-falls", "audio-tempo-least", "audio-dtw"),
        *("within-mfcc", "within-order", "within-cosine", "rho-first", "rho-steady", "rho-ends"),
        *("rho-euclidean", "acc-first", "acc-order", "mild-degrades", "mild-pitch", "mild-rho"),
        *("level-acc", "level-rho", "better-yet-less-consistent", "rq1", "rq2"),
        *("originals", "mild-near-1", "mild-low", "rho-far-largest"),
    ]
    assert dict(decided.loc[wanted, "verdict"]) == dict.fromkeys(wanted, COMES_OUT)
    for who, value in PAPERS_RHO.items():
        row = decided.loc[f"rho-value-{who}"]
        assert row["verdict"] == COMES_OUT
        assert float(row["ours"]) == pytest.approx(value, abs=1e-9)


def test_a_study_that_is_the_other_way_round_does_not() -> None:
    turned = Made(
        strength=dict(zip(PAPERS_STRENGTH, sorted(PAPERS_STRENGTH.values()), strict=True)),
        rho=dict(zip(PAPERS_RHO, [0.08, 0.9, 0.5, 0.4, 0.1], strict=True)),
        lead={"ae": -0.5, "at": -0.6, "ir": -0.7, "vs": 0.2},
        ae_gains_in_noise=False,
    )
    found = decide(turned.evidence()).set_index("name")
    wanted = [
        *("ae-better-in-noise", "performance-better", "performance-vs-gap", "within-mfcc"),
        *("within-order", "rho-first", "rho-ends", "acc-order", "level-acc", "level-rho"),
        *("better-yet-less-consistent", "rq1", "rq2", "within-value-mfcc", "rho-value-at"),
        "mild-low",
    ]
    assert dict(found.loc[wanted, "verdict"]) == dict.fromkeys(wanted, DOES_NOT)


def test_where_both_spaces_fail_they_agree_again() -> None:
    low = dict.fromkeys(PAPERS_STRENGTH, 0.2)
    found = decide(Made(strength=low, audio=0.45).evidence()).set_index("name")
    # at the strongest noise nobody is right; at the middle the audio space still is, half the time
    assert found.loc["acc-rises-again", "verdict"] == COMES_OUT


def test_trials_that_scatter_settle_nothing() -> None:
    close = {"mfcc": 0.7, "at": 0.52, "ir": 0.51, "vs": 0.5, "ae": 0.49}
    found = decide(Made(strength=close, trial_spread=0.1).evidence()).set_index("name")
    assert found.loc["within-order", "verdict"] == NOT_SETTLED
    assert 0.05 < found.loc["within-order", "probability"] < 0.95


def test_without_task_scores_their_claims_are_not_testable() -> None:
    found = decide(Made().evidence(performed=False)).set_index("name")
    row = found.loc["performance-better"]
    assert (row["verdict"], row["because"]) == (NOT_TESTABLE, "the study has no task scores")
    assert found.loc["within-order", "verdict"] == COMES_OUT


def test_without_a_network_its_claims_are_not_testable() -> None:
    some = {who: value for who, value in PAPERS_STRENGTH.items() if who != "vs"}
    rho = {who: PAPERS_RHO[who] for who in some}
    found = decide(Made(strength=some, rho=rho).evidence()).set_index("name")
    assert found.loc["within-value-at", "verdict"] in (COMES_OUT, DOES_NOT)
    row = found.loc["within-order"]
    told = "the study has no network trained for vs"
    assert (row["verdict"], row["because"]) == (NOT_TESTABLE, told)


def test_claims_of_a_plain_run_are_decided_as_far_as_it_goes(small_run) -> None:
    found = decide(of_folder(small_run)).set_index("name")
    assert len(found) == len(CLAIMS)
    # five tunes: tempo shifts lower the audio space's C_W no more than noise does
    assert found.loc["audio-tempo", "verdict"] != NOT_TESTABLE
    assert found.loc["audio-falls", "because"] == "the grid has no EN"


def test_claims_are_the_same_twice(papers: Evidence, decided: pd.DataFrame) -> None:
    again = decide(Made().evidence())
    assert again.to_csv() == decided.reset_index().to_csv()


# -- numbers -------------------------------------------------------------------------------------


def test_a_marginal_mean_is_the_mean_over_transformations_of_their_own_means() -> None:
    made = Made(trials=1, strength={"mfcc": 0.741, "at": 0.6})
    evidence = made.evidence()
    rows = evidence._tables.queries
    rows = rows[(rows["encoder"] == "mfcc") & (rows["distance"] == "euclidean")]
    by_point = 1 - rows.groupby(["transformation", "magnitude"])["error"].mean()
    by_hand = by_point.groupby("transformation").mean().mean()
    assert evidence.scores(CW_E, "mfcc").emm().value == pytest.approx(by_hand, abs=1e-12)


def test_agreement_is_of_the_two_errors(papers: Evidence) -> None:
    rows = papers._tables.queries
    keys = ["transformation", "magnitude", "clip_id"]
    a = rows[(rows["encoder"] == "audio") & (rows["distance"] == "simple")].set_index(keys)
    z = rows[(rows["encoder"] == "mfcc") & (rows["distance"] == "cosine")].set_index(keys)
    agree = (a["error"] == z["error"]).groupby(["transformation", "magnitude"]).mean()
    assert papers.scores(ACC, "mfcc").emm().value == pytest.approx(
        agree.groupby("transformation").mean().mean(), abs=1e-12
    )


def test_a_slope_of_a_straight_line_is_its_fall() -> None:
    # C_W = 1 - 2 (1 - strength) u, in steps of 1 / n
    slope = Made(n=1000).evidence(n_draws=10).scores(CW_E, "mfcc").slope("PN").value
    assert slope == pytest.approx(-2 * (1 - 0.741), abs=2e-3)


def test_mean_squares_are_those_of_a_two_way_table(papers: Evidence) -> None:
    models = {who: papers.scores(RHO, who) for who in ("mfcc", "at", "ae")}
    table = np.array([[s.of(code).value for code in GRID] for s in models.values()])
    whole = table.mean()
    rows, columns = table.mean(axis=1), table.mean(axis=0)
    found = mean_squares(models)
    assert found["model"].value == pytest.approx(5 * np.var(rows, ddof=1), rel=1e-9)
    assert found["transformation"].value == pytest.approx(3 * np.var(columns, ddof=1), abs=1e-12)
    residual = table - rows[:, None] - columns + whole
    assert found["interaction"].value == pytest.approx((residual**2).sum() / 8, abs=1e-12)


def test_trials_are_drawn_with_students_spread() -> None:
    values = np.array([0.2, 0.5, 0.4])
    drawn = trial_weights(3, 40_000, np.random.default_rng(1)) @ values
    error = values.std(ddof=1) / math.sqrt(3)
    ends = values.mean() + stats.t.ppf([0.025, 0.1, 0.9, 0.975], 2) * error
    assert np.quantile(drawn, [0.025, 0.1, 0.9, 0.975]) == pytest.approx(ends, abs=0.03)
    assert (trial_weights(1, 5, np.random.default_rng(1)) == 1).all()


def test_clips_of_a_group_are_drawn_together() -> None:
    units = np.array([0, 0, 1, 2, 2, 2])
    weights = clip_weights(units, 500, np.random.default_rng(0))
    assert weights.sum(axis=1) == pytest.approx(1)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 3] == weights[:, 5]).all()
    single = clip_weights(np.arange(50), 20_000, np.random.default_rng(0))
    y = np.random.default_rng(2).normal(size=50)
    assert np.std(single @ y) == pytest.approx(y.std() / math.sqrt(50), rel=0.03)


def test_weighted_medians_are_those_of_repeated_clips() -> None:
    rng = np.random.default_rng(0)
    cube = rng.normal(size=(1, 2, 7))
    cube[0, 1, 3] = np.nan
    counts = np.array([[1, 1, 1, 1, 1, 1, 1], [2, 0, 1, 0, 3, 0, 1], [0, 3, 0, 3, 0, 1, 0]])
    value, drawn = averages(cube, counts / counts.sum(axis=1, keepdims=True), by_median=True)
    for p in range(2):
        assert value[0, p] == np.nanmedian(cube[0, p])
        for b, count in enumerate(counts):
            assert drawn[0, p, b] == pytest.approx(np.nanmedian(np.repeat(cube[0, p], count)))


# -- rules ---------------------------------------------------------------------------------------


def number(value: float, low: float, high: float) -> Draws:
    """A number whose replicates are spread evenly from low to high."""
    return Draws(value, np.linspace(low, high, 2001))


@pytest.mark.parametrize(
    ("rule", "verdict"),
    [
        (rules.Order(lambda e: [[number(3, 2, 4), number(1, 0, 2)]]), COMES_OUT),
        (rules.Order(lambda e: [[number(1, 0, 1), number(3, 2, 4)]]), DOES_NOT),
        (rules.Order(lambda e: [[number(1, 0, 2), number(1, 2, 0)]]), NOT_SETTLED),
        (rules.Value(lambda e: number(1, 0, 2), 1.5), COMES_OUT),
        (rules.Value(lambda e: number(1, 0, 2), 2.5), DOES_NOT),
        (rules.Value(lambda e: Draws(1.0, np.empty(0)), 1.0), NOT_SETTLED),
        (rules.Bound(lambda e: [number(1, 0.9, 1.1)], 0.5), COMES_OUT),
        (rules.Bound(lambda e: [number(1, 0.9, 1.1)], 0.5, above=False), DOES_NOT),
        (rules.Bound(lambda e: [number(1, 0, 2), number(3, 2, 4)], 1.0), NOT_SETTLED),
        (rules.Trend(lambda e: [number(-1, -2, -0.5)]), COMES_OUT),
        (rules.Trend(lambda e: [number(-1, -2, -0.5)], falls=False), DOES_NOT),
        (rules.Trend(lambda e: [number(-1, -2, 0.5)]), NOT_SETTLED),
    ],
)
def test_a_rule_decides(rule: rules.Rule, verdict: str, papers: Evidence) -> None:
    assert rule.decide(papers).verdict == verdict
    assert rule.words()


def test_an_order_of_numbers_without_spread_is_decided_by_them() -> None:
    plain = [Draws(value, np.empty(0)) for value in (3.0, 2.0, 1.0)]
    found = rules.Order(lambda e: [plain]).decide(None)  # type: ignore[arg-type]
    assert (found.verdict, found.because) == (COMES_OUT, "by its value alone")
    assert mean(plain).value == 2.0


def test_nothing_is_written_as_nothing() -> None:
    """What equal numbers leave: .1 + .2 - .3, and the same below 0."""
    left = [number(0.1 + 0.2 - 0.3, -1, 1), number(0.3 - (0.1 + 0.2), -1, 1), number(1e-6, -1, 1)]
    found = rules.Order(lambda e: [left]).decide(None)  # type: ignore[arg-type]
    assert found.ours == "0 > 0 > 1e-06"


@pytest.mark.parametrize(
    "rule",
    [
        lambda tie: rules.Order(lambda e: [[tie, Draws(0.0, 0 * tie.replicates)]]),
        lambda tie: rules.Bound(lambda e: [tie], 0.0),
        lambda tie: rules.Bound(lambda e: [tie], 0.0, above=False),
    ],
)
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("n", [0, 9])
def test_nothing_decides_nothing(rule: Callable[[Draws], rules.Rule], sign: int, n: int) -> None:
    """A tie is no order, whatever its last digits."""
    nothing = sign * (0.1 + 0.2 - 0.3)
    found = rule(Draws(nothing, np.full(n, nothing))).decide(None)  # type: ignore[arg-type]
    assert found.verdict == DOES_NOT
    assert "e" not in found.ours


@pytest.mark.parametrize("falls", [False, True])
def test_a_slope_of_nothing_settles_nothing(falls: bool) -> None:
    for nothing in (0.3 - (0.1 + 0.2), 0.1 + 0.2 - 0.3):
        flat = Draws(nothing, np.full(9, nothing))
        found = rules.Trend(lambda e, flat=flat: [flat], falls).decide(None)  # type: ignore[arg-type,misc]
        assert (found.verdict, found.ours) == (NOT_SETTLED, "+0")


def test_effects_and_fits_are_read_from_the_analysis() -> None:
    analysis = {
        "anova": pd.DataFrame(
            {
                **{"measure": ["C_W"] * 2, "audio_distance": "", "latent_distance": "euclidean"},
                **{"term": ["encoder", "transformation"], "df": [4, 4], "F": [900.0, 2.0]},
                **{"p": [1e-30, 0.2], "residual_df": 1793.0},
            }
        ),
        "gam": pd.DataFrame(
            {
                **{"measure": ["C_W"], "audio_distance": "", "latent_distance": "euclidean"},
                "r2_adj": [0.97],
            }
        ),
    }
    evidence = Made(strength={"mfcc": 0.7, "at": 0.5}).evidence(n_draws=10)
    evidence.analysis = analysis
    one = rules.Effects(CW_E, ("encoder",)).decide(evidence)
    assert (one.verdict, one.ours) == (COMES_OUT, "F(4, 1793) = 900")
    both = rules.Effects(CW_E, ("encoder", "transformation")).decide(evidence)
    assert both.verdict == DOES_NOT
    assert rules.Fit(CW_E, 0.9).decide(evidence).verdict == COMES_OUT
    assert rules.Fit(CW_E, 0.98).decide(evidence).verdict == DOES_NOT
