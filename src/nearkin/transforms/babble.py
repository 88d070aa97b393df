"""Noise that is made, not recorded: pink noise, and the babble and clatter of a crowded bar.

Signals are ``float64[samples]`` unless said otherwise, rates in Hz. The babble is a constant: one
seed, one result, the same on every platform; its spectrum is that of speech (Byrne et al., "An
international comparison of long-term average speech spectra", 1994, Table II).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from nearkin.audio import SAMPLE_RATE, resample

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Signal = NDArray[np.float32]

_BABBLE_S = 24
BABBLE_SHA256 = "8dd11ee5bd929689da24e242fbee04bc198a809f5306f8478314ceb061eba9da"
"""The hash of the built-in noise's 16-bit samples, so that naming it need not synthesise it."""


SPEECH_DB = {
    **{63: 38.6, 80: 43.5, 100: 54.4, 125: 57.7, 160: 56.8, 200: 60.2, 250: 60.3, 315: 59.0},
    **{400: 62.1, 500: 62.1, 630: 60.5, 800: 56.8, 1_000: 53.7, 1_250: 53.0, 1_600: 52.0},
    **{2_000: 48.7, 2_500: 48.1, 3_150: 46.8, 4_000: 45.6, 5_000: 44.5, 6_300: 44.3},
    **{8_000: 43.7, 10_000: 43.4},
}
"""The long-term average spectrum of speech of 70 dB: levels of third-octave bands by their
centres in Hz, men and women together."""

LOWEST_HZ = 20.0
"""Where pink noise starts: what lies below is not heard, and its power grows with the length."""


