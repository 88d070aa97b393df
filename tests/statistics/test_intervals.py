"""Intervals of shares and of means over trials: scipy's exact ones, closed forms, coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nearkin.consistency import RankedSpace, monotonicity, rho, rho_replicates
from nearkin.errors import InputError
from nearkin.statistics.bootstrap import percentile_interval, resamples
from nearkin.statistics.intervals import (
    EXACT,
    OVER_TRIALS,
    SURVEY,
    Ends,
    bounded_limits,
    difference_limits,
    exact_limits,
    share_limits,
    trials_limits,
)


@pytest.mark.parametrize(("hits", "n"), [(0, 2), (2, 2), (13, 14), (50, 50), (3, 200), (199, 200)])
def test_one_trial_has_the_exact_binomial_interval(hits: int, n: int) -> None:
    truth = stats.binomtest(hits, n).proportion_ci(method="exact")
    values = np.r_[np.ones(hits), np.zeros(n - hits)]
    found = share_limits(values)
    assert (found.low, found.high) == pytest.approx(tuple(truth), abs=1e-12)
    assert found.method == EXACT
    left_out = share_limits(np.r_[values, np.nan, np.nan])
    assert left_out == found


def test_two_clips_that_stay_are_no_proof() -> None:
    """The gate that was met by '1 [1, 1]': .025 ** (1 / 2) is the lower end."""
    low, high, _, _ = share_limits([1.0, 1.0])
    assert low == pytest.approx(0.025**0.5)
    assert high == 1


def test_clusters_that_agree_count_as_one_clip_each() -> None:
    once = np.r_[np.ones(9), np.zeros(3)]
    found = share_limits(np.repeat(once, 4), np.repeat(np.arange(12), 4))
    assert found.method == SURVEY
    # V = s^2 / G; n* = p q / V = G - 1, narrowed by the t quotient
    ratio = (stats.t.ppf(0.975, 47) / stats.t.ppf(0.975, 11)) ** 2
    assert (found.low, found.high) == pytest.approx(exact_limits(0.75, 11 * ratio), abs=1e-12)
    certain = share_limits(np.ones(48), np.repeat(np.arange(12), 4))
    assert (certain.low, certain.high) == pytest.approx((0.025 ** (1 / 12), 1))


def test_clusters_without_likeness_cost_little() -> None:
    rng = np.random.default_rng(0)
    values = (rng.random(400) < 0.8).astype(float)
    alone = share_limits(values)
    together = share_limits(values, rng.permutation(np.repeat(np.arange(100), 4)))
    assert together.high - together.low == pytest.approx(alone.high - alone.low, rel=0.15)


def test_trials_of_the_same_errors_are_worth_one_trial() -> None:
    """Equal trials take nothing away of the clips' variance: n* = N - 1, df = N - 1."""
    values = np.r_[np.ones(30), np.zeros(10)]
    found = share_limits([values] * 4)
    assert (found.low, found.high) == pytest.approx(exact_limits(0.75, 39), abs=1e-12)
    assert found.method == SURVEY


def test_two_trials_have_no_interval() -> None:
    found = share_limits(np.ones((2, 9)))
    assert np.isnan([found.low, found.high]).all()
    assert (found.method, found.reason) == ("", "2 trials are too few")
    other = trials_limits([0.1, 0.2], np.zeros((2, 50)), 9)
    assert (other.method, other.reason) == ("", "2 trials are too few")


