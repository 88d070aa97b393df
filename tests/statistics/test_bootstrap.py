from __future__ import annotations

import doctest
import importlib

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import cohen_kappa_score
from threadpoolctl import threadpool_limits

from nearkin import statistics
from nearkin.consistency import (
    agreement,
    between_space_rho,
    neighbours,
    within_space_at_by_clip,
)
from nearkin.errors import InputError
from nearkin.statistics import (
    RankedSpace,
    agreement_replicates,
    crossed_replicates,
    mean_replicates,
    own_rho_replicates,
    percentile_interval,
    resamples,
    rho,
    rho_replicates,
)
from support import naive_consistency as naive


def generator(seed=0):
    return np.random.default_rng(seed)


def random_pair(seed, n=12, levels=None):
    rng = generator(seed)
    a = rng.random((n, n))
    b = a + rng.random((n, n))
    return (a, b) if levels is None else (np.round(a * levels), np.round(b * levels))


def drawn_clips(counts):
    """The clips of one resample, written out."""
    return np.repeat(np.arange(len(counts)), counts.astype(int)).tolist()


# Resamples and intervals


def test_resamples_are_draws_with_replacement():
    counts = resamples(50, n_resamples=4000, rng=generator())
    assert counts.dtype == np.float32
    assert (counts.sum(axis=1) == 50).all()
    assert counts.mean() == 1
    # Multinomial: variance 1 - 1/N, covariance of two clips -1/N.
    assert counts.var() == pytest.approx(1 - 1 / 50, abs=0.02)
    assert np.cov(counts[:, 0], counts[:, 1])[0, 1] == pytest.approx(-1 / 50, abs=0.06)
    assert np.array_equal(counts, resamples(50, n_resamples=4000, rng=generator()))
    assert not np.array_equal(counts, resamples(50, n_resamples=4000, rng=generator(1)))


def test_interval_of_a_proportion_equals_scipys_bootstrap():
    right = (generator(1).random(80) < 0.7).astype(float)
    reference = scipy.stats.bootstrap(
        (right,), np.mean, n_resamples=20_000, method="percentile", rng=generator(2)
    ).confidence_interval
    counts = resamples(80, n_resamples=20_000, rng=generator(3))
    found = percentile_interval(mean_replicates(right, counts))
    # The replicates live on a lattice of 1/80: one step is all that draws may differ by.
    assert found.low == pytest.approx(reference.low, abs=1 / 80 + 1e-9)
    assert found.high == pytest.approx(reference.high, abs=1 / 80 + 1e-9)
    assert found.n_undefined == 0


def test_interval_of_a_mean_equals_scipys_bootstrap():
    values = generator(1).exponential(size=60)
    reference = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=generator(2)
    ).confidence_interval
    found = percentile_interval(
        mean_replicates(values, resamples(60, n_resamples=20_000, rng=generator(3)))
    )
    spread = values.std() / np.sqrt(60)
    assert found.low == pytest.approx(reference.low, abs=0.1 * spread)
    assert found.high == pytest.approx(reference.high, abs=0.1 * spread)


def test_undefined_replicates_are_counted_and_too_many_leave_no_interval():
    values = np.tile(np.arange(100.0), (3, 1))
    values[1, :5] = np.nan
    values[2, :6] = np.nan
    found = percentile_interval(values)
    assert found.n_undefined.tolist() == [0, 5, 6]
    assert found.low[1] == np.quantile(np.arange(5.0, 100), 0.025)
    assert found.high[1] == np.quantile(np.arange(5.0, 100), 0.975)
    assert np.isnan([found.low[2], found.high[2]]).all()
    one = percentile_interval(values[0])
    assert (one.low, one.high) == (found.low[0], found.high[0])
    narrower = percentile_interval(values[0], level=0.5)
    assert (narrower.low, narrower.high) == (24.75, 74.25)


