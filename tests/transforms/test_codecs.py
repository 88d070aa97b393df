"""Codecs: aligned to the sample, as long as they came, at the rate that was asked for."""

from __future__ import annotations

import io

import numpy as np
import pytest
from scipy.signal import butter, fftconvolve, sosfilt

from nearkin.audio import coded
from nearkin.errors import InputError
from nearkin.transforms import AAC, AMR, GSM, Opus, Vorbis

SR = 22_050
MADE = [Opus(16), Opus(64), AAC(32), AAC(128), Vorbis(0), Vorbis(8), GSM(1), GSM(4), AMR(12.2)]


def noise(sr=SR, seconds=3.0, low=300, high=1_500):
    y = np.random.default_rng(0).standard_normal(round(sr * seconds)) * 0.2
    band = butter(4, [low, high], "bandpass", fs=sr, output="sos")
    return sosfilt(band, y).astype(np.float32)


@pytest.mark.parametrize("made", MADE, ids=str)
@pytest.mark.parametrize("sr", [16_000, 22_050, 44_100])
def test_nothing_is_late(made, sr):
    y = noise(sr)
    out = made(y, sr=sr)
    assert len(out) == len(y)
    around = fftconvolve(out, y[::-1])
    lag = int(np.argmax(around)) - (len(y) - 1)
    # A sample at 8 kHz, the rate of the telephone's codecs, is two or more here.
    assert abs(lag) <= (sr // 8_000 if isinstance(made, (GSM, AMR)) else 0)
    assert np.corrcoef(out, y)[0, 1] > 0.75


@pytest.mark.parametrize("kbps", [6.0, 16.0, 64.0])
def test_the_rate_of_opus_is_the_one_asked_for(kbps):
    data = coded.ffmpeg_file(noise(48_000), 48_000, "libopus", "ogg", kbps, "", {"vbr": "off"})
    # 20-ms packets of so many bytes each; Ogg adds a header and a few bytes a packet.
    assert len(data) * 8 / 3 / 1000 == pytest.approx(kbps, rel=0.08, abs=2.0)
    assert len(data) * 8 / 3 / 1000 > kbps


@pytest.mark.parametrize("kbps", [24.0, 64.0])
def test_the_rate_of_aac_is_near_the_one_asked_for(kbps):
    y = noise(seconds=10.0, low=100, high=9_000)
    data = coded.ffmpeg_file(y, SR, "aac", "adts", kbps, "", {})
    assert len(data) * 8 / 10 / 1000 == pytest.approx(kbps, rel=0.15)


def test_aac_ends_at_six_bits_a_sample():
    y = noise(low=100, high=9_000)
    assert AAC(256).apply(y, sr=SR).effective_magnitude == pytest.approx(132.3)
    np.testing.assert_array_equal(AAC(256)(y, sr=SR), AAC(132.3)(y, sr=SR))
    assert AAC(256).apply(y, sr=44_100).effective_magnitude == 256


def test_telephones_end_below_four_kilohertz():
    y = noise(low=100, high=9_000)
    for made in (GSM(1), AMR(12.2)):
        spectrum = np.abs(np.fft.rfft(made(y, sr=SR)))
        hz = np.fft.rfftfreq(len(y), 1 / SR)
        assert spectrum[hz > 4_050].max() < 0.01 * spectrum[hz < 4_000].max()


@pytest.mark.parametrize(
    ("container", "subtype", "level", "sr"),
    [("WAV", "GSM610", None, 8_000), ("OGG", "VORBIS", 0.5, 22_050)],
)
def test_ffmpegs_decoders_hear_the_same(container, subtype, level, sr, tmp_path):
    import av
    import soundfile

    y = noise(sr)
    settings = {} if level is None else {"compression_level": level}
    file = io.BytesIO()
    with soundfile.SoundFile(
        file, "w", sr, 1, format=container, subtype=subtype, **settings
    ) as sound:
        sound.write(y)
    file.seek(0)
    with av.open(file) as opened:
        parts = [frame.to_ndarray().reshape(-1) for frame in opened.decode(audio=0)]
    theirs = np.concatenate(parts)
    theirs = theirs / 32_768 if theirs.dtype == np.int16 else theirs
    ours = coded.through_sndfile(y, sr=sr, container=container, subtype=subtype, level=level)
    n = min(len(ours), len(theirs), len(y))
    assert n > 0.95 * len(y)
    assert np.std(ours[:n] - theirs[:n]) < 1e-3 * np.std(ours)


@pytest.mark.parametrize("made", [Opus(64), AAC(64), Vorbis(6), GSM(1), AMR(12.2)], ids=str)
def test_samples_above_full_scale_are_scaled(made):
    y = noise()
    y *= np.float32(0.9 / np.abs(y).max())
    loud = made(y * 4, sr=SR)
    quiet = made(y * np.float32(1 / 0.9), sr=SR)
    assert np.corrcoef(loud, quiet)[0, 1] > (0.9 if isinstance(made, (GSM, AMR)) else 0.99)
    assert np.std(loud) / np.std(quiet) == pytest.approx(4 * 0.9, rel=0.05)


@pytest.mark.parametrize("made", MADE, ids=str)
@pytest.mark.parametrize("n", [1, 100, 3_000])
def test_short_signals(made, n):
    out = made(np.ones(n) * 0.1, sr=SR)
    assert out.shape == (n,)
    assert np.isfinite(out).all()


def test_worse_rates_are_further_away():
    y = noise(low=100, high=9_000)
    for kinds in ([Opus(k) for k in (96, 24, 8)], [AAC(k) for k in (96, 32, 16)]):
        likeness = [np.corrcoef(made(y, sr=SR), y)[0, 1] for made in kinds]
        assert likeness[0] > likeness[1] > likeness[2]


def test_an_encoder_that_is_not_there_is_told():
    with pytest.raises(InputError, match="has no such encoder"):
        coded.through_ffmpeg(noise(), sr=SR, codec="libnothing", container="ogg", kbps=8)
