"""An encoder, a transformation and a distance that nearkin finds by their entry points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nearkin.distances import Distance
from nearkin.errors import InputError
from nearkin.transforms import Axis, Transformation


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
class Companding(Transformation):
    """Samples rounded to a few bits on the logarithmic scale of telephones (mu-law)."""

    bits: float
    axis = Axis(title="Mu-law bits", unit="bits", more_severe="lower", least=2, greatest=16)

    def change(self, y: np.ndarray, *, sr: int, rng: np.random.Generator | None) -> np.ndarray:
        """Round a signal of float32[samples] or float32[channels, samples]."""
        peak = max(float(np.abs(y).max()), 1.0)
        level = np.log1p(255 * np.abs(y) / peak) / np.log(256)
        steps = 2 ** (self.bits - 1)
        rounded = np.round(level * steps) / steps
        return np.sign(y) * peak * np.expm1(rounded * np.log(256)) / 255


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
