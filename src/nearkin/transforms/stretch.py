"""TS and PS: tempo shift with the pitch kept, pitch shift with the tempo kept.

A tempo ratio is new tempo over old (1.1 is faster, so shorter), a pitch shift is in semitones of
equal temperament. Engines: Signalsmith Stretch (default) and, with the extra ``rubberband``, Rubber
Band's R2 (the paper's, section 3.2) and R3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nearkin.optional import need
from nearkin.transforms.axis import Axis
from nearkin.transforms.protocol import Transformation, checked_choice

if TYPE_CHECKING:
    from numpy.typing import NDArray

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

    axis: ClassVar[Axis] = Axis(
        title="Tempo shift",
        unit="ratio",
        quantity="tempo ratio",
        spoken="× tempo",
        noun="tempo-shifted clip",
        more_severe="outwards",
        identity=1.0,
        sides=("slower", "faster"),
        imperceptible=(0.98, 1.02),
        least=0.05,
        greatest=20.0,
        remedy="1.1 is ten per cent faster",
    )
    moves_time: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Normalise and check the fields."""
        Transformation.__post_init__(self)
        checked_choice(self.engine, name="engine", among=ENGINES)

    @classmethod
    def method(cls, run: Mapping[str, Any]) -> str:
        """Name the engine."""
        return f"Tempo was shifted by {run['engine']}." if run.get("engine") else ""

    def change(self, y: Signal, *, sr: int, rng: np.random.Generator | None) -> Signal:
        """Stretch the signal."""
        length = max(1, round(y.shape[-1] / self.ratio))
        out = _stretched(y, sr=sr, ratio=self.ratio, semitones=0.0, engine=self.engine)
        return _fitted(out, length)


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

    axis: ClassVar[Axis] = Axis(
        title="Pitch shift",
        unit="semitones",
        singular="semitone",
        noun="pitch-shifted clip",
        more_severe="outwards",
        identity=0.0,
        sides=("down", "up"),
        imperceptible=(-0.25, 0.25),
        least=-48.0,
        greatest=48.0,
        remedy="12 is an octave up",
    )
    moves_time: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Normalise and check the fields."""
        Transformation.__post_init__(self)
        checked_choice(self.engine, name="engine", among=ENGINES)

    @classmethod
    def method(cls, run: Mapping[str, Any]) -> str:
        """Name the engine."""
        return f"Pitch was shifted by {run['engine']}." if run.get("engine") else ""

    def change(self, y: Signal, *, sr: int, rng: np.random.Generator | None) -> Signal:
        """Shift the signal."""
        out = _stretched(y, sr=sr, ratio=1.0, semitones=self.semitones, engine=self.engine)
        return _fitted(out, y.shape[-1])


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
