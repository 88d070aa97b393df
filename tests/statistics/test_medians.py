"""Medians of resamples, held to numpy's median of the resamples written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearkin.errors import InputError
from nearkin.statistics.bootstrap import resamples
from nearkin.statistics.medians import median_replicates


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
