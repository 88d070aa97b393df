"""Hum, other music and crackle: levels, lines and counts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import correlate

from nearkin.errors import InputError
from nearkin.transforms import Crackle, Hum, NoiseLibrary, OtherMusic, transformation
from support import signals

SR = 22_050
Y = (0.1 * np.random.default_rng(5).standard_normal(4 * SR)).astype(np.float32)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("kind", [Hum, OtherMusic])
@pytest.mark.parametrize("snr_db", [-10.0, 0.0, 20.0])
def test_levels_are_exact(kind, snr_db):
    added = kind(snr_db)(Y, sr=SR, rng=rng()).astype(np.float64) - Y
    assert 10 * np.log10(np.var(Y) / np.var(added)) == pytest.approx(snr_db, abs=0.01)


def test_hum_is_fifty_hertz_and_its_harmonics():
    hum = Hum(0)(Y, sr=SR, rng=rng()) - Y
    lines = np.abs(np.fft.rfft(hum))[:: 4 * 50]  # bins of 1/4 Hz
    np.testing.assert_allclose(lines[1:12] / lines[1], 1 / np.arange(1, 12), rtol=0.01)
    assert lines[12:].max() < 1e-3 * lines[1]
    assert Hum(0)(Y, sr=800, rng=rng()).shape == Y.shape  # harmonics above half the rate are left


def test_other_music_is_other_for_every_clip_and_one_at_every_level():
    a, b = (OtherMusic(snr)(Y, sr=SR, rng=rng()) - Y for snr in (0, 20))
    assert np.corrcoef(a, b)[0, 1] > 0.9999
    c = OtherMusic(0)(Y, sr=SR, rng=rng(1)) - Y
    assert abs(np.corrcoef(a, c)[0, 1]) < 0.5


@pytest.fixture
def others(tmp_path):
    for k in range(3):
        signals.write_float(tmp_path / f"{k}.wav", 0.2 * signals.white(10, SR, seed=k), SR)
    return NoiseLibrary.from_path(tmp_path)


@pytest.mark.parametrize("snr_db", [-10.0, 0.0, 20.0])
def test_own_recordings_are_mixed_in_at_an_exact_level(others, snr_db):
    mixed = OtherMusic(snr_db, music=others)(Y, sr=SR, rng=rng(3)).astype(np.float64)
    added = mixed - Y
    assert 10 * np.log10(np.var(Y) / np.var(added)) == pytest.approx(snr_db, abs=0.01)
    # What was added is a part of one of the files, times a gain: nothing else has this likeness.
    likeness = []
    for k in range(3):
        whole = 0.2 * signals.white(10, SR, seed=k)
        place = int(correlate(whole, added, "valid", "fft").argmax())
        likeness.append(np.corrcoef(whole[place : place + len(added)], added)[0, 1])
    assert sorted(likeness)[2] > 0.9999
    assert sorted(likeness)[1] < 0.1


def test_own_recordings_are_drawn_by_chance_and_the_same_at_every_level(others):
    a, b = (OtherMusic(snr, music=others)(Y, sr=SR, rng=rng()) - Y for snr in (0, 20))
    assert np.corrcoef(a, b)[0, 1] > 0.9999
    c = OtherMusic(0, music=others)(Y, sr=SR, rng=rng(1)) - Y
    assert abs(np.corrcoef(a, c)[0, 1]) < 0.1


def test_only_a_library_is_mixed_in(others):
    assert transformation("MX", 5, music=others) == OtherMusic(5.0, music=others)
    with pytest.raises(InputError, match="must be a NoiseLibrary"):
        OtherMusic(0, music="folder")


def test_clicks_are_a_poisson_process():
    y = np.sin(np.arange(400 * SR) / 7).astype(np.float32)
    added = np.abs(Crackle(5)(y, sr=SR, rng=rng()).astype(np.float64) - y)
    onsets = np.flatnonzero((added[1:] > 0.2) & (added[:-1] < 0.1 * added[1:]))
    # 2,000 clicks are expected, give or take 45; a few hide in others' tails or are too soft.
    assert 1_750 < len(onsets) < 2_150


def test_what_clicks_clicks_at_higher_rates_too():
    few, many = (Crackle(rate)(Y, sr=SR, rng=rng()) - Y for rate in (5, 50))
    at = np.flatnonzero(np.abs(few) > 0.05)
    assert len(at)
    assert np.mean(np.abs(many[at]) > 0.04) > 0.9
    assert np.sum(np.abs(many) > 0.05) > 4 * len(at)
