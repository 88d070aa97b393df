from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from threadpoolctl import threadpool_limits

from nearkin.consistency import (
    RankedSpace,
    agreement,
    agreement_replicates,
    between_space_rho,
    neighbours,
    own_rho_replicates,
    rho,
    rho_replicates,
    within_space_at_by_clip,
)
from nearkin.errors import InputError
from nearkin.statistics import mean_replicates, percentile_interval, resamples
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


def test_what_does_not_fit_is_refused_in_one_sentence():
    a, b = random_pair(24, n=5)
    counts = resamples(4, n_resamples=3, rng=generator())
    with pytest.raises(InputError, match=r"counts of shape \[3, 4\] for 5 clips"):
        rho_replicates(RankedSpace(a), RankedSpace(b), counts)
    with pytest.raises(InputError, match=r"shapes \[5, 5\] and \[4, 4\]: must be of the same"):
        rho(RankedSpace(a), RankedSpace(b[:4, :4]))
    with pytest.raises(InputError, match=r"must both be \[N\]"):
        own_rho_replicates(np.ones(3), np.ones(4), counts)
