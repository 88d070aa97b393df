"""Resampling and loudness against closed forms, pyloudnorm and ffmpeg."""

from __future__ import annotations

import json

import numpy as np
import pyloudnorm
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearkin import audio
from nearkin.errors import InputError
from support import signals
from support.places import TRUTH


@pytest.mark.parametrize(
    ("from_sr", "to_sr"), [(44_100, 22_050), (22_050, 44_100), (48_000, 22_050)]
)
def test_resampled_sine_is_the_sine(from_sr, to_sr):
    y = audio.resample(signals.sine(1000, 1.0, from_sr), from_sr=from_sr, to_sr=to_sr)
    assert y.shape == (to_sr,)
    expected = signals.sine(1000, 1.0, to_sr)
    np.testing.assert_allclose(y[2000:-2000], expected[2000:-2000], atol=1e-4)


def test_resample_channels_identity_and_length():
    y = np.stack([signals.sine(300, 0.5), signals.sine(700, 0.5)])
    both = audio.resample(y, from_sr=22_050, to_sr=16_000)
    assert both.shape == (2, 8_000)
    for channel, alone in zip(both, y, strict=True):
        np.testing.assert_array_equal(channel, audio.resample(alone, from_sr=22_050, to_sr=16_000))
    np.testing.assert_array_equal(
        audio.resample(y, from_sr=8_000, to_sr=8_000), y.astype(np.float32)
    )
    with pytest.raises(InputError, match="must be > 0"):
        audio.resample(y, from_sr=0, to_sr=8_000)


LOUDNESS = json.loads((TRUTH / "loudness.json").read_text())["values"]


@pytest.mark.parametrize("name", LOUDNESS)
def test_loudness_is_ffmpegs(name):
    y, sr = signals.loudness_signals()[name]
    assert audio.loudness_lufs(y, sr=sr) == pytest.approx(LOUDNESS[name], abs=0.1)


@signals.needs_ffmpeg
def test_loudness_is_that_of_the_ffmpeg_here(tmp_path):
    y = signals.music(2.0)
    expected = signals.ffmpeg_loudness(y, 22_050, tmp_path)
    assert audio.loudness_lufs(y, sr=22_050) == pytest.approx(expected, abs=0.1)


def test_loudness_of_the_standards_sine():
    # BS.1770-4: 0 dBFS at 997 Hz in one front channel measures -3.01 LKFS.
    assert audio.loudness_lufs(signals.sine(997, 3, 48_000), sr=48_000) == pytest.approx(
        -3.01, abs=0.02
    )


@settings(deadline=None, max_examples=20)
@given(gain_db=st.floats(-40, 20))
def test_loudness_follows_the_gain(gain_db):
    y = signals.music(1.0)
    louder = audio.loudness_lufs(y * 10 ** (gain_db / 20), sr=22_050)
    assert louder - audio.loudness_lufs(y, sr=22_050) == pytest.approx(gain_db, abs=1e-6)


def test_loudness_is_pyloudnorms():
    meter = pyloudnorm.Meter(22_050, filter_class="DeMan")
    y = signals.music(2.0)
    assert audio.loudness_lufs(y, sr=22_050) == meter.integrated_loudness(y)


def test_loudness_that_cannot_be_measured():
    with pytest.raises(InputError, match="too short"):
        audio.loudness_lufs(signals.sine(440, 0.39), sr=22_050)
    for level in (0.0, 1e-5):
        with pytest.raises(InputError, match="-70 LUFS"):
            audio.loudness_lufs(signals.sine(440, 1.0, level=level), sr=22_050)
    with pytest.raises(InputError, match="NaN"):
        audio.loudness_lufs(np.full(22_050, np.nan), sr=22_050)
    with pytest.raises(InputError, match="one channel"):
        audio.loudness_lufs(np.zeros((2, 22_050)), sr=22_050)
    audio.loudness_lufs(signals.sine(440, 0.4), sr=22_050)