def test_coverage_of_a_proportions_interval():
    counts = resamples(60, n_resamples=400, rng=generator())
    right = (generator(1).random((400, 60)) < 0.75).astype(float)
    low, high, _ = percentile_interval(mean_replicates(right, counts))
    covered = np.mean((low <= 0.75) & (high >= 0.75))
    # 95 % less the percentile interval's known shortfall at N = 60, and four standard errors.
    assert 0.88 <= covered <= 0.99


# Means over clips


@settings(deadline=None)
@given(
    arrays(np.float64, (2, 7), elements=st.sampled_from([0.0, 0.25, 1.0, np.nan])),
    st.integers(0, 2**32 - 1),
)
def test_mean_replicates_are_means_of_the_clips_drawn(values, seed):
    counts = resamples(7, n_resamples=5, rng=generator(seed))
    found = mean_replicates(values, counts)
    for k, row in enumerate(values):
        for b, count in enumerate(counts):
            drawn = row[drawn_clips(count)]
            defined = drawn[~np.isnan(drawn)]
            if len(defined):
                assert found[k, b] == pytest.approx(defined.mean(), abs=1e-14)
            else:
                assert np.isnan(found[k, b])


def test_replicates_do_not_depend_on_what_is_computed_beside_them():
    counts = resamples(37, n_resamples=20, rng=generator())
    values = generator(1).random((9, 37))
    values[3, 5] = np.nan
    together = mean_replicates(values, counts)
    for k, row in enumerate(values):
        assert np.array_equal(mean_replicates(row, counts), together[k])


def test_c_w_in_a_smaller_collection_is_resampled_by_its_terms():
    d, _ = random_pair(1, n=30)
    rank = neighbours(d).rank
    terms = within_space_at_by_clip(rank, n=10, n_clips=30)
    replicates = mean_replicates(terms, resamples(30, rng=generator(2)))
    assert replicates.mean() == pytest.approx(terms.mean(), abs=0.02)
    assert replicates.std() == pytest.approx(terms.std() / np.sqrt(30), rel=0.1)


def test_agreement_replicates_equal_scikit_learn_on_the_clips_drawn():
    a, b = (neighbours(d) for d in random_pair(2, n=25))
    counts = resamples(25, n_resamples=60, rng=generator(3))
    found = agreement_replicates(a, b, counts)
    for i, count in enumerate(counts):
        drawn = drawn_clips(count)
        x, y = a.error[drawn], b.error[drawn]
        assert found.accuracy[i] == pytest.approx(np.mean(x == y))
        if found.chance[i] < 1:
            assert found.kappa[i] == pytest.approx(cohen_kappa_score(x, y), abs=1e-12)
    once = agreement_replicates(a, b, np.ones((1, 25), np.float32))
    assert [value[0] for value in once] == pytest.approx(agreement(a, b)[:3], abs=1e-15)


# Pooled rho, pairs of clips


@pytest.mark.parametrize("levels", [None, 3])
@pytest.mark.parametrize("n", [3, 11])
def test_rho_replicates_equal_the_resampled_matrix(n, levels):
    a, b = random_pair(4, n=n, levels=levels)
    counts = resamples(n, n_resamples=30, rng=generator(5))
    found = rho_replicates(RankedSpace(a), RankedSpace(b), counts)
    expected = [naive.rho_of_a_resample(a, b, drawn_clips(count)) for count in counts]
    assert found.tolist() == pytest.approx(expected, abs=1e-5, nan_ok=True)


def test_rho_replicates_in_single_precision_are_near_those_in_double():
    a, b = random_pair(6, n=200)
    counts = resamples(200, n_resamples=50, rng=generator(7))
    found = rho_replicates(RankedSpace(a), RankedSpace(b), counts)
    x, y = RankedSpace(a).ranks, RankedSpace(b).ranks
    pairs = ~np.eye(200, dtype=bool)
    for value, count in zip(found, counts.astype(np.float64), strict=True):
        w = np.outer(count, count)[pairs]
        p, q = x[pairs], y[pairs]
        p, q = p - np.average(p, weights=w), q - np.average(q, weights=w)
        expected = (w * p * q).sum() / np.sqrt((w * p * p).sum() * (w * q * q).sum())
        assert value == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("levels", [None, 3])
