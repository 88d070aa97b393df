"""Features against librosa and against their definitions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import librosa
import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from nearkin.audio import features
from nearkin.audio.features import log_mel, mfcc, mfcc_statistics
from nearkin.errors import InputError
from support import signals

SR = 22_050


@pytest.fixture(scope="module")
def y():
    return signals.music(2.0).astype(np.float32)


def test_mfcc_is_librosas_less_the_first(y):
    made = mfcc(y)
    assert made.shape == (87, 24)
    assert made.dtype == np.float32
    assert made.flags.c_contiguous
    expected = librosa.feature.mfcc(y=y, sr=SR, n_mfcc=25)[1:].T
    np.testing.assert_allclose(made, expected, atol=1e-4)


@pytest.mark.parametrize("sr", [16_000, 22_050, 44_100])
@pytest.mark.parametrize(("n_fft", "hop_length", "n_mels"), [(2048, 512, 128), (1024, 256, 64)])
def test_settings_are_librosas(sr, n_fft, hop_length, n_mels):
    y = signals.music(1.5, sr).astype(np.float32)
    options = {"n_fft": n_fft, "hop_length": hop_length, "n_mels": n_mels}
    expected = librosa.feature.mfcc(y=y, sr=sr, n_mfcc=20, **options)[1:].T
    np.testing.assert_allclose(mfcc(y, sr=sr, n_mfcc=20, **options), expected, atol=1e-4)
    power = librosa.feature.melspectrogram(y=y, sr=sr, **options)
    np.testing.assert_allclose(
        log_mel(y, sr=sr, **options), librosa.power_to_db(power).T, atol=1e-3
    )


def test_level_moves_only_the_dropped_coefficient(y):
    # Decibels turn a gain into a constant, and a constant lives in the first coefficient alone.
    noisy = y + 0.01 * signals.white(2.0)
    np.testing.assert_allclose(mfcc(0.5 * noisy), mfcc(noisy), atol=2e-3)


def test_log_mel_of_a_sine_peaks_at_its_band():
    made = log_mel(signals.sine(1000, 2.0))
    centres = librosa.mel_frequencies(n_mels=130, fmax=SR / 2)[1:-1]
    assert abs(centres[made[40].argmax()] - 1000) < 30
    assert made.max() - made.min() <= 80.001


def test_statistics_by_their_definition(y):
    made = mfcc_statistics(y)
    assert made.shape == (144,)
    assert made.dtype == np.float32
    frames = librosa.feature.mfcc(y=y, sr=SR, n_mfcc=25, n_fft=1024, hop_length=256)[1:]
    first = frames[:, 1:] - frames[:, :-1]
    second = first[:, 1:] - first[:, :-1]
    expected = [rows.mean(axis=1) for rows in (frames, first, second)]
    expected += [rows.std(axis=1) for rows in (frames, first, second)]
    np.testing.assert_allclose(made, np.concatenate(expected), rtol=1e-3, atol=1e-3)


def test_silence_and_the_input_are_safe(y):
    assert not mfcc(np.zeros(SR)).any()
    assert np.isfinite(mfcc_statistics(np.zeros(SR))).all()
    before = y.copy()
    mfcc(y)
    np.testing.assert_array_equal(y, before)


@pytest.mark.parametrize("feature", [mfcc, mfcc_statistics, log_mel])
def test_refusals(feature):
    with pytest.raises(InputError, match="at least n_fft"):
        feature(np.zeros(1000))
    with pytest.raises(InputError, match="one channel"):
        feature(np.zeros((2, SR)))
    with pytest.raises(InputError, match="NaN"):
        feature(np.full(SR, np.nan))
    with pytest.raises(InputError, match="sr=0"):
        feature(np.zeros(SR), sr=0)
    with pytest.raises(InputError, match="n_mfcc=200"):
        mfcc(np.zeros(SR), n_mfcc=200)


def test_a_spectrogram_is_computed_once_for_all_that_ask(monkeypatch):
    transforms = []
    stft = librosa.stft
    monkeypatch.setattr(librosa, "stft", lambda y, **kw: transforms.append(1) or stft(y, **kw))
    signal = np.random.default_rng(11).standard_normal(22_050).astype(np.float32)
    first = mfcc(signal)
    spectrogram = log_mel(signal)
    assert len(transforms) == 1
    np.testing.assert_allclose(spectrogram, librosa_log_mel(signal), atol=1e-4)
    spectrogram[:] = 0.0  # the caller's own
    first[:] = 0.0
    assert log_mel(signal).std() > 1.0
    assert mfcc(signal).std() > 1.0
    assert len(transforms) == 1
    log_mel(signal, n_mels=64)
    signal[100] += np.float32(1e-3)
    log_mel(signal)
    assert len(transforms) == 3


def librosa_log_mel(signal):
    power = librosa.feature.melspectrogram(y=signal, sr=22_050, n_fft=2048, hop_length=512)
    return librosa.power_to_db(power).T


def test_what_is_kept_of_spectrograms_is_bounded(monkeypatch):
    monkeypatch.setattr(features, "_KEPT_BYTES", 200_000)
    rng = np.random.default_rng(12)
    for signal in rng.standard_normal((12, 22_050)).astype(np.float32):
        log_mel(signal)
    kept = features._last.values()
    assert 1 < len(kept) < 12
    assert sum(one.nbytes for one in kept) <= 200_000


def test_a_spectrogram_hangs_on_no_number_of_threads():
    """A product that several threads share has other last bits."""
    rng = np.random.default_rng(13)
    drawn = rng.standard_normal((40, 44_100)).astype(np.float32)
    made = []
    for threads in (1, 2, 4):
        features._last.clear()
        with threadpool_limits(limits=threads):
            made.append(np.stack([log_mel(signal) for signal in drawn]))
    assert (made[0] == made[1]).all()
    assert (made[0] == made[2]).all()


def test_threads_that_ask_at_once_leave_the_process_its_own_number():
    def threads_now():
        return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]

    drawn = np.random.default_rng(14).standard_normal((60, 44_100)).astype(np.float32)
    with threadpool_limits(limits=2, user_api="blas"):
        before = threads_now()
        with ThreadPoolExecutor(4) as pool:
            made = list(pool.map(mfcc_statistics, drawn))
        assert threads_now() == before
    alone = [mfcc_statistics(signal) for signal in drawn]
    assert all((one == two).all() for one, two in zip(made, alone, strict=True))
