from __future__ import annotations

import importlib

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nearkin import statistics
from nearkin.errors import InputError
from nearkin.statistics import (
    crossed_replicates,
    mean_replicates,
    median_replicates,
    percentile_interval,
    resamples,
)


def generator(seed=0):
    return np.random.default_rng(seed)


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


# Medians


@settings(deadline=None)
@given(
    n=st.integers(1, 12),
    seed=st.integers(0, 1000),
    decimals=st.integers(0, 3),
    missing=st.floats(0, 1),
)
def test_the_median_of_every_resample_written_out(
    n: int, seed: int, decimals: int, missing: float
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(3, n)).round(decimals)  # few decimals: ties
    values[rng.random((3, n)) < missing] = np.nan
    counts = resamples(n, n_resamples=20, rng=rng)
    found = median_replicates(values, counts)
    for row, medians in zip(values, found, strict=True):
        for weights, median in zip(counts.astype(int), medians, strict=True):
            drawn = np.repeat(row, weights)
            drawn = drawn[~np.isnan(drawn)]
            expected = np.median(drawn) if drawn.size else np.nan
            assert median == pytest.approx(expected, abs=1e-12, nan_ok=True)
    assert np.array_equal(median_replicates(values[0], counts), found[0], equal_nan=True)


def test_infinite_values_have_their_place() -> None:
    counts = np.array([[1, 1, 1], [0, 0, 3], [1, 0, 2]], np.float32)
    assert median_replicates([-np.inf, 1.0, np.inf], counts).tolist() == [1.0, np.inf, np.inf]
    assert np.isnan(median_replicates([-np.inf, np.inf], counts[:1, :2])).all()


def test_the_interval_of_a_median_is_that_of_order_statistics() -> None:
    """Distribution-free: the 95 % interval of 101 clips lies between the 41st and the 61st value.

    Binomial(101, 1/2): P(40 < X < 61) is .954, and P(41 < X < 60) .927 (David and
    Nagaraja, Order Statistics, section 7.1); the bootstrap's limits are values of the sample.
    """
    values = np.arange(1.0, 102.0)
    counts = resamples(101, n_resamples=20_000, rng=np.random.default_rng(0))
    low, high = np.quantile(median_replicates(values, counts), [0.025, 0.975])
    assert 40 <= low <= 42
    assert 60 <= high <= 62


def test_clips_that_do_not_fit_are_refused() -> None:
    counts = resamples(4, n_resamples=5, rng=np.random.default_rng(0))
    with pytest.raises(InputError, match=r"counts of shape \[5, 4\] for 3 clips"):
        median_replicates([1.0, 2.0, 3.0], counts)


# Trials


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
    counts = resamples(4, n_resamples=3, rng=generator())
    with pytest.raises(InputError, match=r"counts of shape \[3, 4\] for 5 clips"):
        mean_replicates(np.ones(5), counts)
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