def test_the_value_equals_scipy(levels):
    a, b = random_pair(8, n=60, levels=levels)
    pairs = ~np.eye(60, dtype=bool)
    expected = scipy.stats.spearmanr(a[pairs], b[pairs]).statistic
    assert rho(RankedSpace(a), RankedSpace(b)) == pytest.approx(expected, abs=1e-12)
    assert rho(RankedSpace(a), RankedSpace(b)) == pytest.approx(between_space_rho(a, b), abs=1e-15)


def test_every_clip_once_gives_the_value():
    a, b = random_pair(9, n=50)
    spaces = RankedSpace(a), RankedSpace(b)
    found = rho_replicates(*spaces, np.ones((1, 50), np.float32))
    assert found[0] == pytest.approx(rho(*spaces), abs=1e-6)


def test_replicates_are_the_same_bytes_again_and_belong_to_their_counts():
    a, b = random_pair(25, n=150)
    counts = resamples(150, n_resamples=40, rng=generator(26))
    spaces = RankedSpace(a), RankedSpace(b)
    with threadpool_limits(1):
        first = rho_replicates(*spaces, counts)
        other = rho_replicates(*spaces, counts[::-1])
        again = rho_replicates(RankedSpace(a.copy()), RankedSpace(b.copy()), counts.copy())
    assert np.array_equal(first, again)
    assert other.tolist() == pytest.approx(first[::-1].tolist(), abs=1e-6)


def test_a_failed_query_weighs_nothing_but_its_original_stays():
    a, b = random_pair(10, n=9)
    counts = resamples(9, n_resamples=25, rng=generator(11))
    failed = b.copy()
    failed[3] = np.nan
    there = np.arange(9) != 3
    own = np.arange(9)[there]
    spaces = RankedSpace(a), RankedSpace(failed)
    smaller = RankedSpace(a[there], own), RankedSpace(b[there], own)
    assert rho(*spaces) == pytest.approx(rho(*smaller), abs=1e-15)
    assert rho(*spaces) == pytest.approx(between_space_rho(a, failed), abs=1e-15)
    assert rho_replicates(*spaces, counts).tolist() == pytest.approx(
        rho_replicates(*smaller, counts).tolist(), abs=1e-6, nan_ok=True
    )


def test_a_failed_original_takes_its_query_with_it():
    a, b = random_pair(12, n=9)
    counts = resamples(9, n_resamples=25, rng=generator(13))
    failed = b.copy()
    failed[:, 3] = np.nan
    there = np.arange(9) != 3
    square = np.ix_(there, there)
    spaces = RankedSpace(a), RankedSpace(failed)
    smaller = RankedSpace(a[square]), RankedSpace(b[square])
    assert rho(*spaces) == pytest.approx(rho(*smaller), abs=1e-15)
    assert rho_replicates(*spaces, counts).tolist() == pytest.approx(
        rho_replicates(*smaller, counts[:, there]).tolist(), abs=1e-6, nan_ok=True
    )


def test_a_query_weighs_as_much_as_its_own_clip():
    # Two queries a clip: the same as the resampled matrix, pair by pair.
    rng = generator(14)
    a = rng.random((8, 4))
    b = a + 0.5 * rng.random((8, 4))
    own = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    counts = resamples(4, n_resamples=20, rng=generator(15))
    found = rho_replicates(RankedSpace(a, own), RankedSpace(b, own), counts)
    pairs = [(i, j) for i in range(8) for j in range(4) if j != own[i]]
    ranks = [naive.average_ranks([d[pair] for pair in pairs]) for d in (a, b)]
    for value, count in zip(found, counts.astype(float), strict=True):
        weights = [count[own[i]] * count[j] for i, j in pairs]
        expected = naive.pearson(*ranks, weights) if sum(weights) else np.nan
        assert value == pytest.approx(expected, abs=1e-5, nan_ok=True)


