"""GN, CL, SC, DR, TR, PO, DC: what is done to amplitudes. Levels in dB, full scale is 1.0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from nearkin.transforms.axis import Axis
from nearkin.transforms.protocol import Transformation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Signal = NDArray[np.float32]
    Samples = NDArray[np.float64]

THRESHOLD_DB = -10.0
"""Where a compressor begins, against the signal's own mean power."""
ATTACK_S, RELEASE_S, BLOCK_S = 0.005, 0.1, 0.001


@dataclass(frozen=True, slots=True)
class Gain(Transformation):
    """Play a signal louder or softer; its loudness is not matched afterwards.

    Parameters
    ----------
    gain_db : float
        -100 to 60 dB; 0 returns the signal untouched.

    Examples
    --------
    >>> Gain(gain_db=-20)(np.array([0.5, -0.5]), sr=22_050)
    array([ 0.05, -0.05], dtype=float32)
    """

    gain_db: float

    axis: ClassVar[Axis] = Axis(
        title="Gain",
        unit="dB",
        quantity="gain",
        noun="clip at another level",
        more_severe="outwards",
        identity=0.0,
        sides=("softer", "louder"),
        defaults=(-40, -30, -20, -10, -5, 5),
        least=-100.0,
        greatest=60.0,
        remedy="-20 is a tenth of the amplitude",
    )
    loudness: ClassVar[Literal["matched", "kept"]] = "kept"
    scale: ClassVar[Literal["mos", "jnd", ""]] = ""
    of_every_part: ClassVar[bool] = True

    def change(self, y: Signal, *, sr: int, rng: np.random.Generator | None) -> Samples:
        """Multiply the signal."""
        louder: Samples = y.astype(np.float64) * 10 ** (self.gain_db / 20)
        return louder


@dataclass(frozen=True, slots=True)
class Clipping(Transformation):
    """Cut off the peaks: the given share of the samples ends up at the limit.

    Parameters
    ----------
    percent : float
        The share of all samples, 0 to 90 %; 0 returns the signal untouched.

    Examples
    --------
    >>> y = np.linspace(-1, 1, 1_001)
    >>> round(float(Clipping(percent=10)(y, sr=22_050).max()), 3)
    0.9
    """

    percent: float

    axis: ClassVar[Axis] = Axis(
        title="Clipping",
        unit="%",
        quantity="clipped samples",
        spoken="% of the samples",
        noun="clipped clip",
        more_severe="higher",
        identity=0.0,
        defaults=(0.1, 0.5, 1, 2, 5, 10, 20),
        least=0.0,
        greatest=90.0,
        remedy="1 is heard as a crackle",
    )
    loudness: ClassVar[Literal["matched", "kept"]] = "kept"

    def change(self, y: Signal, *, sr: int, rng: np.random.Generator | None) -> Signal:
        """Cut off the peaks."""
        limit = np.float32(np.quantile(np.abs(y), 1 - self.percent / 100))
        return np.clip(y, -limit, limit)


@dataclass(frozen=True, slots=True)
class Saturation(Transformation):
    """Bend the peaks by a hyperbolic tangent, as tape and tubes do.

    ``tanh(g y) / g`` with ``g = 10 ** (drive_db / 20) / peak``: what is soft passes unchanged.

    Parameters
    ----------
    drive_db : float
        How far the signal's peak is driven above the bend, -20 to 60 dB.

    Examples
    --------
    >>> y = np.array([1e-4, -1.0])
    >>> [round(float(value), 4) for value in Saturation(drive_db=0)(y, sr=22_050)]
    [0.0001, -0.7616]
    """

    drive_db: float

    axis: ClassVar[Axis] = Axis(
        title="Saturation",
        unit="dB",
        quantity="drive",
        noun="saturated clip",
        more_severe="higher",
        defaults=(0, 6, 12, 18, 24),
        least=-20.0,
        greatest=60.0,
        remedy="12 is an overdriven amplifier",
    )

    def change(self, y: Signal, *, sr: int, rng: np.random.Generator | None) -> Samples | Signal:
        """Bend the signal."""
        peak = float(np.abs(y).max())
        if peak == 0.0:
            return y
        g = 10 ** (self.drive_db / 20) / peak
        bent: Samples = np.tanh(g * y.astype(np.float64)) / g
        return bent


