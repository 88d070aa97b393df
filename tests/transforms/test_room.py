"""Rooms: Schroeder's decay, the first arrivals of Freeverb, and pedalboard's own."""

from __future__ import annotations

import numpy as np
import pytest

from nearkin.transforms import Echo, Freeverb, Reverberation

SR = 22_050


def impulse(seconds=4.0, sr=SR):
    y = np.zeros(round(seconds * sr), np.float32)
    y[0] = 1
    return y


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("rt60_s", [0.1, 0.5, 1.0, 2.0])
def test_energy_falls_by_sixty_db_in_the_reverberation_time(rt60_s):
    h = Reverberation(rt60_s)(impulse(), sr=SR, rng=rng())
    assert h[0] == 1
    gap = 1 + round(0.002 * SR)
    np.testing.assert_allclose(h[1 : gap - 1], 0, atol=1e-6)
    tail = h[gap:].astype(np.float64)
    assert np.sum(tail**2) == pytest.approx(1, abs=0.01)  # a direct-to-reverberant ratio of 0 dB
    left = 10 * np.log10(np.cumsum(tail[::-1] ** 2)[::-1] / np.sum(tail**2))
    t20 = 3 * (np.argmax(left < -25) - np.argmax(left < -5)) / SR  # ISO 3382: from -5 to -25 dB
    assert t20 == pytest.approx(rt60_s, rel=0.08)


def test_one_noise_serves_every_time():
    short, long = (Reverberation(t)(impulse(), sr=SR, rng=rng()) for t in (0.2, 1.0))
    head = slice(46, 200)
    assert np.corrcoef(short[head], long[head])[0, 1] > 0.95
    other = Reverberation(0.2)(impulse(), sr=SR, rng=rng(1))
    assert abs(np.corrcoef(short[head], other[head])[0, 1]) < 0.4


def test_the_first_arrivals_of_freeverb():
    h = Freeverb(0.5)(impulse(sr=44_100), sr=44_100)
    assert h[0] == pytest.approx(0.8)  # dry
    # The first comb's delay is 1,116 samples; 0.015 goes in, four all-passes turn it over four
    # times, 0.99 of it is mixed in. The second and third arrive before the shortest all-pass.
    np.testing.assert_allclose(h[1:1116], 0, atol=1e-9)
    for delay in (1116, 1188, 1277):
        assert h[delay] == pytest.approx(0.015 * 0.99, rel=1e-5)


@pytest.mark.parametrize("sr", [22_050, 44_100])
@pytest.mark.parametrize("room_size", [0.01, 0.5, 1.0])
def test_freeverb_is_pedalboards(room_size, sr):
    pedalboard = pytest.importorskip("pedalboard")
    y = (0.1 * np.random.default_rng(1).standard_normal(sr)).astype(np.float32)
    theirs = pedalboard.Reverb(room_size=room_size)(y, sr)
    ours = Freeverb(room_size)(y, sr=sr)
    assert np.std(ours - theirs) < 1e-3 * np.std(theirs)


@pytest.mark.parametrize("level_db", [-24.0, -6.0, 0.0])
@pytest.mark.parametrize("hz", [100.0, 105.0, 1_002.5])
def test_an_echo_is_a_comb(level_db, hz):
    t = np.arange(2 * SR) / SR
    out = Echo(level_db)(np.sin(2 * np.pi * hz * t), sr=SR)[SR:]
    amplitude = 2 * abs(np.mean(out * np.exp(-2j * np.pi * hz * t[SR:])))
    closed_form = abs(1 + 10 ** (level_db / 20) * np.exp(-2j * np.pi * hz * 0.1))
    assert amplitude == pytest.approx(closed_form, abs=2e-3)
