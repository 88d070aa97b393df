"""Paired differences: interval and p say the same, and the level is what it should be."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nearkin.statistics import paired
from nearkin.statistics.bootstrap import resamples
from nearkin.statistics.paired import paired_difference


def counts(n: int, b: int = 599, seed: int = 0) -> np.ndarray:
    return resamples(n, n_resamples=b, rng=np.random.default_rng(seed)).astype(float)


def of(d: np.ndarray, bound: float = 1.0, b: int = 599) -> paired.Difference:
    return paired_difference(d[None], np.zeros((1, len(d))), counts(len(d), b), bound=bound)


@given(st.integers(2, 60), st.integers(0, 10**6), st.sampled_from([2, 5, 100]))
@settings(deadline=None, max_examples=150)
def test_the_interval_leaves_out_zero_exactly_where_p_is_small(
    n: int, seed: int, steps: int
) -> None:
    rng = np.random.default_rng(seed)
    d = rng.integers(-steps, steps + 1, n) / steps * (rng.random(n) < rng.random())
    found = of(d + rng.choice([0, 0.2, -0.4]), bound=2.0)
    assert found.low <= found.high
    outside = found.low > 0 or found.high < 0
    assert outside == (found.p <= 0.05)


@pytest.mark.parametrize("n", [200, 1000])
def test_many_normal_differences_give_students_interval(n: int) -> None:
    d = np.random.default_rng(3).normal(0.1, 1, n)
    found = of(d, bound=50.0, b=20_000)
    truth = stats.ttest_1samp(d, 0)
    ends = truth.confidence_interval()
    width = ends.high - ends.low
    assert found.p == pytest.approx(truth.pvalue, abs=0.06)
    assert [found.low, found.high] == pytest.approx([ends.low, ends.high], abs=0.07 * width)


def test_equal_differences_are_bounded_exactly() -> None:
    """Eight clips all better by .1 prove nothing: one of nine could be worse by 1."""
    few, many = of(np.full(8, 0.1)), of(np.full(80, 0.1))
    assert few.low < 0 < few.high
    assert few.p > 0.05
    assert many.low > 0
    q = 0.025 ** (1 / 80)  # P(80 of 80 are alike) is 2.5 % where a share q of all is
    assert many.low == pytest.approx(0.1 * q - (1 - q))
    assert of(np.ones(8)).p < 0.05  # better by all there is: 8 of 8
    assert of(np.zeros(8)).p == 1


def test_p_is_no_smaller_than_an_exact_test() -> None:
    d = np.zeros(100)
    d[:4] = 1
    found = of(d)
    assert found.p >= stats.binomtest(0, 4).pvalue
    assert found.low <= 0


def level(draw, n: int, repeats: int = 400) -> float:
    """Share of true nulls that are rejected at .05."""
    rng = np.random.default_rng(n)
    drawn = counts(n, 499)
    rejected = 0
    for _ in range(repeats):
        d = draw(rng, n)
        found = paired_difference(d[None], np.zeros((1, n)), drawn, bound=100.0)
        rejected += found.p <= 0.05
    return rejected / repeats


@pytest.mark.parametrize("n", [30, 100])
def test_a_true_null_is_rejected_one_time_in_twenty(n: int) -> None:
    """Within two standard errors (.022) of .03 to .07; benchmarks/comparison_error.py has more."""
    assert 0.01 < level(lambda rng, n: rng.normal(size=n), n) < 0.09
    assert 0.01 < level(lambda rng, n: rng.exponential(size=n) - 1, n) < 0.09


def fails_one_clip_of_ten(rng: np.random.Generator, n: int) -> np.ndarray:
    """Equal on average: one encoder fails a tenth of the clips, the other a tenth of each."""
    return (rng.random(n) < 0.1) - rng.binomial(20, 0.1, n) / 20


@pytest.mark.parametrize("n", [8, 12, 20, 29, 30, 50])
def test_clips_that_none_was_seen_of_reject_no_true_null(n: int) -> None:
    """Student's t rejects 42 of 100 such nulls of 8 clips, for the tenth is not among them."""
    rejected = level(fails_one_clip_of_ten, n)
    assert rejected < 0.09
    if n < 20:
        rng = np.random.default_rng(n)
        t = [stats.ttest_1samp(fails_one_clip_of_ten(rng, n), 0).pvalue for _ in range(400)]
        assert np.mean(np.array(t) <= 0.05) > 0.2


@pytest.mark.parametrize("n", [8, 20])
def test_few_clips_reject_no_more_than_they_may(n: int) -> None:
    shapes = [lambda rng, n: rng.normal(size=n), lambda rng, n: rng.exponential(size=n) - 1]
    assert all(level(shape, n) < 0.07 for shape in shapes)


def test_the_reach_of_few_clips_is_that_of_clips_unseen() -> None:
    """20 clips better by about .1: 1 - .025 ** (1 / 20) = .168 of all could be worse by 1."""
    d = 0.1 + np.random.default_rng(0).normal(0, 0.001, 20)
    found, unseen = of(d), 1 - 0.025 ** (1 / 20)
    assert found.low == pytest.approx((1 - unseen) * d.mean() - unseen)
    assert found.high == pytest.approx((1 - unseen) * d.mean() + unseen)
    assert found.p == pytest.approx(2 * (1 / (1 + d.mean())) ** 20)
    assert found.method == f"{paired.STUDENTISED}, {paired.RARE}"
    assert of(d + 0.2).low > 0  # .3 is more than .168 / .832
    many = of(np.tile(d, 2))
    assert many.low > 0.09
    assert many.method == paired.STUDENTISED


