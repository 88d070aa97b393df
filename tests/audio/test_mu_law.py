"""Mu-law against its curve: the nearest of 256 levels, searched for one by one."""

from __future__ import annotations

import numpy as np
import pytest

from nearkin.audio.mu_law import through_mu_law
from support import signals


def nearest_level(x: float) -> float:
    """The definition, without arithmetic shared with the code: try every level (0 is a tie)."""
    levels = [2 * k / 255 - 1 for k in range(256)]
    values = [np.copysign((256 ** abs(level) - 1) / 255, level) for level in levels]
    compressed = np.copysign(np.log(1 + 255 * abs(x)) / np.log(256), x)
    return values[int(np.argmin([abs(compressed - level) for level in levels]))]


def test_every_sample_becomes_the_nearest_level() -> None:
    x = np.concatenate([np.linspace(-1, 1, 400), np.geomspace(1e-6, 1, 200)])
    expected = [nearest_level(value) for value in x]
    found = through_mu_law(x)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert len(np.unique(through_mu_law(np.linspace(-1, 1, 200_001)))) == 256


def test_what_was_stored_stays_as_it_is() -> None:
    once = through_mu_law(signals.white(1.0))
    np.testing.assert_array_equal(through_mu_law(once), once)


def test_full_scale_is_the_limit() -> None:
    np.testing.assert_allclose(through_mu_law([-3.0, -1.0, 1.0, 40.0]), [-1, -1, 1, 1])


@pytest.mark.parametrize("level_db", [-3, -10, -20, -30])
def test_the_noise_is_some_38_db_below_the_signal_at_any_level(level_db: float) -> None:
    # G.711 gives a sine 37 to 39 dB over this range.
    y = 10 ** (level_db / 20) * signals.sine(441.7, 2.0)
    noise = through_mu_law(y) - y
    assert 20 * np.log10(np.std(y) / np.std(noise)) == pytest.approx(38, abs=1.5)


def test_channels_and_the_input_stay() -> None:
    y = np.stack([signals.white(0.1), signals.sine(300, 0.1)])
    before = y.copy()
    assert through_mu_law(y).shape == y.shape
    np.testing.assert_array_equal(y, before)
