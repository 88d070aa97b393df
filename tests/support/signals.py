"""Deterministic test signals, and what the ffmpeg program says of them (the outside truth)."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.io import wavfile

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg program")
FFMPEG = ["ffmpeg", "-v", "error", "-nostdin", "-y"]
SR = 22_050


def write_float(path: str | Path, y: np.ndarray, sr: int) -> None:
    """Write a WAV of 32-bit floats whose bytes are the same at any time of day.

    libsndfile puts the clock into the header of such a file, and which excerpt is drawn hangs on
    the content of the file.
    """
    wavfile.write(path, sr, np.asarray(y, np.float32))


def sine(hz: float, seconds: float, sr: int = SR, level: float = 1.0) -> np.ndarray:
    return level * np.sin(2 * np.pi * hz * np.arange(round(seconds * sr)) / sr)


def white(seconds: float, sr: int = SR, seed: int = 0) -> np.ndarray:
    """White noise from the generator's raw bits, which no version of numpy changes."""
    return np.random.PCG64(seed).random_raw(round(seconds * sr)) / 2**63 - 1.0


def low_passed(y: np.ndarray, taps: int) -> np.ndarray:
    return np.convolve(y, np.ones(taps) / taps, mode="same")


def music(seconds: float = 4.0, sr: int = SR) -> np.ndarray:
    """A chord with decaying notes over a bass and soft noise: tonal, with onsets, below 1."""
    t = np.arange(round(seconds * sr)) / sr
    y = 0.004 * low_passed(white(seconds, sr), 3)
    for start, hz in enumerate((220.0, 277.18, 329.63, 440.0, 110.0, 554.37, 659.26, 246.94)):
        since = t - 0.47 * start
        note = np.where(since >= 0, np.exp(-2.5 * np.clip(since, 0, None)), 0.0)
        for k in range(1, 7):
            y += 0.2 / k**1.3 * note * np.sin(2 * np.pi * k * hz * t)
    return y


@functools.cache
def loudness_signals() -> dict[str, tuple[np.ndarray, int]]:
    """Name -> (signal, rate) for the truth about loudness."""
    signals = {}
    for sr in (16_000, 22_050, 44_100, 48_000):
        signals[f"music-{sr}"] = (music(4.0, sr), sr)
        signals[f"sine997-{sr}"] = (sine(997.0, 4.0, sr, 0.1), sr)
    signals["white-2s"] = (0.2 * white(2.0), SR)
    signals["bass-2s"] = (sine(45.0, 2.0, SR, 0.3) + 0.02 * white(2.0), SR)
    gated = np.concatenate(
        [0.3 * white(1.5), np.zeros(SR), 0.003 * white(1.0, seed=2), 0.1 * white(1.5, seed=3)]
    )
    signals["gated"] = (gated, SR)
    signals["above-full-scale"] = (3.0 * music(2.0), SR)
    signals["quiet"] = (0.01 * music(3.0), SR)
    return signals


def ffmpeg_loudness(y: np.ndarray, sr: int, folder: Path) -> float:
    """Integrated loudness by ffmpeg's ebur128 filter, in LUFS to three decimals."""
    soundfile.write(folder / "y.wav", y, sr, subtype="DOUBLE")
    shown = "ebur128=metadata=1,ametadata=print:key=lavfi.r128.I:file=-"
    command = [*FFMPEG, "-i", str(folder / "y.wav"), "-af", shown, "-f", "null", "-"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(re.findall(r"lavfi\.r128\.I=(\S+)", text)[-1])


def ffmpeg_mp3(y: np.ndarray, sr: int, kbps: int, folder: Path) -> np.ndarray:
    """The signal after an MP3 file made and read by the ffmpeg program."""
    write_float(folder / "y.wav", y, sr)
    mp3, back = str(folder / "y.mp3"), str(folder / "back.wav")
    rate = f"{kbps}k"
    encode = ["-i", str(folder / "y.wav"), "-c:a", "libmp3lame", "-b:a", rate, mp3]
    subprocess.run([*FFMPEG, *encode], check=True)
    subprocess.run([*FFMPEG, "-i", mp3, "-c:a", "pcm_f32le", back], check=True)
    return soundfile.read(back)[0]


def snr_db(reference: np.ndarray, other: np.ndarray) -> float:
    n = min(reference.shape[-1], other.shape[-1])
    error = np.asarray(reference, float)[..., :n] - np.asarray(other, float)[..., :n]
    return float(10 * np.log10(np.sum(np.square(reference[..., :n])) / np.sum(error**2)))


def lag(reference: np.ndarray, other: np.ndarray) -> int:
    """By how many samples `other` is late, from the peak of the circular cross-correlation."""
    size = 2 * max(len(reference), len(other))
    product = np.fft.rfft(other, size) * np.conj(np.fft.rfft(reference, size))
    place = int(np.argmax(np.fft.irfft(product, size)))
    return place if place < size // 2 else place - size
