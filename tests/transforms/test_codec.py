"""MP3: aligned to the sample at every rate, as good as the ffmpeg program's, never clipped."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nearkin.transforms import MP3
from nearkin.transforms.grids import grid
from support import signals
from support.places import TRUTH

SR = 22_050
PAPER = grid("paper").magnitudes("MP")
TRUTH = json.loads((TRUTH / "mp3_snr.json").read_text())["values"]


@pytest.fixture(scope="module")
def y():
    return signals.music().astype(np.float32)


@pytest.mark.parametrize("kbps", PAPER)
def test_lag_is_zero_and_length_equal(y, kbps):
    out = MP3(kbps).apply(y, sr=SR, rng=None)
    assert out.y.shape == y.shape
    assert signals.lag(y, out.y) == 0
    assert out.effective_magnitude == min(kbps, 160)


@pytest.mark.parametrize("kbps", TRUTH)
def test_quality_is_that_of_the_ffmpeg_program(y, kbps):
    out = MP3(int(kbps))(y, sr=SR)
    assert signals.snr_db(y, out) == pytest.approx(TRUTH[kbps], abs=0.2)


@signals.needs_ffmpeg
@pytest.mark.parametrize("kbps", [8, 48, 160])
def test_quality_is_that_of_the_ffmpeg_here(y, kbps, tmp_path):
    theirs = signals.ffmpeg_mp3(y, SR, kbps, tmp_path)
    assert signals.snr_db(y, MP3(kbps)(y, sr=SR)) == pytest.approx(
        signals.snr_db(y, theirs), abs=0.2
    )


@pytest.mark.parametrize("kbps", [192, 224, 256, 320])
def test_above_160_paper_clamps_and_true_does_not(y, kbps):
    clamped = MP3(kbps).apply(y, sr=SR, rng=None)
    assert clamped.effective_magnitude == 160.0
    np.testing.assert_array_equal(clamped.y, MP3(160)(y, sr=SR))
    real = MP3(kbps, rate="true").apply(y, sr=SR, rng=None)
    assert real.effective_magnitude == kbps
    assert real.y.shape == y.shape
    assert signals.lag(y, real.y) == 0
    assert signals.snr_db(y, real.y) > signals.snr_db(y, clamped.y) + 3


def test_paper_and_true_agree_up_to_160(y):
    for kbps in (8, 64, 160):
        expected = MP3(kbps)(y, sr=SR)
        np.testing.assert_array_equal(MP3(kbps, rate="true")(y, sr=SR), expected)


@pytest.mark.parametrize(("sr", "kbps", "effective"), [(44_100, 8, 32), (48_000, 320, 320)])
def test_other_rates_take_the_nearest_rung(sr, kbps, effective):
    out = MP3(kbps).apply(signals.music(1.0, sr), sr=sr, rng=None)
    assert out.effective_magnitude == effective


@pytest.mark.parametrize("peak", [2.0, 32_768.0, 2.0**40])
@pytest.mark.parametrize("kbps", [8, 160])
def test_above_full_scale_it_is_the_same_sound_louder(y, peak, kbps):
    """LAME aborts the process on a loud square wave at 8 kb/s; powers of two scale exactly."""
    square = np.sign(signals.sine(440.5, 1.0, SR)).astype(np.float32)
    for signal in (y / np.abs(y).max(), square):
        expected = MP3(kbps)(signal, sr=SR)
        np.testing.assert_array_equal(MP3(kbps)(signal * np.float32(peak), sr=SR), expected * peak)


@pytest.mark.parametrize("sr", [7_000, 16_000, 30_000, 44_100, 96_000])
@pytest.mark.parametrize("rate", ["paper", "true"])
@pytest.mark.parametrize("kbps", [8, 64, 320])
def test_any_sample_rate_stays_aligned(sr, rate, kbps):
    y = signals.low_passed(signals.white(1.0, sr, seed=3), 1 + sr // 2000)
    out = MP3(kbps, rate=rate).apply(y, sr=sr, rng=None)
    assert out.y.shape == y.shape
    assert signals.lag(y, out.y) == 0
    if rate == "true":
        assert out.effective_magnitude == kbps


def test_samples_above_full_scale_survive():
    y = (6.0 * signals.music(2.0)).astype(np.float32)
    out = MP3(160)(y, sr=SR)
    assert np.max(np.abs(y)) > 1.5
    assert np.max(np.abs(out)) == pytest.approx(np.max(np.abs(y)), rel=0.1)
    assert signals.snr_db(y, out) > 20


@pytest.mark.parametrize("n", [1, 100, 575, 1152, 1153, 44_100])
def test_any_length(n):
    y = 0.1 * np.resize(signals.music(1.0), n)
    assert MP3(64)(y, sr=SR).shape == (n,)


def test_channels_are_coded_by_themselves(y):
    both = MP3(32)(np.stack([y, -0.5 * y]), sr=SR)
    np.testing.assert_array_equal(both[0], MP3(32)(y, sr=SR))
    np.testing.assert_array_equal(both[1], MP3(32)(-0.5 * y, sr=SR))
