"""Filters against closed forms: Butterworth's |H|**2 = 1 / (1 + w**2n), slopes, all-pass phases."""

from __future__ import annotations

import numpy as np
import pytest

from nearkin.errors import InputError
from nearkin.transforms import AllPass, BandHole, HighPass, LowPass, Tilt, transformation

SR = 22_050


def response(made, hz: float, sr: int = SR) -> complex:
    """The response measured on a sine, away from the ends."""
    t = np.arange(4 * sr) / sr
    out = made(np.sin(2 * np.pi * hz * t), sr=sr)[sr:-sr]
    return complex(2 * np.mean(out * np.exp(-2j * np.pi * hz * t[sr:-sr])) / 1j**-1)


def gain_db(cutoff_hz: float, hz: float, sr: int = SR, kind: type = LowPass) -> float:
    measured = response(kind(cutoff_hz), hz, sr)
    assert abs(np.angle(measured)) < 1e-3 or abs(measured) < 1e-3, "no delay: the phase is zero"
    return float(20 * np.log10(abs(measured)))


@pytest.mark.parametrize("cutoff_hz", [50.0, 500.0, 4_000.0, 10_000.0])
@pytest.mark.parametrize("sr", [16_000, 22_050, 44_100])
def test_half_the_amplitude_is_left_at_the_cutoff(cutoff_hz, sr):
    if cutoff_hz < sr / 2:
        assert gain_db(cutoff_hz, cutoff_hz, sr) == pytest.approx(-6.021, abs=0.01)


@pytest.mark.parametrize("cutoff_hz", [200.0, 1_000.0, 5_000.0])
@pytest.mark.parametrize("times", [0.1, 0.5, 0.9, 1.2, 2.0])
def test_the_gain_is_that_of_two_passes_of_order_four(cutoff_hz, times):
    hz = cutoff_hz * times
    warped = np.tan(np.pi * hz / SR) / np.tan(np.pi * cutoff_hz / SR)  # the bilinear transform
    closed_form = -10 * np.log10(1 + warped**8) * 2
    assert gain_db(cutoff_hz, hz) == pytest.approx(closed_form, abs=0.02)


def test_above_half_the_rate_there_is_nothing_to_take_away():
    y = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    np.testing.assert_array_equal(LowPass(SR / 2)(y, sr=SR), y)
    assert np.abs(LowPass(SR / 2 - 1)(y, sr=SR) - y).max() > 0


@pytest.mark.parametrize("n", [1, 2, 17, 1000])
def test_short_signals(n):
    out = LowPass(30)(np.ones(n), sr=SR)
    np.testing.assert_allclose(out, 1.0, atol=1e-3)  # a constant passes


def test_more_of_the_signal_goes_as_the_cutoff_falls():
    y = np.random.default_rng(0).standard_normal(SR)
    made = [transformation("LP", hz) for hz in (8_000, 4_000, 1_000, 100)]
    assert np.all(np.diff([one.severity for one in made]) > 0)
    left = [np.mean(np.square(one(y, sr=SR))) for one in made]
    assert np.all(np.diff(left) < 0)


@pytest.mark.parametrize("cutoff_hz", [50.0, 500.0, 2_000.0])
@pytest.mark.parametrize("times", [0.5, 0.9, 1.0, 1.2, 4.0])
def test_a_high_pass_is_the_mirror_of_a_low_pass(cutoff_hz, times):
    hz = cutoff_hz * times
    warped = np.tan(np.pi * cutoff_hz / SR) / np.tan(np.pi * hz / SR)
    closed_form = -10 * np.log10(1 + warped**8) * 2
    assert gain_db(cutoff_hz, hz, kind=HighPass) == pytest.approx(closed_form, abs=0.02)


def test_a_high_pass_takes_a_constant_away():
    assert np.abs(HighPass(500)(np.ones(4 * SR), sr=SR)[SR:-SR]).max() < 1e-6
    with pytest.raises(InputError, match="below 11025 Hz"):
        HighPass(11_025)(np.ones(4 * SR), sr=SR)


@pytest.mark.parametrize("slope", [-6.0, -1.0, 3.0])
@pytest.mark.parametrize("hz", [125.0, 500.0, 1_000.0, 2_000.0, 8_000.0])
def test_a_tilt_has_its_slope(slope, hz):
    measured = response(Tilt(slope), hz)
    assert 20 * np.log10(abs(measured)) == pytest.approx(slope * np.log2(hz / 1_000), abs=0.02)
    assert abs(np.angle(measured)) < 1e-3


@pytest.mark.parametrize("octaves", [0.25, 1.0, 4.0])
def test_a_hole_is_as_wide_as_it_says(octaves):
    edge = 1_000 * 2 ** (octaves / 2)
    for hz in (edge * 0.97, 1e6 / edge * 1.03):
        assert abs(response(BandHole(octaves), hz)) < 0.01
    for hz in (edge * 1.03, 1e6 / edge * 0.97):
        assert abs(response(BandHole(octaves), hz)) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("stages", [1, 4, 16])
@pytest.mark.parametrize("hz", [200.0, 900.0, 1_000.0, 3_000.0])
def test_an_all_pass_turns_phases_only(stages, hz):
    measured = response(AllPass(stages), hz)
    assert abs(measured) == pytest.approx(1, abs=1e-3)
    # The analogue prototype (s**2 - s/Q + 1) / (s**2 + s/Q + 1) at the warped frequency.
    w = np.tan(np.pi * hz / SR) / np.tan(np.pi * 1_000 / SR)
    one = (1 - w**2 - 1j * w / 0.7) / (1 - w**2 + 1j * w / 0.7)
    assert abs(measured - one**stages) < 2e-3