def test_a_constant_space_has_no_rho_and_a_space_agrees_with_itself():
    a, _ = random_pair(16, n=20)
    counts = resamples(20, n_resamples=10, rng=generator(17))
    constant = RankedSpace(np.zeros((20, 20)))
    assert constant.constant
    assert np.isnan(rho(RankedSpace(a), constant))
    assert np.isnan(rho_replicates(RankedSpace(a), constant, counts)).all()
    assert rho(RankedSpace(a), RankedSpace(np.exp(a))) == 1.0
    assert rho_replicates(RankedSpace(a), RankedSpace(a), counts) == pytest.approx(1, abs=1e-6)
    nothing = RankedSpace(np.full((20, 20), np.nan))
    assert np.isnan(rho(RankedSpace(a), nothing))
    assert np.isnan(rho_replicates(RankedSpace(a), nothing, counts)).all()


def test_resamples_that_draw_one_clip_only_are_undefined():
    a, b = random_pair(18, n=3)
    counts = np.array([[3, 0, 0], [1, 1, 1]], np.float32)
    found = rho_replicates(RankedSpace(a), RankedSpace(b), counts)
    assert np.isnan(found).tolist() == [True, False]


def test_a_side_that_is_constant_within_a_resample_is_undefined():
    # One pair apart from all others: a resample without it has nothing to correlate.
    a, _ = random_pair(19, n=40)
    b = np.ones((40, 40))
    b[0, 1] = 2.0
    counts = np.ones((2, 40), np.float32)
    counts[0, 0] = 0
    found = rho_replicates(RankedSpace(a), RankedSpace(b), counts)
    assert np.isnan(found).tolist() == [True, False]


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_clips_changes_no_replicate(seed):
    a, b = random_pair(seed, n=8, levels=20)
    counts = resamples(8, n_resamples=6, rng=generator(seed))
    order = generator(seed).permutation(8)
    square = np.ix_(order, order)
    found = rho_replicates(RankedSpace(a), RankedSpace(b), counts)
    shuffled = rho_replicates(RankedSpace(a[square]), RankedSpace(b[square]), counts[:, order])
    assert found.tolist() == pytest.approx(shuffled.tolist(), abs=1e-5, nan_ok=True)


def test_coverage_of_rho_needs_pairs_of_clips():
    """Clips are points; the truth is rho over all pairs of a large population.

    Weighing rows alone gives intervals that are too short; weighing pairs covers the truth.
    """
    rng = generator(20)

    def spaces(n):
        own_axis, shared = rng.standard_normal((n, 1)), rng.standard_normal((n, 1))
        other = rng.standard_normal((n, 1))
        a, b = np.hstack([own_axis, shared]), np.hstack([other, shared])
        return tuple(np.linalg.norm(x[:, None] - x[None], axis=-1) for x in (a, b))

    def limits_of_rows(a, b):
        p, q = (RankedSpace(d).ranks for d in (a, b))
        terms = np.stack([p * q, p * p, q * q, p, q]).sum(axis=2)
        pq, pp, qq, mean_p, mean_q = mean_replicates(terms / 39, counts)
        covariance = pq - mean_p * mean_q
        return percentile_interval(covariance / np.sqrt((pp - mean_p**2) * (qq - mean_q**2)))

    truth = between_space_rho(*spaces(1500))
    counts = resamples(40, n_resamples=200, rng=rng)
    covered, covered_rows, ratio = [], [], []
    for _ in range(200):
        a, b = spaces(40)
        low, high, _ = percentile_interval(rho_replicates(RankedSpace(a), RankedSpace(b), counts))
        low_rows, high_rows, _ = limits_of_rows(a, b)
        covered.append(low <= truth <= high)
        covered_rows.append(low_rows <= truth <= high_rows)
        ratio.append((high_rows - low_rows) / (high - low))
    assert 0.88 <= np.mean(covered) <= 0.99
    assert np.mean(covered_rows) < 0.75
    assert 0.4 < np.median(ratio) < 0.65


# Own distances, trials


