"""Noise at an exact SNR, pink by its slope, from a library known by its content."""

from __future__ import annotations

import hashlib
import pickle
import shutil

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import welch

from nearkin.audio import loudness_lufs
from nearkin.errors import InputError
from nearkin.transforms import EnvironmentalNoise, NoiseLibrary, PinkNoise, noise_library
from nearkin.transforms.babble import BABBLE_SHA256, babble_16bit, babble_at, pink_noise
from nearkin.transforms.grids import grid
from support import signals

SR = 22_050
SNRS = grid("paper").magnitudes("PN")


def rng(seed=0):
    return np.random.default_rng(seed)


def rms(y):
    return np.sqrt(np.mean(np.square(np.asarray(y, float))))


@pytest.fixture(scope="module")
def y():
    return signals.music(4.0).astype(np.float32)


@pytest.mark.parametrize("cls", [PinkNoise, EnvironmentalNoise])
def test_snr_is_exact_and_the_noise_the_same_at_every_level(y, cls):
    first = None
    for snr_db in SNRS:
        added = cls(snr_db)(y, sr=SR, rng=rng(7)).astype(float) - y
        assert 20 * np.log10(rms(y) / rms(added)) == pytest.approx(snr_db, abs=0.01)
        shape = added / rms(added)
        first = shape if first is None else first
        np.testing.assert_allclose(shape, first, atol=2e-4)  # float32's rounding at 30 dB
    other = cls(0)(y, sr=SR, rng=rng(8)).astype(float) - y
    assert abs(np.mean(other / rms(other) * first)) < 0.3


@settings(deadline=None, max_examples=30)
@given(snr_db=st.floats(-40, 60), level=st.floats(1e-4, 10), seed=st.integers(0, 100))
def test_snr_at_any_level(snr_db, level, seed):
    y = level * signals.music(0.5)
    added = PinkNoise(snr_db)(y, sr=SR, rng=rng(seed)).astype(float) - y.astype(np.float32)
    assert 20 * np.log10(rms(y) / rms(added)) == pytest.approx(snr_db, abs=0.1)


def test_snr_counts_every_channel_and_all_get_the_same_noise(y):
    both = np.stack([y, 0.25 * y[::-1]])
    added = PinkNoise(6)(both, sr=SR, rng=rng()).astype(float) - both
    np.testing.assert_allclose(added[0], added[1], atol=1e-6)
    assert 20 * np.log10(rms(both) / rms(added)) == pytest.approx(6, abs=0.01)


def test_pink_noise_falls_ten_db_a_decade():
    sums = 0
    for seed in range(20):
        hz, power = welch(pink_noise(8 * SR, rng=rng(seed)), fs=SR, nperseg=8192)
        sums = sums + power
    inside = (hz > 30) & (hz < 10_000)
    slope, _ = np.polyfit(np.log10(hz[inside]), 10 * np.log10(sums[inside]), 1)
    assert slope == pytest.approx(-10.0, abs=0.15)
    for low in (40, 320, 2560):  # every octave holds the same power
        a, b = (sums[(hz >= k * low) & (hz < 2 * k * low)].sum() for k in (1, 2))
        assert 10 * np.log10(a / b) == pytest.approx(0.0, abs=0.6)


@pytest.mark.parametrize("n", [2, 3, 100, 44_100, 88_200, 88_211])
def test_pink_noise_is_centred_and_of_unit_power(n):
    made = pink_noise(n, rng=rng())
    assert made.shape == (n,)
    assert np.mean(made) == pytest.approx(0, abs=1e-9)
    assert rms(made) == pytest.approx(1)


@pytest.mark.parametrize("cls", [PinkNoise, EnvironmentalNoise])
def test_refusals(y, cls):
    with pytest.raises(InputError, match="silent"):
        cls(10)(np.zeros(1000), sr=SR, rng=rng())
    with pytest.raises(InputError, match="needs a generator"):
        cls(10)(y, sr=SR)


# --- the built-in babble --------------------------------------------------------------------------


def test_babble_is_the_constant_it_says():
    samples = babble_16bit()
    assert hashlib.sha256(samples.astype("<i2").tobytes()).hexdigest() == BABBLE_SHA256
    assert 20 <= len(samples) / SR <= 30
    assert NoiseLibrary.babble().sha256 == BABBLE_SHA256


