"""What is done to amplitudes, against arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from nearkin.transforms import Clipping, Compression, Gain, Offset, Polarity, Saturation, Tremolo

SR = 22_050
T = np.arange(2 * SR) / SR
NOISE = np.random.default_rng(0).standard_normal(2 * SR).astype(np.float32) * np.float32(0.2)


def db(ratio):
    return 20 * np.log10(ratio)


def square(amplitude, n=SR):
    return np.where(np.arange(n) % 100 < 50, amplitude, -amplitude)


@pytest.mark.parametrize("gain_db", [-40.0, -6.0, 5.0])
def test_gain(gain_db):
    out = Gain(gain_db)(NOISE, sr=SR)
    np.testing.assert_allclose(out, NOISE * 10 ** (gain_db / 20), rtol=1e-6)


@pytest.mark.parametrize("percent", [0.1, 1.0, 5.0, 20.0])
def test_so_many_samples_lie_at_the_limit(percent):
    out = Clipping(percent)(NOISE, sr=SR)
    limit = np.abs(out).max()
    assert 100 * np.mean(np.abs(out) >= limit) == pytest.approx(percent, abs=0.01)
    below = np.abs(NOISE) < limit
    np.testing.assert_array_equal(out[below], NOISE[below])


@pytest.mark.parametrize("drive_db", [0.0, 12.0, 24.0])
def test_saturation_is_the_hyperbolic_tangent(drive_db):
    y = np.array([1.0, 0.5, 1e-5, -0.5])
    g = 10 ** (drive_db / 20)
    np.testing.assert_allclose(Saturation(drive_db)(y, sr=SR), np.tanh(g * y) / g, rtol=1e-6)
    # Scaled signals are bent alike.
    np.testing.assert_allclose(
        Saturation(drive_db)(0.1 * y, sr=SR), 0.1 * np.tanh(g * y) / g, rtol=1e-6
    )


@pytest.mark.parametrize("ratio", [1.5, 2.0, 4.0, 20.0])
def test_a_steady_level_ten_db_above_the_threshold(ratio):
    out = Compression(ratio)(square(0.3), sr=SR)
    assert db(np.abs(out[-1000:]).mean() / 0.3) == pytest.approx(-10 * (1 - 1 / ratio), abs=0.01)


def test_what_lies_below_the_threshold_is_left_alone():
    y = np.concatenate([square(0.01, SR), square(0.5, SR)])  # 34 dB apart
    out = Compression(8)(y, sr=SR)
    np.testing.assert_allclose(out[: SR - 50], y[: SR - 50], rtol=1e-4)
    assert np.abs(out[-100:]).max() < 0.2


def test_attack_and_release_are_exponentials_of_the_power():
    y = np.concatenate([square(0.1, SR), square(1.0, SR), square(0.1, SR)])
    mean = np.mean(y**2)
    gain = np.abs(Compression(4)(y, sr=SR)) / np.abs(y)
    # At one time constant the power has gone 1 - 1/e of its way: 5 ms up, 100 ms down.
    for start, tau_s, before, after in ((SR, 0.005, 0.01, 1.0), (2 * SR, 0.1, 1.0, 0.01)):
        power = after + (before - after) * np.exp(-1)
        over = 10 * np.log10(power / mean) + 10
        at = gain[start + round(tau_s * SR)]
        assert db(at) == pytest.approx(-over * 0.75, abs=0.5)


@pytest.mark.parametrize("depth", [0.1, 0.5, 1.0])
def test_tremolo_swings_five_times_a_second(depth):
    out = Tremolo(depth)(np.ones(SR), sr=SR)
    np.testing.assert_allclose([out.max(), out.min()], [1.0, 1 - depth], atol=1e-4)
    spectrum = np.abs(np.fft.rfft(out - out.mean()))
    assert np.argmax(spectrum) == 5
    assert 2 * spectrum[5] / SR == pytest.approx(depth / 2, rel=1e-4)


def test_polarity_and_offset():
    np.testing.assert_array_equal(Polarity(1)(NOISE, sr=SR), -NOISE)
    np.testing.assert_allclose(Offset(0.1)(NOISE, sr=SR) - NOISE, 0.1, atol=1e-7)