def pink_noise(n: int, *, sr: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return noise whose power falls as 1/f from 20 Hz on: white noise, shaped in one transform.

    Parameters
    ----------
    n : int
        Number of samples, at least 2.
    sr : int
        Their rate in Hz.
    rng : numpy.random.Generator
        Where it comes from.

    Returns
    -------
    numpy.ndarray of float64, shape [n]
        Zero mean, RMS 1.
    """
    from scipy.fft import irfft, next_fast_len, rfft

    # A length the transform likes, then cut: 1/f noise has no period to keep.
    size = next_fast_len(n, real=True)
    spectrum = rfft(rng.standard_normal(size))
    hz = np.arange(spectrum.shape[0]) * (sr / size)
    spectrum[hz < LOWEST_HZ] = 0.0
    spectrum[1:] /= np.sqrt(hz[1:])
    noise: NDArray[np.float64] = irfft(spectrum, size)[:n]
    return _unit(noise - noise.mean())


@functools.lru_cache(maxsize=4)
def babble_at(sr: int) -> Signal:
    """Return the built-in noise at a rate in Hz, full scale at 1.0, read-only; kept."""
    samples = resample(babble_16bit().astype(np.float32) / 32768.0, from_sr=SAMPLE_RATE, to_sr=sr)
    samples.flags.writeable = False
    return samples


def babble_16bit() -> NDArray[np.int16]:
    """Synthesise the built-in noise; rounded to 16 bits, so that every platform makes the same."""
    rng = np.random.default_rng(20190419)
    n = _BABBLE_S * SAMPLE_RATE
    voices = sum(_voice(n, rng) for _ in range(12))
    room = pink_noise(n, sr=SAMPLE_RATE, rng=rng)
    mix = _unit(_reverberated(voices + 1.2 * _unit(_clatter(n, rng)), rng)) + 0.15 * room
    mix = _coloured_as_speech(mix)
    rounded: NDArray[np.int16] = np.round(mix / np.abs(mix).max() * 32_000.0).astype(np.int16)
    return rounded


def _coloured_as_speech(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the signal with the third-octave levels of `SPEECH_DB`, and nothing below them."""
    spectrum = np.fft.rfft(y)
    hz = np.fft.rfftfreq(y.shape[0], 1 / SAMPLE_RATE)
    centres = np.array(list(SPEECH_DB), float)
    edge = 2 ** (1 / 6)
    spectrum[hz < centres[0] / edge] = 0.0
    octaves = np.log2(np.maximum(hz, centres[0] / edge))
    # Gains in between are interpolated, which moves the bands a little: a few rounds settle it.
    for _ in range(8):
        power = np.abs(spectrum) ** 2
        levels = [power[(hz >= c / edge) & (hz < c * edge)].sum() for c in centres]
        missing_db = np.array(list(SPEECH_DB.values())) - 10 * np.log10(levels)
        spectrum *= 10 ** (np.interp(octaves, np.log2(centres), missing_db) / 20)
    coloured: NDArray[np.float64] = np.fft.irfft(spectrum, y.shape[0])
    return coloured


def _unit(y: NDArray[np.float64]) -> NDArray[np.float64]:
    scaled: NDArray[np.float64] = y / np.sqrt(np.mean(y**2))
    return scaled


def _voice(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a speaker: harmonics of a wandering pitch, vowels by formants, syllables, pauses."""
    sr = SAMPLE_RATE
    out = np.zeros(n)
    base_hz = rng.choice([rng.uniform(90, 140), rng.uniform(170, 240)])
    place = int(rng.uniform(0, 0.5) * sr)
    while place < n:
        length = int(rng.uniform(0.10, 0.32) * sr)
        t = np.arange(min(length, n - place)) / sr
        hz = base_hz * rng.uniform(0.85, 1.25) * (1 + rng.uniform(-0.15, 0.1) * t / (length / sr))
        phase = 2 * np.pi * np.cumsum(hz) / sr
        formants = np.array(
            [rng.uniform(280, 800), rng.uniform(900, 2300), rng.uniform(2400, 3200)]
        )
        count = int(4500 / hz.mean())
        partials = np.arange(1, count + 1)
        peaks = 1 / (1 + ((partials[:, None] * hz.mean() - formants) / [90, 120, 180]) ** 2)
        weights = (peaks @ [1.0, 0.5, 0.25] + 0.01) / partials**0.3
        # Partials by the recurrence of cosines: one cosine, then multiplications.
        twice = 2 * np.cos(phase)
        before, now = np.zeros_like(phase), np.sin(phase)
        syllable = np.zeros_like(phase)
        for weight in weights:
            syllable += weight * now
            before, now = now, twice * now - before
        consonant = rng.standard_normal(t.shape[0]) * np.exp(-t / 0.02) * rng.uniform(0, 1.5)
        shape = np.sin(np.pi * np.arange(t.shape[0]) / length) ** 0.7
        out[place : place + t.shape[0]] += (syllable * shape + np.diff(consonant, prepend=0)) * (
            rng.uniform(0.4, 1.0)
        )
        pause = rng.uniform(0.4, 1.8) if rng.random() < 0.12 else rng.uniform(0.0, 0.08)
        place += length + int(pause * sr)
    return _unit(out) * rng.uniform(0.5, 1.5)


def _clatter(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return glasses and cutlery: short inharmonic rings at random times."""
    sr = SAMPLE_RATE
    out = np.zeros(n)
    for _ in range(2 * _BABBLE_S):
        place = int(rng.integers(n))
        t = np.arange(min(int(0.35 * sr), n - place)) / sr
        ring = np.zeros_like(t)
        first_hz = rng.uniform(1_200, 4_000)
        for ratio in (1.0, 1.59, 2.14, 2.65):
            hz = first_hz * ratio * rng.uniform(0.97, 1.03)
            if hz < sr / 2:
                ring += (
                    rng.uniform(0.3, 1)
                    * np.sin(2 * np.pi * hz * t)
                    * np.exp(-t / rng.uniform(0.01, 0.08))
                )
        out[place : place + t.shape[0]] += ring * rng.lognormal(0.0, 0.8)
    return out


def _reverberated(y: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the signal in a room of 0.6 s reverberation, wrapped so that it loops seamlessly."""
    t = np.arange(int(0.6 * SAMPLE_RATE)) / SAMPLE_RATE
    response = rng.standard_normal(t.shape[0]) * np.exp(-6.91 * t / 0.6) * 0.05
    response[0] = 1.0
    n = y.shape[0]
    return np.fft.irfft(np.fft.rfft(y) * np.fft.rfft(response, n), n)
