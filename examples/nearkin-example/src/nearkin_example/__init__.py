"""An encoder, a transformation and a distance that nearkin finds by their entry points."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nearkin.distances import Distance
from nearkin.errors import InputError
from nearkin.transforms import Transformed
from nearkin.transforms.protocol import checked_number, checked_signal


class Bands:
    """Mean level of 32 bands of the spectrum, in decibels."""

    sample_rate = 16_000
    embedding_size = 32

    def embed(self, audio: np.ndarray) -> np.ndarray:
        """Embed float32[batch, samples] as [batch, 32]."""
        power = np.abs(np.fft.rfft(audio)) ** 2
        bands = np.array_split(power[:, 1:], self.embedding_size, axis=1)
        mean = np.stack([band.mean(axis=1) for band in bands], axis=1)
        return 10 * np.log10(mean + 1e-10)


@dataclass(frozen=True, slots=True)
class LowPass:
    """Everything above a frequency taken away, without delay."""

    code: ClassVar[str] = "LP"
    title: ClassVar[str] = "Low-pass"
    unit: ClassVar[str] = "Hz"
    parameter: ClassVar[str] = "cutoff_hz"
    sides: ClassVar[tuple[str, ...]] = ("",)
    scale: ClassVar[str] = "log"
    identity: ClassVar[float | None] = None
    graver: ClassVar[str] = "left"

    cutoff_hz: float

    def __post_init__(self) -> None:
        """Check and normalise, so that 500 and 500.0 are one record."""
        value = checked_number(
            self.cutoff_hz, name="cutoff_hz", low=20, high=96_000, remedy="pass Hz"
        )
        object.__setattr__(self, "cutoff_hz", value)

    @property
    def magnitude(self) -> float:
        """The cutoff in Hz."""
        return self.cutoff_hz

    @property
    def severity(self) -> float:
        """Octaves below 96 kHz."""
        return math.log2(96_000 / self.cutoff_hz)

    @property
    def side(self) -> str:
        """Always ``""``."""
        return ""

    def apply(self, y: Any, *, sr: int, rng: np.random.Generator | None = None) -> Transformed:
        """Filter a signal; see `nearkin.transforms.Transformation.apply`."""
        signal = checked_signal(y, sr=sr)
        spectrum = np.fft.rfft(signal)
        spectrum[..., np.fft.rfftfreq(signal.shape[-1], 1 / sr) > self.cutoff_hz] = 0
        filtered = np.fft.irfft(spectrum, signal.shape[-1]).astype(np.float32)
        return Transformed(filtered, self.cutoff_hz)

    def __call__(self, y: Any, *, sr: int, rng: np.random.Generator | None = None) -> np.ndarray:
        """Filter a signal and return the signal alone."""
        return self.apply(y, sr=sr, rng=rng).y


def manhattan(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return float64[nQ, N], sums of absolute differences of a[nQ, D] and b[N, D]."""
    if np.shape(a)[-1] != np.shape(b)[-1]:
        raise InputError("a and b: must have the same number of dimensions")
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return np.stack([np.abs(second - row).sum(axis=1) for row in first])


MANHATTAN = Distance(
    name="manhattan",
    title="Manhattan",
    space="latent",
    symmetric=True,
    zero_on_self=True,
    minimum_frames=0,
    function=manhattan,
)
