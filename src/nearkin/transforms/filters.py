"""LP, HP, TI, FM, AP: filters. Frequencies in Hz, slopes in dB an octave.

Filters have zero phase, so that nothing is delayed: an embedding is to answer to the missing
treble, not to a shift in time. LP and HP run forwards and backwards; both passes together halve the
amplitude at the cut-off. AP is the exception: it changes nothing but the phase.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from nearkin.errors import InputError
from nearkin.transforms.axis import Axis
from nearkin.transforms.protocol import Transformation

if TYPE_CHECKING:
    from numpy.typing import NDArray

ORDER = 4
"""Of the Butterworth filter that is run twice."""
MIDDLE_HZ = 1_000.0
"""Where a tilt changes nothing, a hole and all-pass filters have their middle."""


@dataclass(frozen=True, slots=True)
class LowPass(Transformation):
    """Take away what lies above a frequency: a Butterworth filter, forwards and backwards.

    The gain at frequency f is ``1 / (1 + (f / cutoff_hz)**8)`` (bilinear transform: the tangents
    of both frequencies), so -6.02 dB at the cut-off; the phase is zero.

    Parameters
    ----------
    cutoff_hz : float
        The cut-off, 20 to 96,000 Hz; at half the sample rate and above, nothing is changed.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.sin(2 * np.pi * 8_000 * np.arange(22_050) / 22_050)
    >>> bool(np.abs(LowPass(2_000)(y, sr=22_050)[1_000:-1_000]).max() < 1e-4)
    True
    """

    cutoff_hz: float

    axis: ClassVar[Axis] = Axis(
        title="Low-pass filter",
        unit="Hz",
        quantity="cut-off",
        noun="low-passed clip",
        more_severe="lower",
        scale="log",
        defaults=(250, 500, 1_000, 2_000, 4_000, 8_000),
        least=20.0,
        greatest=96_000.0,
        remedy="4000 Hz is a telephone's",
    )

    @classmethod
    def method(cls, run: Mapping[str, Any]) -> str:
        """Say which filter it is."""
        return (
            f"The low-pass filter was a Butterworth filter of order {ORDER}, run forwards and "
            "backwards (-6 dB at the cut-off, no delay)."
        )

    def change(
        self, y: NDArray[np.float32], *, sr: int, rng: np.random.Generator | None
    ) -> NDArray[np.float64] | NDArray[np.float32]:
        """Filter the signal."""
        if self.cutoff_hz >= sr / 2:
            return y
        return _both_ways(y, self.cutoff_hz, sr=sr, kind="lowpass")


@dataclass(frozen=True, slots=True)
class HighPass(Transformation):
    """Take away what lies below a frequency: a Butterworth filter, forwards and backwards.

    The gain at frequency f is ``1 / (1 + (cutoff_hz / f)**8)`` (bilinear transform: the tangents
    of both frequencies), so -6.02 dB at the cut-off; the phase is zero.

    Parameters
    ----------
    cutoff_hz : float
        The cut-off, 5 to 48,000 Hz, below half the sample rate.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.sin(2 * np.pi * 50 * np.arange(22_050) / 22_050)
    >>> bool(np.abs(HighPass(1_000)(y, sr=22_050)[1_000:-1_000]).max() < 1e-4)
    True
    """

    cutoff_hz: float

    axis: ClassVar[Axis] = Axis(
        title="High-pass filter",
        unit="Hz",
        quantity="cut-off",
        noun="high-passed clip",
        more_severe="higher",
        scale="log",
        defaults=(50, 100, 200, 500, 1_000, 2_000),
        least=5.0,
        greatest=48_000.0,
        remedy="300 Hz is a telephone's",
    )

    @classmethod
    def method(cls, run: Mapping[str, Any]) -> str:
        """Say which filter it is."""
        return (
            f"The high-pass filter was a Butterworth filter of order {ORDER}, run forwards and "
            "backwards (-6 dB at the cut-off, no delay)."
        )

    def change(
        self, y: NDArray[np.float32], *, sr: int, rng: np.random.Generator | None
    ) -> NDArray[np.float64]:
        """Filter the signal."""
        if self.cutoff_hz >= sr / 2:
            raise InputError(
                f"cutoff_hz={self.cutoff_hz:g}: must be below {sr / 2:g} Hz, half the sample rate, "
                "or nothing is left; pass a lower one"
            )
        return _both_ways(y, self.cutoff_hz, sr=sr, kind="highpass")


@dataclass(frozen=True, slots=True)
class Tilt(Transformation):
    """Tilt the spectrum around 1 kHz: brighter or darker by so many dB an octave; zero phase.

    Below 20 Hz the gain stays what it is there.

    Parameters
    ----------
    db_per_octave : float
        Positive: more treble, less bass; -24 to 24.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.sin(2 * np.pi * 2_000 * np.arange(22_050) / 22_050)
    >>> out = Tilt(db_per_octave=3)(y, sr=22_050)[1_000:-1_000]
    >>> round(float(20 * np.log10(np.std(out) / np.std(y))), 2)
    3.0
    """

    db_per_octave: float

    axis: ClassVar[Axis] = Axis(
        title="Spectral tilt",
        unit="dB/octave",
        quantity="slope",
        noun="tilted clip",
        more_severe="outwards",
        identity=0.0,
        sides=("darker", "brighter"),
        defaults=(-6, -3, -1, 1, 3, 6),
        least=-24.0,
        greatest=24.0,
        remedy="3 is a tone control at its end",
    )

    def change(
        self, y: NDArray[np.float32], *, sr: int, rng: np.random.Generator | None
    ) -> NDArray[np.float64]:
        """Filter the signal."""
        return _by_gain(
            y,
            lambda hz: 10 ** (self.db_per_octave * np.log2(np.maximum(hz, 20.0) / MIDDLE_HZ) / 20),
            sr=sr,
        )


@dataclass(frozen=True, slots=True)
class BandHole(Transformation):
    """Take a band out of the spectrum, centred on 1 kHz on a scale of octaves; zero phase.

    Parameters
    ----------
    octaves : float
        The width of the hole, 0 to 10.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.sin(2 * np.pi * 1_000 * np.arange(22_050) / 22_050)
    >>> bool(np.abs(BandHole(octaves=1)(y, sr=22_050)[5_000:-5_000]).max() < 1e-3)
    True
    """

    octaves: float

    axis: ClassVar[Axis] = Axis(
        title="Missing band",
        unit="octaves",
        singular="octave",
        quantity="width",
        noun="clip with a missing band",
        more_severe="higher",
        identity=0.0,
        defaults=(0.25, 0.5, 1, 2, 4),
        least=0.0,
        greatest=10.0,
        remedy="1 is from 707 to 1414 Hz",
    )

    def change(
        self, y: NDArray[np.float32], *, sr: int, rng: np.random.Generator | None
    ) -> NDArray[np.float64]:
        """Filter the signal."""
        half = self.octaves / 2

        def gain(hz: NDArray[np.float64]) -> NDArray[np.float64]:
            away = np.abs(np.log2(np.maximum(hz, 1e-3) / MIDDLE_HZ))
            return (away >= half).astype(np.float64)

        return _by_gain(y, gain, sr=sr)


@dataclass(frozen=True, slots=True)
class AllPass(Transformation):
    """Change the phase and nothing else: all-pass filters around 1 kHz, one after the other.

    Partials are delayed by how near they lie to 1 kHz (a stage: at most .45 ms), their levels stay.

    Parameters
    ----------
    stages : float
        How many filters of second order (Q = 0.7), 1 to 256.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.sin(2 * np.pi * 1_300 * np.arange(22_050) / 22_050)
    >>> out = AllPass(stages=4)(y, sr=22_050)[2_000:]
    >>> round(float(np.std(out) / np.std(y)), 3), bool(np.abs(out - y[2_000:]).max() > 1)
    (1.0, True)
    """

    stages: float

    axis: ClassVar[Axis] = Axis(
        title="All-pass filter",
        unit="stages",
        singular="stage",
        noun="all-passed clip",
        more_severe="higher",
        scale="log",
        defaults=(1, 2, 4, 8, 16, 32),
        least=1.0,
        greatest=256.0,
        whole=True,
        remedy="8 are heard on drums alone",
    )
    moves_time: ClassVar[bool] = True
    scale: ClassVar[Literal["mos", "jnd", ""]] = ""

    def change(
        self, y: NDArray[np.float32], *, sr: int, rng: np.random.Generator | None
    ) -> NDArray[np.float64]:
        """Filter the signal."""
        from scipy.signal import sosfilt

        if sr / 2 <= MIDDLE_HZ:
            raise InputError(
                f"sr={sr}: an all-pass filter at {MIDDLE_HZ:g} Hz needs more than twice that; "
                "resample the signal"
            )
        w = 2 * np.pi * MIDDLE_HZ / sr
        alpha = np.sin(w) / 2 / 0.7
        turned = np.array([1 - alpha, -2 * np.cos(w), 1 + alpha]) / (1 + alpha)
        section = np.concatenate([turned, turned[::-1]])
        out: NDArray[np.float64] = sosfilt(np.tile(section, (int(self.stages), 1)), y)
        return out


def _both_ways(
    y: NDArray[np.float32], cutoff_hz: float, *, sr: int, kind: str
) -> NDArray[np.float64]:
    from scipy.signal import butter, sosfiltfilt

    sections = butter(ORDER, cutoff_hz, kind, fs=sr, output="sos")
    padding = min(y.shape[-1] - 1, round(3 * sr / cutoff_hz))
    filtered: NDArray[np.float64] = sosfiltfilt(sections, y, padlen=padding)
    return filtered


def _by_gain(
    y: NDArray[np.float32],
    gain: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    sr: int,
) -> NDArray[np.float64]:
    """Multiply the spectrum by a gain; the signal is continued by half a second of its mirror."""
    n = y.shape[-1]
    padding = min(n - 1, sr // 2)
    edges = [(0, 0)] * (y.ndim - 1) + [(padding, padding)]
    longer = np.pad(y.astype(np.float64), edges, mode="reflect", reflect_type="odd")
    spectrum = np.fft.rfft(longer)
    hz = np.fft.rfftfreq(longer.shape[-1], 1 / sr).astype(np.float64)
    back = np.fft.irfft(spectrum * gain(hz), longer.shape[-1])
    return back[..., padding : padding + n]
