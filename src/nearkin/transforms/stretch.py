"""TS and PS: tempo shift with the pitch kept, pitch shift with the tempo kept.

A tempo ratio is new tempo over old (1.1 is faster, so shorter), a pitch shift is in semitones of
equal temperament. Engines: Signalsmith Stretch (default) and, with the extra ``rubberband``, Rubber
Band's R2 (the paper's, section 3.2) and R3. Signalsmith only stretches: its own transposition is up
to 50 cents off in the bass, so the pitch is shifted by band-limited resampling
(benchmarks/pitch.py).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from nearkin.optional import need
from nearkin.transforms.axis import Axis
from nearkin.transforms.protocol import Transformation, checked_choice

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Signal = NDArray[np.float32]

ENGINES = ("signalsmith", "rubberband", "rubberband-r3")
TEMPO_JND = 1.03
"""Tempo ratio that is just noticed over six intervals: 3 % (a single interval: 6 %). Drake and
Botte 1993, "Tempo sensitivity in auditory sequences: Evidence for a multiple-look model",
Perception & Psychophysics 54, 277-286."""
PITCH_JND_CENTS = 10.0
"""Shift that amateur musicians just notice. Hill and Summers 2007, "Discrimination of interval size
in short tone sequences", JASA 121, 2376-2383, doi:10.1121/1.2697059; untrained listeners need
several times as much."""
_RUN_IN_S = 0.25
"""Seconds of sound that the stretcher is given on either side of what is heard: two of its blocks
of 0.12 s."""
_RANDOM_ABOVE = 2.0
"""How much longer the stretcher may make a signal before its random phases leave no trace of where
it began: a shorter context then differs as much as another start (DTW 1376 and 1349 at a ratio of
0.3; 498 and 654 at 0.5), and is not taken."""
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
        defaults=(
            *(0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.92, 0.94, 0.96, 0.98),
            *(1.02, 1.04, 1.06, 1.08, 1.1, 1.2, 1.3, 1.4, 1.5),
        ),
        least=0.05,
        greatest=20.0,
        remedy="1.1 is ten per cent faster",
    )
    moves_time: ClassVar[bool] = True
    scale: ClassVar[Literal["mos", "jnd", ""]] = "jnd"

    def __post_init__(self) -> None:
        """Normalise and check the fields."""
        Transformation.__post_init__(self)
        checked_choice(self.engine, name="engine", among=ENGINES)

    def jnds(self) -> float:
        """Return the tempo ratio in just noticeable differences of tempo."""
        return abs(math.log(self.ratio)) / math.log(TEMPO_JND)

    def spare(self, n: int, *, heard: int, sr: int) -> int:
        """Leave what is heard and a run-in, and a start between two of the stretcher's blocks."""
        if self.engine != "signalsmith" or 1.0 / self.ratio > _RANDOM_ABOVE:
            return 0
        needed = heard * self.ratio + 2 * _RUN_IN_S * sr * max(1.0, self.ratio)
        return _whole_blocks((n - needed) / 2, sr=sr, longer=1.0 / self.ratio)

    @classmethod
    def method(cls, run: Mapping[str, Any]) -> str:
        """Name the engine."""
        return f"Tempo was shifted by {run['engine']}." if run.get("engine") else ""

    def change(self, y: Signal, *, sr: int, rng: np.random.Generator | None) -> Signal:
        """Stretch the signal."""
        channels = np.atleast_2d(y)
        if self.engine == "signalsmith":
            out = _stretched(channels, sr=sr, ratio=self.ratio)
        else:
            out = _by_rubber_band(channels, sr=sr, ratio=self.ratio, engine=self.engine)
        length = max(1, round(y.shape[-1] / self.ratio))
        return _fitted(out, length).reshape((*y.shape[:-1], length))


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
        defaults=(
            *(-12, -10, -8, -6, -4, -2, -1, -0.75, -0.5, -0.25),
            *(0.25, 0.5, 0.75, 1, 2, 4, 6, 8, 10, 12),
        ),
        least=-48.0,
        greatest=48.0,
        remedy="12 is an octave up",
    )
    moves_time: ClassVar[bool] = True
    scale: ClassVar[Literal["mos", "jnd", ""]] = "jnd"

    def __post_init__(self) -> None:
        """Normalise and check the fields."""
        Transformation.__post_init__(self)
        checked_choice(self.engine, name="engine", among=ENGINES)

    def jnds(self) -> float:
        """Return the shift in just noticeable differences of pitch."""
        return abs(100 * self.semitones) / PITCH_JND_CENTS

    def spare(self, n: int, *, heard: int, sr: int) -> int:
        """Leave what is heard and a run-in, and a start between two of the stretcher's blocks."""
        longer = max(1.0, 2.0 ** (self.semitones / 12.0))
        if self.engine != "signalsmith" or longer > _RANDOM_ABOVE:
            return 0
        return _whole_blocks((n - heard) / 2 - _RUN_IN_S * sr, sr=sr, longer=longer)

    @classmethod
    def method(cls, run: Mapping[str, Any]) -> str:
        """Name the engine."""
        engine = str(run.get("engine") or "")
        if engine.startswith("signalsmith"):
            return f"Pitch was shifted by band-limited resampling and a time stretch by {engine}."
        return f"Pitch was shifted by {engine}." if engine else ""

    def change(self, y: Signal, *, sr: int, rng: np.random.Generator | None) -> Signal:
        """Shift the signal."""
        channels = np.atleast_2d(y)
        if self.engine == "signalsmith":
            out = _resampled_and_stretched(channels, sr=sr, factor=2.0 ** (self.semitones / 12.0))
        else:
            out = _by_rubber_band(channels, sr=sr, semitones=self.semitones, engine=self.engine)
        return _fitted(out, y.shape[-1]).reshape(y.shape)


