"""How many clips would settle it, against scipy's exact test and closed forms."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from scipy import stats

from nearkin.statistics import settling
from nearkin.statistics.intervals import exact_limits


@pytest.mark.parametrize("threshold", [0.5, 0.9, 0.95, 0.99])
def test_all_right_needs_what_the_closed_form_says(threshold: float) -> None:
    expected = int(np.ceil(np.log(0.025) / np.log(threshold)))
    assert settling.clips_for_share(1.0, threshold) == expected
    # none right: 1 - .025 ** (1 / n) < threshold
    none_right = next(n for n in range(1, 10_000) if 1 - 0.025 ** (1 / n) < threshold)
    assert settling.clips_for_share(0.0, threshold) == none_right


@pytest.mark.parametrize("share", [0.8, 0.9, 0.93, 0.97, 0.99, 1.0])
def test_it_is_the_smallest_number_that_settles(share: float) -> None:
    n = settling.clips_for_share(share, 0.95)
    assert n is not None

    def settled(n: int) -> bool:
        low, high = exact_limits(share, n)
        return low >= 0.95 or high < 0.95

    assert settled(n)
    assert not any(settled(fewer) for fewer in range(max(2, n - 200), n))


def test_at_the_threshold_nothing_settles() -> None:
    assert settling.clips_for_share(0.95, 0.95) is None
    assert settling.clips_for_mean(0.9, 0.1, 10, 0.9) is None
    assert settling.clips_for_mean(0.91, float("nan"), 10, 0.9) is None


def test_a_means_number_rises_with_the_square_of_the_reach() -> None:
    assert settling.clips_for_mean(0.8, 0.2, 50, 0.9) == 200
    assert settling.clips_for_mean(0.8, 0.1, 50, 0.9) == 51  # more than there are


def test_equal_values_are_bounded_by_what_the_others_could_be() -> None:
    """All n right: a share q or more is as seen but for one in forty; the rest may be -1."""
    low, high = settling.bounded_interval(1.0, -1.0, 1.0, 20)
    assert high == 1
    q = stats.binomtest(20, 20).proportion_ci().low
    assert low == pytest.approx(q - (1 - q))


def test_doc_examples() -> None:
    assert doctest.testmod(settling).failed == 0