def test_trials_that_differ_alone_give_students_interval() -> None:
    """Clips without spread leave the t-interval of the trials' values."""
    values = np.array([0.31, 0.42, 0.37, 0.35])
    found = trials_limits(values, np.repeat(values[:, None], 100, axis=1), 50)
    truth = stats.t.interval(0.95, 3, loc=values.mean(), scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx(truth)
    assert found.method == OVER_TRIALS


def test_what_trials_share_does_not_shrink_with_their_number() -> None:
    rng = np.random.default_rng(1)
    shared = 0.5 + 0.05 * rng.standard_normal(4000)
    found = trials_limits([0.5] * 5, [shared] * 5, 100)
    half = stats.t.ppf(0.975, 99) * shared.std(ddof=1) * (100 / 99) ** 0.5
    assert found.high - found.low == pytest.approx(2 * half, rel=1e-9)
    assert trials_limits([0.5] * 3, np.full((3, 99), 0.5), 100).reason == "all resamples are equal"
    cut = trials_limits([0.99] * 5, [shared + 0.49] * 5, 100, bounds=(-1, 1))
    assert cut.high == 1


@pytest.mark.parametrize(
    ("n", "share", "likeness", "trial_sd"), [(16, 0.95, 0.5, 0.1), (50, 0.8, 0.9, 0.3)]
)
def test_coverage_over_three_trials(n: int, share: float, likeness: float, trial_sd: float) -> None:
    """Clips and trials drawn anew 600 times; benchmarks/covered.py has the whole table."""
    rng = np.random.default_rng(2)
    level = stats.norm.ppf(share) * np.sqrt(1 + trial_sd**2)
    clips = rng.normal(0, likeness**0.5, (600, 1, n))
    trials = rng.normal(0, trial_sd, (600, 3, 1))
    noise = rng.normal(0, (1 - likeness) ** 0.5, (600, 3, n))
    values = (level + clips + trials + noise > 0).astype(float)
    limits = [share_limits(one) for one in values]
    covered = np.mean([found.low <= share <= found.high for found in limits])
    assert covered >= 0.93 - 2 * (0.93 * 0.07 / 600) ** 0.5


def test_what_is_no_share_is_refused() -> None:
    with pytest.raises(InputError, match=r"outside of \[0, 1\]"):
        share_limits([0.5, 1.5])
    with pytest.raises(InputError, match=r"must be \[T, N\] and \[N\]"):
        share_limits([0.5, 1.0], [0])
    with pytest.raises(InputError, match=r"must be \[T\] and \[T, B\]"):
        trials_limits([0.5, 1.0, 0.7], np.zeros((2, 5)), 3)
    assert share_limits([np.nan]).reason == "no clip is left"


def test_a_difference_of_two_normal_estimates() -> None:
    z = stats.norm.ppf(0.975)
    low, high = difference_limits(
        Ends(0.5, 0.5 - z * 0.03, 0.5 + z * 0.03), Ends(0.2, 0.2 - z * 0.04, 0.2 + z * 0.04)
    )
    assert (low, high) == pytest.approx((0.3 - z * 0.05, 0.3 + z * 0.05))
    assert np.isnan(difference_limits(Ends(0.5, np.nan, np.nan), Ends(0.2, 0.1, 0.3))).all()


def test_equal_encoders_rank_correlations_are_told_apart_seldom() -> None:
    """Two noisy copies of one space, 30 clips: the difference's interval leaves out 0 in .05."""
    rng = np.random.default_rng(4)
    n, left_out, draws = 30, 0, 200
    counts = resamples(n, n_resamples=300, rng=rng)
    for _ in range(draws):
        sound = rng.normal(size=(n, 3))
        audio = RankedSpace(distances(sound))
        ends = []
        for _side in range(2):
            latent = RankedSpace(distances(sound + rng.normal(size=(n, 3))))
            limits = percentile_interval(rho_replicates(audio, latent, counts))
            ends.append(Ends(rho(audio, latent), limits.low, limits.high))
        low, high = difference_limits(*ends)
        left_out += bool(low > 0 or high < 0)
    assert left_out / draws <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / draws)


def distances(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[:, None] - points[None], axis=2)


@pytest.mark.parametrize(("n", "noise"), [(8, 1.0), (8, 2.0), (16, 4.0), (50, 1.5)])
def test_coverage_of_monotonicity(n: int, noise: float) -> None:
    """Six magnitudes, a trend in noise: of 400 studies 95 % hold the mean over 20,000 clips."""
    rng = np.random.default_rng(n)

    def growth(clips: int) -> np.ndarray:
        return monotonicity(np.arange(6.0), np.arange(6.0) + rng.normal(0, noise, (clips, 6)))

    truth = growth(20_000).mean()
    limits = [bounded_limits(growth(n), (-1.0, 1.0)) for _ in range(400)]
    held = np.mean([low <= truth <= high for low, high, _, _ in limits])
    assert held >= 0.95 - 2 * np.sqrt(0.05 * 0.95 / 400)
    assert all(-1 <= low <= high <= 1 for low, high, _, _ in limits)


def test_bounded_values_are_shares_where_they_lie_at_the_bounds() -> None:
    """Of many values at the ends alone the interval is the binomial one, on another scale."""
    hits = np.r_[np.ones(700), np.zeros(300)]
    found = bounded_limits(2 * hits - 1, (-1.0, 1.0))
    truth = stats.binomtest(700, 1000).proportion_ci(method="exact")
    assert [(found.low + 1) / 2, (found.high + 1) / 2] == pytest.approx(tuple(truth), abs=2e-4)
    normal = stats.t.interval(
        0.95, 999, *(f(np.tile([0.2, 0.4], 500)) for f in (np.mean, stats.sem))
    )
    narrow = bounded_limits(np.tile([0.2, 0.4], 500), (-1.0, 1.0))
    assert [narrow.low, narrow.high] == pytest.approx(normal, abs=2e-4)


def test_bounded_values_of_one_file_count_as_one() -> None:
    values = np.random.default_rng(0).uniform(-1, 1, 30)
    once = bounded_limits(values, (-1.0, 1.0))
    thrice = bounded_limits(np.repeat(values, 3), (-1.0, 1.0), np.repeat(np.arange(30), 3))
    assert thrice[:2] == pytest.approx(once[:2])
    assert bounded_limits(np.full(9, 0.5), (-1.0, 1.0)).reason == "all resamples are equal"
    assert np.isnan(bounded_limits([0.5, np.nan], (-1.0, 1.0)).low)
