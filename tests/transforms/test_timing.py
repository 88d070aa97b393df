"""Speed, wow, offsets, gaps and losses against what they are by definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import hilbert

from nearkin.errors import InputError
from nearkin.transforms import PacketLoss, Reversal, Speed, TimeMask, TimeOffset, Wow

SR = 22_050
T = np.arange(4 * SR) / SR


@pytest.mark.parametrize("ratio", [0.7, 0.95, 1.05, 1.4, 2.0])
def test_speed_moves_pitch_and_length_alike(ratio):
    out = Speed(ratio)(np.sin(2 * np.pi * 440 * T), sr=SR)
    assert len(out) == round(len(T) / ratio)
    bins = 16 * len(out)
    hz = np.argmax(np.abs(np.fft.rfft(out * np.hanning(len(out)), bins))) * SR / bins
    assert 1200 * abs(np.log2(hz / (440 * ratio))) < 0.3  # cents
    middle = out[len(out) // 4 : -len(out) // 4]
    assert np.sqrt(2) * np.std(middle) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("percent", [0.1, 1.0, 5.0])
def test_wow_swings_the_frequency(percent):
    out = Wow(percent)(np.sin(2 * np.pi * 1_000 * T), sr=SR)
    hz = (
        np.diff(np.unwrap(np.angle(hilbert(out.astype(np.float64)))))[SR // 4 : -SR // 4]
        * SR
        / 2
        / np.pi
    )
    expected = 1_000 * (1 + percent / 100 * np.cos(2 * np.pi * T[: len(hz)] + np.pi / 2))
    np.testing.assert_allclose(hz, expected, atol=0.2)
    exact = np.sin(2 * np.pi * 1_000 * (T + percent / 100 / 2 / np.pi * np.sin(2 * np.pi * T)))
    middle = slice(SR, -SR)
    assert np.std(out[middle] - exact[middle]) < 1e-4 * np.std(exact)


@pytest.mark.parametrize("offset_ms", [-500.0, -5.0, 20.0, 1_000.0])
def test_the_middle_moves_by_the_offset(offset_ms):
    y = np.random.default_rng(0).standard_normal(4 * SR).astype(np.float32)
    out = TimeOffset(offset_ms)(y, sr=SR)
    shift = round(offset_ms / 1000 * SR)
    clip = 2 * SR  # 2 s from the middle, as a run cuts them
    start = (len(out) - clip) // 2
    wanted = (len(y) - clip) // 2 + shift
    np.testing.assert_array_equal(out[start : start + clip], y[wanted : wanted + clip])


def test_nothing_is_made_up_beyond_the_signal():
    with pytest.raises(InputError, match="less than half the signal's 4000 ms"):
        TimeOffset(2_500)(T, sr=SR)
    assert len(TimeOffset(1_500)(T, sr=SR)) < 2 * SR  # too short for a clip, which is told there


def test_reversal_and_gap():
    y = np.random.default_rng(0).standard_normal(SR).astype(np.float32)
    np.testing.assert_array_equal(Reversal(1)(y, sr=SR), y[::-1])
    out = TimeMask(200)(y, sr=SR)
    silent = np.flatnonzero(out == 0)
    assert len(silent) == 4_410
    assert silent[0] + silent[-1] == SR - 1  # in the middle
    kept = np.setdiff1d(np.arange(SR), silent)
    np.testing.assert_array_equal(out[kept], y[kept])


@pytest.mark.parametrize("percent", [1.0, 10.0, 40.0, 100.0])
def test_so_many_packets_are_lost(percent):
    out = PacketLoss(percent)(np.ones(4 * SR), sr=SR, rng=np.random.default_rng(0))
    packets = 4 * SR // 441
    assert np.sum(out == 0) == round(percent / 100 * packets) * 441
    lost = (out[: packets * 441].reshape(packets, 441) == 0).mean(axis=1)
    assert set(lost) <= {0.0, 1.0}


def test_what_is_lost_is_lost_at_higher_rates_too():
    few, many = (
        PacketLoss(p)(np.ones(4 * SR), sr=SR, rng=np.random.default_rng(0)) for p in (5, 20)
    )
    assert (many[few == 0] == 0).all()
    assert np.sum(many == 0) > np.sum(few == 0)
