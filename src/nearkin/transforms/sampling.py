"""BD, RS, AL: what converters do to a signal: too few bits, too low a rate, and aliasing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from nearkin.transforms.axis import Axis
from nearkin.transforms.protocol import Transformation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Signal = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class BitDepth(Transformation):
    """Round samples to so many bits; full scale is 1.0, nothing is dithered.

    Steps are ``2 ** (1 - bits)`` wide, so a signal that fills the range has a signal-to-noise
    ratio of 6.02 dB a bit. A quiet clip may vanish altogether at few bits.

    Parameters
    ----------
    bits : float
        1 to 24.

    Examples
    --------
    >>> BitDepth(bits=2)(np.array([0.3, -0.9]), sr=22_050)
    array([ 0.5, -1. ], dtype=float32)
    """

    bits: float

    axis: ClassVar[Axis] = Axis(
        title="Bit depth",
        unit="bits",
        singular="bit",
        noun="bit-crushed clip",
        more_severe="lower",
        defaults=(4, 6, 8, 10, 12),
        least=1.0,
        greatest=24.0,
        remedy="16 is a compact disc's",
    )

    def change(self, y: Signal, *, sr: int, rng: np.random.Generator | None) -> NDArray[np.float64]:
        """Round the samples."""
        step = 2.0 ** (1.0 - self.bits)
        rounded: NDArray[np.float64] = np.round(y.astype(np.float64) / step) * step
        return rounded


@dataclass(frozen=True, slots=True)
class Resampling(Transformation):
    """Resample to a lower rate and back: what lies above half that rate is gone.

    Parameters
    ----------
    rate_hz : float
        The rate between, 500 to 192,000 Hz; at the signal's own and above, nothing is changed.

    Examples
    --------
    >>> y = np.sin(2 * np.pi * 5_000 * np.arange(22_050) / 22_050)
    >>> bool(np.abs(Resampling(rate_hz=8_000)(y, sr=22_050)[1_000:-1_000]).max() < 1e-4)
    True
    """

    rate_hz: float

    axis: ClassVar[Axis] = Axis(
        title="Lower sample rate",
        unit="Hz",
        quantity="sample rate",
        noun="clip at a lower rate",
        more_severe="lower",
        scale="log",
        defaults=(2_000, 4_000, 8_000, 11_025, 16_000),
        least=500.0,
        greatest=192_000.0,
        remedy="8000 Hz is a telephone's",
    )

    def change(self, y: Signal, *, sr: int, rng: np.random.Generator | None) -> Signal:
        """Resample there and back."""
        if self.rate_hz >= sr:
            return y
        rows = [
            resampled(
                resampled(row, from_sr=sr, to_sr=self.rate_hz), from_sr=self.rate_hz, to_sr=sr
            )
            for row in np.atleast_2d(y)
        ]
        return fitted(rows, y.shape[-1]).reshape(y.shape)


@dataclass(frozen=True, slots=True)
class Aliasing(Transformation):
    """Keep every m-th sample without a filter before, then resample back: high partials fold down.

    Parameters
    ----------
    every : float
        m, 2 to 64. At 22,050 Hz and m = 4 a tone of 4,000 Hz
        comes out at 1,512.5 Hz.

    Examples
    --------
    >>> y = np.sin(2 * np.pi * 4_000 * np.arange(22_050) / 22_050)
    >>> out = Aliasing(every=4)(y, sr=22_050)
    >>> int(np.argmax(np.abs(np.fft.rfft(out))))  # bins of 1 Hz
    1512
    """

    every: float

    axis: ClassVar[Axis] = Axis(
        title="Aliasing",
        unit="samples",
        quantity="one sample in",
        noun="aliased clip",
        more_severe="higher",
        scale="log",
        defaults=(2, 3, 4, 6, 8),
        least=2.0,
        greatest=64.0,
        whole=True,
        remedy="2 is half the rate",
    )

    def change(self, y: Signal, *, sr: int, rng: np.random.Generator | None) -> Signal:
        """Decimate, and resample back."""
        m = int(self.every)
        rows = [
            resampled(np.ascontiguousarray(row[::m]), from_sr=sr / m, to_sr=sr)
            for row in np.atleast_2d(y)
        ]
        return fitted(rows, y.shape[-1]).reshape(y.shape)


def resampled(y: Signal, *, from_sr: float, to_sr: float) -> Signal:
    """Resample float32[samples] by any ratio, with soxr's "VHQ" setting."""
    import soxr

    made: Signal = soxr.resample(y, from_sr, to_sr, quality="VHQ")
    return made


def fitted(rows: list[Signal], length: int) -> Signal:
    """Return rows as float32[channels, length]: cut, or ended with zeros."""
    out = np.zeros((len(rows), length), np.float32)
    for row, made in zip(out, rows, strict=True):
        row[: len(made)] = made[:length]
    return out
