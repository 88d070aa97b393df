"""The SNR at which half of the clips can be led astray: closed form, censoring, coverage."""

from __future__ import annotations

import math

import numpy as np

from nearkin.attacks.crossing import half_astray

SNRS = np.array([60.0, 50.0, 40.0, 30.0])


def table(limits: np.ndarray) -> np.ndarray:
    """Each clip can be led astray at its own SNR and below."""
    return SNRS[:, None] <= limits[None]


def test_between_two_snrs_it_is_interpolated() -> None:
    limits = np.array([55.0] * 2 + [45.0] * 6 + [0.0] * 2)  # shares 0, .2, .8, .8
    found = half_astray(table(limits), SNRS)
    assert found.value == 45.0
    assert found.low < 45.0 < found.high


def test_beyond_the_snrs_of_the_run_it_is_infinite() -> None:
    assert half_astray(table(np.full(50, 70.0)), SNRS).value == math.inf
    assert half_astray(table(np.full(50, 70.0)), SNRS).low == math.inf
    assert half_astray(table(np.full(50, 10.0)), SNRS) == (-math.inf, -math.inf, -math.inf)


def test_a_search_that_fails_below_what_it_found_above_counts_as_found() -> None:
    lost = table(np.full(9, 55.0))
    lost[3] = False
    assert half_astray(lost, SNRS).value == half_astray(table(np.full(9, 55.0)), SNRS).value


def test_the_interval_holds_the_truth() -> None:
    rng = np.random.default_rng(0)
    # where each clip falls is normal about 45 dB: shares at the SNRs are known, and so is where
    # the line between them crosses one half
    truth = 45.0
    held = [
        one.low <= truth <= one.high
        for one in (half_astray(table(rng.normal(45, 8, 40)), SNRS) for _ in range(300))
    ]
    assert np.mean(held) > 0.93


def test_clips_of_one_file_are_no_independent_draws() -> None:
    limits = np.repeat(np.random.default_rng(1).normal(45, 8, 10), 6)
    alone = half_astray(table(limits), SNRS)
    together = half_astray(table(limits), SNRS, np.repeat(np.arange(10), 6))
    assert together.high - together.low > 1.5 * (alone.high - alone.low)
