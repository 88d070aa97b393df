"""Bits, rates and aliasing against their closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from nearkin.transforms import Aliasing, BitDepth, Resampling

SR = 22_050
T = np.arange(2 * SR) / SR


def level_db(y, hz):
    """The level of a partial, away from the ends, against an amplitude of 1."""
    middle = slice(SR // 2, -SR // 2)
    return 20 * np.log10(2 * abs(np.mean(y[middle] * np.exp(-2j * np.pi * hz * T[middle]))) + 1e-9)


@pytest.mark.parametrize("bits", [4, 6, 8, 12, 15])
def test_six_db_a_bit(bits):
    y = np.random.default_rng(0).uniform(-1, 1, 200_000).astype(np.float32)
    error = BitDepth(bits)(y, sr=SR) - y
    # Uniform noise of power 1/3 against rounding errors of step**2 / 12, step = 2**(1 - bits).
    assert 10 * np.log10(np.mean(y**2) / np.mean(error**2)) == pytest.approx(
        20 * np.log10(2) * bits, abs=0.05
    )
    assert len(np.unique(BitDepth(bits)(y, sr=SR))) <= 2**bits + 1


def test_pedalboards_bits_are_one_more():
    """What Deng et al. call n bits has n bits for each sign: 2**n steps from 0 to full scale."""
    pedalboard = pytest.importorskip("pedalboard")
    y = np.random.default_rng(0).uniform(-1, 1, 20_000).astype(np.float32)
    for bits in (4, 8):
        theirs = pedalboard.Bitcrush(bits)(y, SR)
        np.testing.assert_allclose(theirs, BitDepth(bits + 1)(y, sr=SR), atol=1e-6)


@pytest.mark.parametrize("rate_hz", [4_000.0, 8_000.0, 16_000.0])
def test_what_lies_above_half_the_lower_rate_is_gone(rate_hz):
    for share, low, high in ((0.4, -0.01, 0.01), (0.55, -200, -80)):
        hz = share * rate_hz
        out = Resampling(rate_hz)(np.sin(2 * np.pi * hz * T), sr=SR)
        assert low <= level_db(out, hz) <= high


def test_a_higher_rate_changes_nothing():
    y = np.random.default_rng(0).standard_normal(5_000).astype(np.float32)
    np.testing.assert_array_equal(Resampling(SR)(y, sr=SR), y)


@pytest.mark.parametrize(("every", "hz"), [(2, 8_000.0), (4, 4_000.0), (8, 2_000.0), (3, 6_000.0)])
def test_partials_fold_down(every, hz):
    out = Aliasing(every)(np.sin(2 * np.pi * hz * T), sr=SR)
    rate = SR / every
    folded = abs(hz - rate * round(hz / rate))
    assert level_db(out, folded) == pytest.approx(0, abs=0.05)
    assert level_db(out, hz) < -60