def test_babble_is_a_room_full_of_people():
    y = babble_at(SR).astype(float)
    hz, power = welch(y, fs=SR, nperseg=4096)
    share = power[(hz > 100) & (hz < 4000)].sum() / power.sum()
    assert share > 0.6  # speech's band
    # Never silent, never one event only: loudness of each second within a few dB.
    levels = [loudness_lufs(y[k * SR : (k + 1) * SR], sr=SR) for k in range(len(y) // SR)]
    assert np.ptp(levels) < 10
    assert np.max(np.abs(y)) < 1


@pytest.mark.parametrize("sr", [8_000, 16_000, 44_100])
def test_babble_at_other_rates(sr):
    made = NoiseLibrary.babble().excerpt(2 * sr, sr=sr, rng=rng())
    assert made.shape == (2 * sr,)
    assert made.dtype == np.float32


def is_piece_of(whole, piece):
    place = int(np.argmax(np.correlate(whole, piece.astype(float), mode="valid")))
    return np.max(np.abs(whole[place : place + len(piece)] - piece)) < 1e-4


# --- recordings -----------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    for k in range(3):
        soundfile.write(tmp_path / f"bar {k}.wav", 0.3 * signals.white(1.5, 16_000, seed=k), 16_000)
    (tmp_path / "readme.txt").write_text("not sound")
    return tmp_path


def test_library_is_known_by_its_content(folder, tmp_path_factory):
    library = NoiseLibrary.from_path(folder)
    elsewhere = tmp_path_factory.mktemp("copy")
    for k, name in enumerate(["z.wav", "a.wav", "m.WAV"]):
        (elsewhere / "deeper").mkdir(exist_ok=True)
        shutil.copy(folder / f"bar {k}.wav", elsewhere / "deeper" / name)
    other = NoiseLibrary.from_path(elsewhere)
    assert other == library
    assert hash(other) == hash(library)
    assert EnvironmentalNoise(10, noise=other) == EnvironmentalNoise(10.0, noise=library)
    assert library != NoiseLibrary.babble()
    for seed in range(5):  # the same draws, whatever the files are called
        np.testing.assert_array_equal(
            library.excerpt(5000, sr=SR, rng=rng(seed)), other.excerpt(5000, sr=SR, rng=rng(seed))
        )
    one = NoiseLibrary.from_path(folder / "bar 1.wav")
    assert one.sha256 == hashlib.sha256((folder / "bar 1.wav").read_bytes()).hexdigest()
    assert one.name == "bar 1.wav"
    assert one != library


def test_library_pickles_without_samples(folder):
    library = NoiseLibrary.from_path(folder)
    data = pickle.dumps(library)
    assert len(data) < 2000
    back = pickle.loads(data)
    assert back == library
    np.testing.assert_array_equal(
        back.excerpt(5000, sr=SR, rng=rng()), library.excerpt(5000, sr=SR, rng=rng())
    )


def test_excerpt_is_a_piece_of_the_recording(folder):
    library = NoiseLibrary.from_path(folder / "bar 0.wav")
    whole = 0.3 * signals.white(1.5, 16_000, seed=0)
    piece = library.excerpt(8000, sr=16_000, rng=rng(3))
    assert is_piece_of(whole, piece)
    assert not np.array_equal(piece, library.excerpt(8000, sr=16_000, rng=rng(4)))


def test_short_recording_is_looped(folder):
    library = NoiseLibrary.from_path(folder / "bar 0.wav")
    long = library.excerpt(100_000, sr=16_000, rng=rng())
    np.testing.assert_array_equal(long[:24_000], long[24_000:48_000])
    assert rms(long) == pytest.approx(0.3 / np.sqrt(3), rel=0.02)


def test_every_recording_of_a_folder_is_drawn(folder):
    library = NoiseLibrary.from_path(folder)
    heads = {library.excerpt(24_000, sr=16_000, rng=rng(k))[:50].tobytes() for k in range(30)}
    assert len(heads) == 3  # a whole recording each time: its start is its head


def test_long_recording_is_read_by_excerpts(folder, monkeypatch):
    path = folder / "bar 0.wav"
    expected = NoiseLibrary.from_path(path)
    monkeypatch.setattr(noise_library, "_WHOLE_S", 1.0)
    whole = 0.3 * signals.white(1.5, 16_000, seed=0)
    piece = expected.excerpt(8000, sr=16_000, rng=rng(3))
    assert is_piece_of(whole, piece)


def test_silent_stretches_are_avoided(tmp_path):
    y = np.concatenate([np.zeros(20 * SR), 0.1 * signals.white(4.0)])
    soundfile.write(tmp_path / "mostly silent.wav", y, SR)
    library = NoiseLibrary.from_path(tmp_path / "mostly silent.wav")
    for seed in range(20):
        assert np.any(library.excerpt(SR, sr=SR, rng=rng(seed)))


def test_library_refusals(tmp_path, folder):
    with pytest.raises(InputError, match="no such file"):
        NoiseLibrary.from_path(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no sound files"):
        NoiseLibrary.from_path(tmp_path / "empty")
    soundfile.write(tmp_path / "silent.wav", np.zeros(SR), SR)
    with pytest.raises(InputError, match="silent"):
        NoiseLibrary.from_path(tmp_path / "silent.wav")
    (tmp_path / "text.wav").write_text("no sound " * 100)
    with pytest.raises(InputError, match="not a sound file"):
        NoiseLibrary.from_path(tmp_path / "text.wav")
    library = NoiseLibrary.from_path(folder / "bar 0.wav")
    soundfile.write(folder / "bar 0.wav", 0.3 * signals.white(1.0), SR)
    noise_library._length_s.cache_clear()  # as in a worker started later
    with pytest.raises(InputError, match="has changed"):
        library.excerpt(1000, sr=SR, rng=rng())