@dataclass(frozen=True, slots=True)
class Compression(Transformation):
    """Compress the dynamic range: what lies above a threshold grows by less.

    The threshold lies 10 dB below the signal's mean power, so that every clip is compressed alike;
    the level is the power smoothed over 5 ms where it rises and 100 ms where it falls.

    Parameters
    ----------
    ratio : float
        dB that go in for one dB that comes out above the threshold, 1 to 100.

    Examples
    --------
    >>> y = np.where(np.arange(22_050) % 100 < 50, 0.5, -0.5)  # its level is its mean power
    >>> out = Compression(ratio=2)(y, sr=22_050)
    >>> round(float(20 * np.log10(np.abs(out[-1000]) / 0.5)), 2)
    -5.0
    """

    ratio: float

    axis: ClassVar[Axis] = Axis(
        title="Dynamic range compression",
        unit=": 1",
        quantity="ratio",
        noun="compressed clip",
        more_severe="higher",
        scale="log",
        defaults=(1.5, 2, 4, 8, 20),
        least=1.0,
        greatest=100.0,
        remedy="4 is a broadcaster's",
    )

    @classmethod
    def method(cls, run: Mapping[str, Any]) -> str:
        """Say what the ratio leaves open."""
        return (
            f"The compressor began {-THRESHOLD_DB:g} dB below the context's mean power, with an "
            f"attack of {ATTACK_S * 1000:g} ms and a release of {RELEASE_S * 1000:g} ms."
        )

    def change(self, y: Signal, *, sr: int, rng: np.random.Generator | None) -> Samples | Signal:
        """Multiply the signal by the compressor's gain."""
        power = np.mean(np.atleast_2d(y).astype(np.float64) ** 2, axis=0)
        mean = float(power.mean())
        if mean == 0.0:
            return y
        size = max(1, round(BLOCK_S * sr))
        starts = np.arange(0, len(power), size)
        blocks = np.add.reduceat(power, starts) / np.diff([*starts, len(power)])
        level_db = 10 * np.log10(np.maximum(_smoothed(blocks, size / sr), 1e-12) / mean)
        gain_db = -np.maximum(level_db - THRESHOLD_DB, 0.0) * (1 - 1 / self.ratio)
        at = np.interp(np.arange(len(power)), starts + (size - 1) / 2, gain_db)
        compressed: Samples = y * 10 ** (at / 20)
        return compressed


def _smoothed(blocks: Samples, block_s: float) -> Samples:
    """Follow the power of blocks, fast where it rises and slowly where it falls."""
    rise, fall = np.exp(-block_s / ATTACK_S), np.exp(-block_s / RELEASE_S)
    now, followed = float(blocks[0]), np.empty_like(blocks)
    for index, power in enumerate(blocks.tolist()):
        keep = rise if power > now else fall
        now = keep * now + (1 - keep) * power
        followed[index] = now
    return followed


@dataclass(frozen=True, slots=True)
class Tremolo(Transformation):
    """Let the amplitude swing five times a second, between 1 and 1 - depth.

    Parameters
    ----------
    depth : float
        0 to 1; 0 returns the signal untouched.

    Examples
    --------
    >>> out = Tremolo(depth=0.5)(np.ones(22_050), sr=22_050)
    >>> round(float(out.max()), 3), round(float(out.min()), 3)
    (1.0, 0.5)
    """

    depth: float

    axis: ClassVar[Axis] = Axis(
        title="Tremolo",
        quantity="depth",
        noun="clip with tremolo",
        more_severe="higher",
        identity=0.0,
        defaults=(0.1, 0.25, 0.5, 0.75, 1),
        least=0.0,
        greatest=1.0,
        remedy="0.5 halves the amplitude",
    )

    def change(self, y: Signal, *, sr: int, rng: np.random.Generator | None) -> Samples:
        """Multiply the signal by the swing."""
        swing = 0.5 * (1 + np.sin(2 * np.pi * 5.0 * np.arange(y.shape[-1]) / sr))
        swung: Samples = y * (1 - self.depth * swing)
        return swung


@dataclass(frozen=True, slots=True)
class Polarity(Transformation):
    """Turn the signal over: every sample changes its sign; nobody hears it.

    Parameters
    ----------
    inverted : float
        1, its only magnitude.

    Examples
    --------
    >>> Polarity(inverted=1)(np.array([0.5, -0.25]), sr=22_050)
    array([-0.5 ,  0.25], dtype=float32)
    """

    inverted: float

    axis: ClassVar[Axis] = Axis(
        title="Inverted polarity",
        quantity="inverted",
        noun="inverted clip",
        more_severe="higher",
        defaults=(1,),
        least=1.0,
        greatest=1.0,
        remedy="its only magnitude is 1",
    )
    of_every_part: ClassVar[bool] = True

    def change(self, y: Signal, *, sr: int, rng: np.random.Generator | None) -> Signal:
        """Turn the signal over."""
        return -y


@dataclass(frozen=True, slots=True)
class Offset(Transformation):
    """Add a constant to every sample; nobody hears it.

    Parameters
    ----------
    offset : float
        In units of full scale, 0.0001 to 1.

    Examples
    --------
    >>> Offset(offset=0.1)(np.array([0.5, -0.5]), sr=22_050)
    array([ 0.6, -0.4], dtype=float32)
    """

    offset: float

    axis: ClassVar[Axis] = Axis(
        title="Constant offset",
        unit="of full scale",
        quantity="offset",
        noun="clip with an offset",
        more_severe="higher",
        scale="log",
        defaults=(0.001, 0.01, 0.05, 0.1, 0.2),
        least=0.0001,
        greatest=1.0,
        remedy="0.01 is a poor converter's",
    )

    def change(self, y: Signal, *, sr: int, rng: np.random.Generator | None) -> Samples:
        """Add the constant."""
        return y.astype(np.float64) + self.offset