def _resampled_and_stretched(y: Signal, *, sr: int, factor: float) -> Signal:
    """Multiply the frequencies of float32[channels, samples] by a factor.

    The order keeps onsets sharp: the stretcher gets whichever signal is the slower one, where its
    windows are short beside the music.
    """
    if factor < 1.0:
        return _stretched(_resampled(y, factor), sr=sr, ratio=1.0 / factor)
    return _resampled(_stretched(y, sr=sr, ratio=1.0 / factor), factor)


def _resampled(y: Signal, factor: float) -> Signal:
    """Play faster by a factor, so higher: below half the rate nothing is folded or lost."""
    import soxr

    made = soxr.resample(np.ascontiguousarray(y.T), factor, 1.0, quality="HQ")
    return np.ascontiguousarray(made.T)


def _whole_blocks(spare: float, *, sr: int, longer: float) -> int:
    """Return the most samples, up to `spare`, that become whole steps of the stretcher's output.

    What comes after them then falls into the same blocks as before: the result differs by half of
    what another start makes of it.

    Parameters
    ----------
    spare : float
        Samples that may be cut.
    sr : int
        Hz.
    longer : float
        Samples that the stretcher puts out for each.
    """
    step = _step(sr) / longer
    return max(0, round(math.floor(spare / step) * step))


@functools.cache
def _step(sr: int) -> int:
    """Return by how many samples of its output the stretcher's blocks follow each other."""
    import python_stretch

    stretch = python_stretch.Signalsmith.Stretch(0)
    stretch.preset(1, float(sr))
    return int(stretch.intervalSamples())


def _stretched(y: Signal, *, sr: int, ratio: float) -> Signal:
    """Change the tempo of float32[channels, samples] by Signalsmith Stretch.

    At half the tempo and below it draws phases at random: from the seed, which is constant.
    """
    import python_stretch

    stretch = python_stretch.Signalsmith.Stretch(0)
    stretch.preset(y.shape[0], float(sr))
    stretch.setTimeFactor(ratio)
    out: Signal = stretch.process(np.ascontiguousarray(y))
    return out


def _by_rubber_band(
    y: Signal, *, sr: int, ratio: float = 1.0, semitones: float = 0.0, engine: str
) -> Signal:
    """Change tempo or pitch of float32[channels, samples] by Rubber Band."""
    pedalboard = need("pedalboard", extra="rubberband")
    if y.shape[1] < _RUBBER_BAND_LEAST:
        y = np.pad(y, [(0, 0), (0, _RUBBER_BAND_LEAST - y.shape[1])])
    out: Signal = pedalboard.time_stretch(
        y,
        float(sr),
        stretch_factor=ratio,
        pitch_shift_in_semitones=semitones,
        high_quality=engine == "rubberband-r3",
        preserve_formants=False,
    )
    return out


def _fitted(y: Signal, length: int) -> Signal:
    """Return exactly so many samples: an engine's rounding is a sample or two off at the end."""
    if y.shape[-1] < length:
        y = np.pad(y, [(0, 0), (0, length - y.shape[-1])])
    return y[:, :length]