def test_own_rho_replicates_are_correlations_of_the_clips_drawn():
    rng = generator(21)
    x = rng.random(15)
    y = np.round(x + rng.random(15), 1)
    x[4] = np.nan
    y[7] = np.nan
    valid = ~np.isnan(x + y)
    counts = resamples(15, n_resamples=20, rng=generator(22))
    found = own_rho_replicates(x, y, counts)
    ranks = [naive.average_ranks(v[valid].tolist()) for v in (x, y)]
    expected = [naive.pearson(*ranks, count[valid].astype(float)) for count in counts]
    assert found.tolist() == pytest.approx(expected, abs=1e-12, nan_ok=True)
    once = own_rho_replicates(x, y, np.ones((1, 15), np.float32))
    expected = scipy.stats.spearmanr(x[valid], y[valid]).statistic
    assert once[0] == pytest.approx(expected, abs=1e-12)
    assert np.isnan(own_rho_replicates(np.full(15, np.nan), y, counts)).all()
    assert np.isnan(own_rho_replicates(np.ones(15), y, counts)).all()


def test_crossed_replicates_have_the_variance_of_both():
    # Trial means drawn with spread 1 around clips' replicates of spread 0.5: variances add.
    rng = generator(23)
    trials = 400
    effect = rng.standard_normal(trials)
    clips = 0.5 * rng.standard_normal(3000)
    per_trial = effect[:, None] + clips[None]
    drawn = resamples(trials, n_resamples=3000, rng=rng).T
    found = crossed_replicates(per_trial, drawn)
    assert found.shape == (3000,)
    expected = effect.var() / trials + clips.var()
    assert found.var() == pytest.approx(expected, rel=0.1)
    b = 17
    assert found[b] == pytest.approx(np.repeat(per_trial[:, b], drawn[:, b].astype(int)).mean())


def test_an_undefined_trial_counts_only_where_it_was_drawn():
    found = crossed_replicates([[np.nan, np.nan], [0.5, 0.5]], [[0, 1], [2, 1]])
    assert found.tolist() == pytest.approx([0.5, np.nan], nan_ok=True)


# Faces


def test_every_export_is_found_where_the_table_says():
    for name, path in statistics.EXPORTS.items():
        module, _, attribute = path.partition(":")
        assert getattr(statistics, name) is getattr(importlib.import_module(module), attribute)
        assert name in statistics.__all__
        assert name in dir(statistics)
    with pytest.raises(AttributeError, match="nonsense"):
        statistics.nonsense  # noqa: B018


def test_what_does_not_fit_is_refused_in_one_sentence():
    a, b = random_pair(24, n=5)
    counts = resamples(4, n_resamples=3, rng=generator())
    with pytest.raises(InputError, match=r"counts of shape \[3, 4\] for 5 clips"):
        rho_replicates(RankedSpace(a), RankedSpace(b), counts)
    with pytest.raises(InputError, match=r"counts of shape \[3, 4\] for 5 clips"):
        mean_replicates(np.ones(5), counts)
    with pytest.raises(InputError, match=r"shapes \[5, 5\] and \[4, 4\]: must be of the same"):
        rho(RankedSpace(a), RankedSpace(b[:4, :4]))
    with pytest.raises(InputError, match=r"must both be \[N\]"):
        own_rho_replicates(np.ones(3), np.ones(4), counts)
    with pytest.raises(InputError, match=r"must both be \[T, B\]"):
        crossed_replicates(np.ones((2, 3)), np.ones((3, 2)))
    with pytest.raises(InputError, match=r"n_clips=0: must be >= 1"):
        resamples(0, rng=generator())
    with pytest.raises(InputError, match=r"n_resamples=0: must be >= 1"):
        resamples(3, n_resamples=0, rng=generator())
    with pytest.raises(InputError, match=r"level=95: must be between 0 and 1"):
        percentile_interval([1.0, 2.0], level=95)
    with pytest.raises(InputError, match=r"no replicates"):
        percentile_interval([])


def test_the_examples_run():
    module = importlib.import_module("nearkin.statistics.bootstrap")
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
