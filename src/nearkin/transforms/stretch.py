"""TS and PS: tempo shift with the pitch kept, pitch shift with the tempo kept.

A tempo ratio is new tempo over old (1.1 is faster, so shorter), a pitch shift is in semitones of
equal temperament. Engines: Signalsmith Stretch (default) and, with the extra ``rubberband``, Rubber
Band's R2 (the paper's, section 3.2) and R3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from nearkin.optional import need
from nearkin.transforms.protocol import (
    Transformation,
    Transformed,
    checked_choice,
    checked_number,
    checked_signal,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Signal = NDArray[np.float32]

ENGINES = ("signalsmith", "rubberband", "rubberband-r3")
_RUBBER_BAND_LEAST = 64
"""Samples below which pedalboard takes an array for [samples, channels]; such are padded."""


@dataclass(frozen=True, slots=True)
class TempoShift(Transformation):
    """Play a signal faster or slower without changing its pitch.

    Parameters
    ----------
    ratio : float
        New tempo over old, 0.05 to 20; 1 returns the signal untouched. The result has
        ``round(samples / ratio)`` samples.
    engine : str
        ``"signalsmith"``, ``"rubberband"`` (R2) or ``"rubberband-r3"``.

    Examples
    --------
    >>> import numpy as np
    >>> TempoShift(ratio=1.25)(np.zeros(22_050), sr=22_050).shape
    (17640,)
    """

    ratio: float
    engine: str = "signalsmith"

    code: ClassVar[str] = "TS"
    title: ClassVar[str] = "Tempo shift"
    unit: ClassVar[str] = "ratio"
    parameter: ClassVar[str] = "ratio"
    sides: ClassVar[tuple[str, ...]] = ("slower", "faster")
    scale: ClassVar[str] = "linear"
    identity: ClassVar[float | None] = 1.0

    def __post_init__(self) -> None:
        """Normalise and check the fields."""
        ratio = checked_number(
            self.ratio, name="ratio", low=0.05, high=20.0, remedy="1.1 is ten per cent faster"
        )
        object.__setattr__(self, "ratio", ratio)
        checked_choice(self.engine, name="engine", among=ENGINES)

    @property
    def magnitude(self) -> float:
        """The ratio."""
        return self.ratio

    @property
    def severity(self) -> float:
        """How far the ratio is from 1, as a logarithm."""
        return abs(math.log(self.ratio))

    @property
    def side(self) -> str:
        """``"slower"`` or ``"faster"``."""
        return "" if self.ratio == 1.0 else self.sides[self.ratio > 1.0]

    def apply(
        self, y: ArrayLike, *, sr: int, rng: np.random.Generator | None = None
    ) -> Transformed:
        """Stretch the signal; see `Transformation.apply`."""
        signal = checked_signal(y, sr=sr)
        if self.ratio == 1.0:
            return Transformed(np.array(signal), 1.0)
        length = max(1, round(signal.shape[-1] / self.ratio))
        out = _stretched(signal, sr=sr, ratio=self.ratio, semitones=0.0, engine=self.engine)
        return Transformed(_fitted(out, length), self.ratio)


@dataclass(frozen=True, slots=True)
class PitchShift(Transformation):
    """Play a signal higher or lower without changing its tempo or length.

    Parameters
    ----------
    semitones : float
        How far up (positive) or down, -48 to 48; 0 returns the signal untouched.
    engine : str
        ``"signalsmith"``, ``"rubberband"`` (R2) or ``"rubberband-r3"``.

    Examples
    --------
    >>> import numpy as np
    >>> PitchShift(semitones=-0.25)(np.zeros(22_050), sr=22_050).shape
    (22050,)
    """

    semitones: float
    engine: str = "signalsmith"

    code: ClassVar[str] = "PS"
    title: ClassVar[str] = "Pitch shift"
    unit: ClassVar[str] = "semitones"
    parameter: ClassVar[str] = "semitones"
    sides: ClassVar[tuple[str, ...]] = ("down", "up")
    scale: ClassVar[str] = "linear"
    identity: ClassVar[float | None] = 0.0

    def __post_init__(self) -> None:
        """Normalise and check the fields."""
        semitones = checked_number(
            self.semitones, name="semitones", low=-48.0, high=48.0, remedy="12 is an octave up"
        )
        object.__setattr__(self, "semitones", semitones)
        checked_choice(self.engine, name="engine", among=ENGINES)

    @property
    def magnitude(self) -> float:
        """The semitones."""
        return self.semitones

    @property
    def severity(self) -> float:
        """The semitones without their sign."""
        return abs(self.semitones)

    @property
    def side(self) -> str:
        """``"down"`` or ``"up"``."""
        return "" if self.semitones == 0.0 else self.sides[self.semitones > 0.0]

    def apply(
        self, y: ArrayLike, *, sr: int, rng: np.random.Generator | None = None
    ) -> Transformed:
        """Shift the signal; see `Transformation.apply`."""
        signal = checked_signal(y, sr=sr)
        if self.semitones == 0.0:
            return Transformed(np.array(signal), 0.0)
        out = _stretched(signal, sr=sr, ratio=1.0, semitones=self.semitones, engine=self.engine)
        return Transformed(_fitted(out, signal.shape[-1]), self.semitones)


def _stretched(y: Signal, *, sr: int, ratio: float, semitones: float, engine: str) -> Signal:
    channels = y if y.ndim == 2 else y[None]
    if engine == "signalsmith":
        out = _signalsmith(channels, sr=sr, ratio=ratio, semitones=semitones)
    else:
        pedalboard = need("pedalboard", extra="rubberband")
        if channels.shape[1] < _RUBBER_BAND_LEAST:
            channels = np.pad(channels, [(0, 0), (0, _RUBBER_BAND_LEAST - channels.shape[1])])
        out = pedalboard.time_stretch(
            channels,
            float(sr),
            stretch_factor=ratio,
            pitch_shift_in_semitones=semitones,
            high_quality=engine == "rubberband-r3",
            preserve_formants=False,
        )
    return out if y.ndim == 2 else out[0]


def _signalsmith(y: Signal, *, sr: int, ratio: float, semitones: float) -> Signal:
    import python_stretch

    # One pass at half the tempo or less smears phases at random and differs from call to call:
    # passes of an equal root of the ratio, each above a half, are the same to the bit.
    passes = 1
    while ratio ** (1 / passes) <= 0.5:
        passes += 1
    for step in range(passes):
        stretch = python_stretch.Signalsmith.Stretch(0)
        stretch.preset(y.shape[0], float(sr))
        stretch.setTimeFactor(ratio ** (1 / passes))
        if semitones and step == 0:
            stretch.setTransposeSemitones(semitones)
        y = stretch.process(np.ascontiguousarray(y))
    return y


def _fitted(y: Signal, length: int) -> Signal:
    """Return exactly so many samples: an engine's rounding is a sample or two off at the end."""
    if y.shape[-1] < length:
        widths = [(0, 0)] * (y.ndim - 1) + [(0, length - y.shape[-1])]
        y = np.pad(y, widths)
    return np.ascontiguousarray(y[..., :length], dtype=np.float32)