@pytest.mark.parametrize("k", [1, 2, 3])
def test_of_few_that_differ_the_far_end_is_exact(k: int) -> None:
    """Of resamples 5 in 100 or more hold none of k <= 3: their t is infinite, the end was 1."""
    d = np.zeros(100)
    d[:k] = 1
    truth = stats.binomtest(k, 100).proportion_ci(method="exact")
    unseen = stats.binomtest(0, 100).proportion_ci(method="exact")
    for sign in (1, -1):
        found = of(sign * d)
        low, high = sorted((sign * found.low, sign * found.high))
        assert high == pytest.approx(truth.high)
        newcombe = k / 100 - np.hypot(k / 100 - truth.low, unseen.high)
        assert low <= newcombe + 1e-3  # one of 100 has the variance of one of 99
    small = of(d / 20)  # as far as if the few, and the unseen, differed by all there is
    assert 0.05 * k / 100 < small.high <= truth.high + 1e-12


def test_units_of_unequal_weight_are_fewer() -> None:
    """The exact end of k units that hold a share of all, of as many as the weights leave."""
    weights = np.array([6.0] * 8 + [1.0] * 40)
    weights /= weights.mean()
    own = np.zeros(48)
    own[:2] = weights[:2]
    mean = own.mean()
    d = own + mean * (1 - weights)
    drawn = counts(48)
    found = paired_difference(
        d[None], np.zeros((1, 48)), drawn, bound=1.0, own=own, weights=weights
    )
    independent = 48 / np.mean(weights**2)
    hits = independent * weights[:2].sum() / 48
    assert found.high <= stats.beta.ppf(0.975, hits + 1, independent - hits) + 1e-12
    assert found.high > stats.binomtest(2, 48).proportion_ci(method="exact").high


def with_missing(d: np.ndarray, n: int) -> paired.Difference:
    """Compare units of which only the first len(d) of n hold anything."""
    weights = np.zeros(n)
    weights[: len(d)] = n / len(d)
    own = np.zeros(n)
    own[: len(d)] = d * n / len(d)
    share = own + d.mean() * (1 - weights)
    return paired_difference(
        share[None], np.zeros((1, n)), counts(n), bound=1.0, own=own, weights=weights
    )


@pytest.mark.parametrize("value", [0.0, 1.0, -0.3])
def test_units_that_are_missing_do_not_count(value: float) -> None:
    """At least .025 ** (1 / 10) of all are as the 10 of 100 that were seen (exact)."""
    found, as_seen = with_missing(np.full(10, value), 100), 0.025 ** (1 / 10)
    assert found.low == pytest.approx(max(as_seen * value - (1 - as_seen), -1))
    assert found.high == pytest.approx(min(as_seen * value + (1 - as_seen), 1))


def test_few_units_beside_missing_ones_reject_no_more_than_few() -> None:
    """One fails one clip of ten wholly, the other all by a tenth: 43 of 100 were rejected."""
    rng, n = np.random.default_rng(1), 300
    d = (rng.random((n, 8)) < 0.9) - 0.9 + rng.uniform(-0.02, 0.02, (n, 8))
    assert sum(with_missing(one, 60).p <= 0.05 for one in d) <= 0.05 * n


def test_two_trials_have_no_test() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 50)), rng.random((1, 50))
    for sides in ((a, b), (b, a), (a, a)):
        found = paired_difference(*sides, counts(50), bound=1.0)
        assert np.isnan(found[:3]).all()
        assert found.method == ""
    assert paired_difference(rng.random((3, 50)), b, counts(50), bound=1.0).p <= 1


@pytest.mark.parametrize("better", [0.0, 1.0])
def test_trials_that_all_agree_are_bounded_as_one_trial(better: float) -> None:
    """Three trials of 50 clips without any spread are not certain: p is not 1 for the largest."""
    one, trials = np.full((1, 50), better), np.full((3, 50), better)
    found = paired_difference(trials, np.zeros((3, 50)), counts(50), bound=1.0)
    assert found == paired_difference(one, np.zeros((1, 50)), counts(50), bound=1.0)
    assert found.high - found.low > 0.05
    assert (found.p < 0.05) == (better == 1.0)


@pytest.mark.parametrize("spread", [0.0, 0.1])
def test_trials_are_part_of_the_error(spread: float) -> None:
    """Three trials a side, 60 clips: the level is at most .07, whether trials differ or not."""
    rng = np.random.default_rng(2)
    n, rejected = 60, 0
    for _ in range(400):
        clip = rng.normal(0, 0.1, n)
        a, b = (clip + rng.normal(0, spread, (3, 1)) + rng.normal(0, 0.3, (3, n)) for _ in range(2))
        rejected += paired_difference(a, b, counts(n, 10), bound=10.0).p <= 0.05
    assert rejected / 400 < 0.09
    assert rejected / 400 > 0.005


def test_doc_examples() -> None:
    assert doctest.testmod(paired).failed == 0
